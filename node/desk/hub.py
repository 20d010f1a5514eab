"""Who on this node follows what, and telling them.  No I/O: sessions are told by their outlets.

    Applied ──notices──▶ Appended        ──▶ every session that follows the conversation
                         OfferMade/Gone  ──▶ the agent's sessions
                         AgentChanged    ──▶ the agent's sessions
                         RulesApplied    ──▶ supervisors and operators

A subscription is a cursor into a conversation's events: the last `seq` that was sent.  What is
at or below it is never sent again, what comes next is sent as it happens, and everything else -
a resume, a jump - is read from the kept events, or answered by `gap`.  So each session is told
every event once and in order, whatever the order in which events and subscriptions come.

A long resume pauses while the client has much to read, and goes on in `advance_lagging`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from cluster.state.commands import SYSTEM
from cluster.state.machine import Applied
from cluster.state.model import Conversation, Event, Offer
from cluster.state.outcome import (
    AgentChanged,
    Appended,
    ConversationPurged,
    Notice,
    OfferGone,
    OfferMade,
    RulesApplied,
    SessionGone,
)
from cluster.state.state import State
from node.auth import Principal
from node.desk.access import may_follow
from node.desk.frames import Shared, SharedEvent
from node.desk.resume import nothing, owed
from node.desk.session import Session, Subscription
from node.desk.statistics import Tally
from node.desk.views import inbox_push, offer_push
from node.protocol.catalogue import Caught, Inbox, OfferGonePush, Push, RulesPush

Sessions = dict[Session, None]
"""A set that keeps its order."""

OPEN_FOLLOWED_MAX = 100
"""Open conversations of a visitor that a hello subscribes to, the newest first to be kept."""
_PARTINGS = frozenset({"transferred", "unassigned", "closed"})
"""Events after which a conversation is no longer its owner's."""


