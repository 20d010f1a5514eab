"""Conversations and who follows them on this node, each to their own place.  No I/O.

A subscription is a cursor into a conversation's events: the last `seq` that was sent.

    event                      sent
    at or below the cursor     never again
    cursor + 1                 as it happens, in the frame that all share
    further on, or a resume    what lies between, read from the kept events, or a `gap`; `caught`

So each session is told every event once and in order, whatever the order in which events and
subscriptions come.  A long resume pauses while the client has much to read, and goes on in
`advance_lagging`.
"""

from collections.abc import Callable

from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.state import State
from node.desk.frames import SharedEvent
from node.desk.plain import NotAllowed
from node.desk.resume import nothing, owed
from node.desk.session import Session, Subscription
from node.desk.statistics import Tally
from node.protocol.catalogue import Caught


class Following:
    """Subscriptions by conversation."""

    def __init__(self, state: Callable[[], State], tally: Tally) -> None:
        self._state = state
        self._tally = tally
        self._followers: dict[str, dict[Session, Subscription]] = {}
        self._lagging: dict[tuple[Session, str], None] = {}
        self.on_change: Callable[[Session, str], None] = _ignore
        """Called when a session begins to follow a conversation, and when it ends."""

    def of(self, cv: str) -> list[Session]:
        """Return the sessions that follow `cv` on this node."""
        return list(self._followers.get(cv, ()))

    def count(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(followers) for followers in self._followers.values())

    def check_room(self, session: Session) -> None:
        """Refuse one more than `session` may follow.  Raises `NotAllowed`."""
        if not self.has_room(session):
            raise NotAllowed("at_capacity", f"{session.follows_max} conversations are followed")

    def has_room(self, session: Session) -> bool:
        """Say whether `session` may follow one more; what is closed and told makes room."""
        if len(session.subscriptions) < session.follows_max:
            return True
        conversations = self._state().conversations
        for cv, subscription in list(session.subscriptions.items()):
            conversation = conversations.get(cv)
            if conversation is None or (
                conversation.state == "closed" and subscription.cursor == conversation.seq
            ):
                self.unsubscribe(session, cv)
        return len(session.subscriptions) < session.follows_max

    def subscribe(self, session: Session, cv: str, have: int) -> None:
        """Let `session`, which has everything up to `have`, follow `cv`: send what is owed first.

        A subscription that is there already begins anew.
        """
        if cv in self._state().conversations:
            self.note(session, cv, have)
            self.begin(session, cv)
        else:
            session.send(nothing(cv, have))

    def note(self, session: Session, cv: str, have: int) -> None:
        """Let `session` follow `cv`, and tell it nothing before it is to `begin`."""
        subscription = Subscription(max(0, have))
        session.subscriptions[cv] = subscription
        self._followers.setdefault(cv, {})[session] = subscription
        self._tally.resumes += 1
        self.on_change(session, cv)

    def begin(self, session: Session, cv: str) -> None:
        """Send what is owed of a conversation that is followed, and there."""
        self._advance(session, session.subscriptions[cv], self._state().conversations[cv])

    def adopt(self, session: Session, cv: str, subscription: Subscription) -> None:
        """Go on with what another process of this node sent `session`, at the same entry."""
        session.subscriptions[cv] = subscription
        self._followers.setdefault(cv, {})[session] = subscription
        self.on_change(session, cv)
        if subscription.catching:
            self._lagging[session, cv] = None

    def unsubscribe(self, session: Session, cv: str) -> None:
        """Let `session` hear no more of `cv`.  Harmless when it did not."""
        session.subscriptions.pop(cv, None)
        self._lagging.pop((session, cv), None)
        followers = self._followers.get(cv)
        if followers is not None:
            if followers.pop(session, None) is not None:
                self.on_change(session, cv)
            if not followers:
                del self._followers[cv]

    def catch_up(self, session: Session, conversation: Conversation) -> None:
        """Send `session`, which follows the conversation, what it lacks."""
        subscription = session.subscriptions[conversation.cv]
        if subscription.cursor != conversation.seq:
            subscription.catching = True
            self._advance(session, subscription, conversation)

    def tell(self, conversation: Conversation, event: Event) -> None:
        """Send `event` to all who follow the conversation."""
        followers = self._followers.get(conversation.cv)
        if followers:
            shared = SharedEvent(conversation.cv, event, self._tally)
            for session, subscription in list(followers.items()):
                self._deliver(session, subscription, conversation, shared)

    @property
    def lagging(self) -> bool:
        """Whether a resume has paused."""
        return bool(self._lagging)

    def advance_lagging(self) -> None:
        """Go on with resumes that paused."""
        conversations = self._state().conversations
        for session, cv in list(self._lagging):
            if session.has_room:
                conversation = conversations.get(cv)
                subscription = session.subscriptions.get(cv)
                if conversation is not None and subscription is not None:
                    self._advance(session, subscription, conversation)
                else:
                    self._lagging.pop((session, cv), None)

    def _deliver(
        self,
        session: Session,
        subscription: Subscription,
        conversation: Conversation,
        shared: SharedEvent,
    ) -> None:
        if shared.seq <= subscription.cursor:
            return
        if shared.seq == subscription.cursor + 1:
            self._send_event(session, subscription, shared)
        else:
            subscription.catching = True
            self._advance(session, subscription, conversation)

    def _advance(
        self, session: Session, subscription: Subscription, conversation: Conversation
    ) -> None:
        """Send what is owed, as far as the client keeps up; then say that it is complete."""
        gap, events = owed(conversation, subscription.cursor)
        if gap is not None:
            self._tally.gaps += 1
            subscription.cursor = gap.first - 1 if gap.have < gap.first else gap.last
            session.send(gap)
        for event in events:
            if not session.has_room:
                self._lagging[session, conversation.cv] = None
                return
            shared = SharedEvent(conversation.cv, event, self._tally)
            self._send_event(session, subscription, shared)
        self._lagging.pop((session, conversation.cv), None)
        subscription.catching = False
        session.send(Caught(cv=conversation.cv, seq=subscription.cursor))

    def _send_event(
        self, session: Session, subscription: Subscription, shared: SharedEvent
    ) -> None:
        subscription.cursor = shared.seq  # first: an event stream names its place with each event
        session.send_frame(shared.frame(session.encoding, session.audience))
        self._tally.events_sent += 1


def _ignore(session: Session, cv: str) -> None:
    """Nobody wants to know."""
