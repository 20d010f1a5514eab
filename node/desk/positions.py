"""Where visitors stand in their queue, told while they wait.  No I/O: sessions are told.

    waits, and a visitor of it is here ──▶ round ──▶ looked at, told if it changed ──▶ round again
                                            ▲                5 s later                    │
                                            └─────────────────────────────────────────────┘

Nothing is computed because somebody else came, went or was served: each who waits is looked at in
their turn, once in `PAUSE_S`, and at most `LOOKS_PER_S` of them a second in all: with more who
wait at one node, each is told less often.  A look is a bisection of the queue's order.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from cluster.state.model import Conversation
from cluster.state.state import State
from node.desk.estimate import Times
from node.desk.floor import Floor
from node.desk.following import Following
from node.desk.frames import Shared
from node.desk.session import Session
from node.desk.statistics import Tally
from node.protocol.catalogue import QueuePush

PAUSE_S = 5.0
"""A visitor hears no more than one in so long."""
SOON_S = 0.25
"""From beginning to wait to the first look: most are offered to somebody before."""
LOOKS_PER_S = 2_000
"""Some 20 ms of the loop."""


class Place(NamedTuple):
    """Where in its queue a conversation stands: 1 is next."""

    pos: int
    of: int


def place_in_queue(state: State, conversation: Conversation) -> Place | None:
    """Return how many of its queue are served before it, and wait in all; None: it does not wait.

    It takes the logarithm of what waits.
    """
    queue = state.waiting.get(conversation.queue)
    if conversation.state != "waiting" or queue is None:
        return None
    position = state.lines.position(conversation.cv)
    return Place(position, len(queue)) if position is not None else None


class Positions:
    """Visitors' conversations that wait, in the order in which they are looked at."""

    def __init__(
        self,
        state: Callable[[], State],
        following: Following,
        floor: Floor,
        times: Times,
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._following = following
        self._floor = floor
        self._times = times
        self._tally = tally
        self._clock = clock
        self._new: deque[tuple[float, str]] = deque()
        """When to look first, the earliest in front: these go before the round."""
        self._round: deque[tuple[float, str]] = deque()
        self._told: dict[str, QueuePush | None] = {}
        """What visitors heard last, of those in the round."""
        self._looks = 0.0
        self._looked_at = clock()

    def __len__(self) -> int:
        return len(self._told)

    def watch(self, cv: str, *, anew: bool = False) -> None:
        """`cv` waits, and its visitor may be here; `anew`: has heard nothing yet."""
        if cv not in self._told:
            self._new.append((self._clock() + SOON_S, cv))
            self._told[cv] = None
        elif anew:
            self._told[cv] = None

    def watch_own(self, session: Session) -> None:
        """A visitor's session came: look after what of theirs waits."""
        if session.audience != "visitor":
            return
        conversations = self._state().conversations
        for cv in session.subscriptions:
            conversation = conversations.get(cv)
            if conversation is not None and conversation.state in ("waiting", "offered"):
                self.watch(cv, anew=True)

    def sweep(self) -> None:
        """Look at those whose turn it is, as many as the time since the last sweep allows."""
        now = self._clock()
        allowed = self._looks + (now - self._looked_at) * LOOKS_PER_S
        self._looks, self._looked_at = min(allowed, LOOKS_PER_S), now
        servers: dict[str, int] = {}
        for line in (self._new, self._round):
            while line and line[0][0] <= now and self._looks >= 1:
                self._looks -= 1
                _, cv = line.popleft()
                if self._look(cv, servers):
                    self._round.append((now + PAUSE_S, cv))
                else:
                    del self._told[cv]

    def _look(self, cv: str, servers: dict[str, int]) -> bool:
        """Tell a visitor what changed; say whether to look again."""
        conversation = self._state().conversations.get(cv)
        visitors = [one for one in self._following.of(cv) if one.audience == "visitor"]
        if conversation is None or not visitors:
            return False
        place = place_in_queue(self._state(), conversation)
        if place is None:  # offered: it may come back
            return conversation.state == "offered"
        push = self._push(conversation, place, servers)
        if self._told[cv] != push:
            self._told[cv] = push
            shared = Shared(push, self._tally)
            for session in visitors:
                session.send_frame(shared.frame(session.encoding), ephemeral=True)
        return True

    def _push(self, conversation: Conversation, place: Place, servers: dict[str, int]) -> QueuePush:
        queue = conversation.queue
        if queue not in servers:
            servers[queue] = self._floor.servers(queue)
        found = self._times.estimate(queue, place.pos, servers[queue])
        push = QueuePush(cv=conversation.cv, pos=place.pos, of=place.of)
        if found is not None:
            push.eta_s, push.conf = found.eta_s, found.conf
        return push