class Hub:
    """Sessions by principal and by conversation."""

    def __init__(
        self,
        state: Callable[[], State],
        tally: Tally,
        *,
        now_ms: Callable[[], int],
        on_session_gone: Callable[[SessionGone], None],
    ) -> None:
        self._state = state
        self._tally = tally
        self._now_ms = now_ms
        self._on_session_gone = on_session_gone
        self._by_principal: dict[tuple[str, str], Sessions] = {}
        self._by_role: dict[str, Sessions] = {}
        self._followers: dict[str, dict[Session, Subscription]] = {}
        self._lagging: dict[tuple[Session, str], None] = {}
        self._inboxes: dict[str, Inbox] = {}

    # -- who is there

    def add(self, session: Session) -> None:
        """Take a session in; `principal` is known."""
        principal = session.principal
        assert principal is not None
        self._by_principal.setdefault((principal.role, principal.id), {})[session] = None
        self._by_role.setdefault(principal.role, {})[session] = None

    def remove(self, session: Session) -> None:
        """Forget a session and all that it follows.  Harmless when repeated."""
        for cv in list(session.subscriptions):
            self.unsubscribe(session, cv)
        principal = session.principal
        if principal is None:
            return
        _discard(self._by_principal, (principal.role, principal.id), session)
        _discard(self._by_role, principal.role, session)
        if principal.role == "agent" and not self._by_principal.get(("agent", principal.id)):
            self._inboxes.pop(principal.id, None)

    def sessions_of(self, role: str, principal_id: str) -> list[Session]:
        """Return the sessions of one principal on this node."""
        return list(self._by_principal.get((role, principal_id), ()))

    def followers(self, cv: str) -> list[Session]:
        """Return the sessions that follow `cv` on this node."""
        return list(self._followers.get(cv, ()))

    def count_sessions(self) -> dict[str, int]:
        """Return how many sessions there are, by role."""
        return {role: len(sessions) for role, sessions in self._by_role.items()}

    def count_subscriptions(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(followers) for followers in self._followers.values())

    # -- who follows what

    def subscribe(self, session: Session, cv: str, have: int) -> None:
        """Let `session`, which has everything up to `have`, follow `cv`: send what is owed first.

        A subscription that is there already begins anew.
        """
        conversation = self._state().conversations.get(cv)
        if conversation is None:
            session.send(nothing(cv, have))
            return
        subscription = Subscription(max(0, have))
        session.subscriptions[cv] = subscription
        self._followers.setdefault(cv, {})[session] = subscription
        self._tally.resumes += 1
        self._advance(session, subscription, conversation)

    def unsubscribe(self, session: Session, cv: str) -> None:
        """Let `session` hear no more of `cv`.  Harmless when it did not."""
        session.subscriptions.pop(cv, None)
        self._lagging.pop((session, cv), None)
        followers = self._followers.get(cv)
        if followers is not None:
            followers.pop(session, None)
            if not followers:
                del self._followers[cv]

    def welcome(self, session: Session, principal: Principal, have: dict[str, int]) -> None:
        """Subscribe a session that just went live: to what is its own, and to what it resumes."""
        state = self._state()
        own = self._own(state, principal)
        for cv in own:
            self.subscribe(session, cv, have.get(cv, 0))
        for cv, seq in have.items():
            if cv in session.subscriptions:
                continue
            conversation = state.conversations.get(cv)
            if conversation is not None and may_follow(principal, conversation, state):
                self.subscribe(session, cv, seq)
            else:
                session.send(nothing(cv, seq))
        if principal.role == "agent":
            self._offer_pending(session, state, principal.id)

    def _own(self, state: State, principal: Principal) -> Iterable[str]:
        match principal.role:
            case "visitor":
                return sorted(state.by_visitor.get(principal.id, ()))[-OPEN_FOLLOWED_MAX:]
            case "agent":
                agent = state.agents.get(principal.id)
                return agent.conversations if agent is not None else ()
            case _:
                return ()

    def _offer_pending(self, session: Session, state: State, agent_id: str) -> None:
        agent = state.agents.get(agent_id)
        for oid in agent.offers if agent is not None else ():
            offer = state.offers.get(oid)
            if offer is not None:
                self._make_offer(state, offer, [session])

    # -- what happened

    def on_applied(self, applied: Applied) -> None:
        """Tell the sessions of this node what one entry did."""
        for notice in applied.notices:
            self._tell(notice)

    def catch_up(self) -> None:
        """The state jumped to a snapshot: tell all sessions what no entry told them."""
        state = self._state()
        for sessions in list(self._by_principal.values()):
            for session in list(sessions):
                self._catch_up_session(session, state)

    def _catch_up_session(self, session: Session, state: State) -> None:
        principal = session.principal
        assert principal is not None
        own = set(self._own(state, principal))
        for cv in session.subscriptions.keys() | own:
            conversation = state.conversations.get(cv)
            subscription = session.subscriptions.get(cv)
            if conversation is None or not may_follow(principal, conversation, state):
                self.unsubscribe(session, cv)
            elif subscription is None:
                self.subscribe(session, cv, 0)
            elif subscription.cursor != conversation.seq:
                subscription.catching = True
                self._advance(session, subscription, conversation)
        if principal.role == "agent":
            for oid in [oid for oid in session.offers if oid not in state.offers]:
                session.offers.discard(oid)
                session.send(OfferGonePush(oid=oid, why="lost"))
            self._offer_pending(session, state, principal.id)
            self._tell_inbox(principal.id)

    def _tell(self, notice: Notice) -> None:
        state = self._state()
        match notice:
            case Appended(cv, event):
                conversation = state.conversations.get(cv)
                if conversation is not None:
                    self._on_event(conversation, event)
            case OfferMade(offer):
                if offer.oid in state.offers:
                    self._make_offer(state, offer, self.sessions_of("agent", offer.agent))
            case OfferGone(offer, why):
                self._end_offer(state, offer, why)
            case AgentChanged(agent):
                self._tell_inbox(agent)
            case RulesApplied(rev):
                self._tell_rules(state, rev)
            case ConversationPurged(cv):
                self._purge(cv)
            case SessionGone():
                self._on_session_gone(notice)

    # -- conversations

    def _on_event(self, conversation: Conversation, event: Event) -> None:
        self._follow_own(conversation, event)
        followers = self._followers.get(conversation.cv)
        if followers:
            shared = SharedEvent(conversation.cv, event, self._tally)
            for session, subscription in list(followers.items()):
                self._deliver(session, subscription, conversation, shared)
        if event.type in _PARTINGS:
            self._part(conversation)

    def _follow_own(self, conversation: Conversation, event: Event) -> None:
        """Subscribe those whose conversation it has just become, on all their devices."""
        if event.type == "opened":
            sessions = self.sessions_of(event.by.kind, event.by.id)
        elif event.type == "assigned":
            sessions = self.sessions_of("agent", str(event.data.get("agent", "")))
        else:
            return
        for session in sessions:
            principal = session.principal
            assert principal is not None
            if conversation.cv in session.subscriptions:
                continue
            if may_follow(principal, conversation, self._state()):
                self.subscribe(session, conversation.cv, 0)

    def _part(self, conversation: Conversation) -> None:
        """Unsubscribe agents whose conversation it no longer is."""
        state = self._state()
        for session in self.followers(conversation.cv):
            assert session.principal is not None
            if not may_follow(session.principal, conversation, state):
                self.unsubscribe(session, conversation.cv)

    def _deliver(
        self,
        session: Session,
        subscription: Subscription,
        conversation: Conversation,
        shared: SharedEvent,
    ) -> None:
        if shared.seq <= subscription.cursor or subscription.catching:
            return  # sent already, or will be when the resume goes on
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
            session.send(gap)
            subscription.cursor = gap.first - 1 if gap.have < gap.first else gap.last
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
        session.send_frame(shared.frame(session.codec, session.audience))
        subscription.cursor = shared.seq
        self._tally.events_sent += 1

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

    def _purge(self, cv: str) -> None:
        for session in self.followers(cv):
            self.unsubscribe(session, cv)

    # -- agents and overseers

    def _make_offer(self, state: State, offer: Offer, sessions: list[Session]) -> None:
        conversation = state.conversations.get(offer.cv)
        if conversation is None:
            return
        shared = Shared(offer_push(offer, conversation, self._now_ms()), self._tally)
        for session in sessions:
            if offer.oid not in session.offers:
                session.offers.add(offer.oid)
                session.send_frame(shared.frame(session.codec))

    def _end_offer(self, state: State, offer: Offer, why: str) -> None:
        shared = Shared(OfferGonePush(oid=offer.oid, why=why), self._tally)
        conversation = state.conversations.get(offer.cv)
        for session in self.sessions_of("agent", offer.agent):
            if offer.oid in session.offers:
                session.offers.discard(offer.oid)
                session.send_frame(shared.frame(session.codec))
            principal = session.principal
            assert principal is not None
            if conversation is None or not may_follow(principal, conversation, state):
                self.unsubscribe(session, offer.cv)

    def _tell_inbox(self, agent_id: str) -> None:
        agent = self._state().agents.get(agent_id)
        sessions = self.sessions_of("agent", agent_id)
        if agent is None or not sessions:
            return
        inbox = inbox_push(agent)
        if self._inboxes.get(agent_id) != inbox:
            self._inboxes[agent_id] = inbox
            self._broadcast(inbox, sessions)

    def _tell_rules(self, state: State, rev: int) -> None:
        by = next((record.by for record in state.rule_sets if record.rev == rev), SYSTEM)
        push = RulesPush(rev=rev, by=by.name or by.id)
        for role in ("supervisor", "operator"):
            self._broadcast(push, self._by_role.get(role, ()))

    def _broadcast(self, push: Push, sessions: Iterable[Session]) -> None:
        shared = Shared(push, self._tally)
        for session in list(sessions):
            session.send_frame(shared.frame(session.codec))


def _discard(index: dict[Any, Sessions], key: Any, session: Session) -> None:
    sessions = index.get(key)
    if sessions is not None:
        sessions.pop(session, None)
        if not sessions:
            del index[key]
