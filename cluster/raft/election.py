"""When to stand for election, and whom to keep waiting: timers, pre-vote, lease.  No I/O.

    follower ──silent for an election timeout──▶ asks for pre-votes ──majority──▶ campaigns
        ▲                                              │
        └────────────a leader is heard─────────────────┘

    waits                                    before
    the shortest timeout, and a moment       the first round after a leader fell silent
    a moment                                 the first round after the link to the leader broke
    1 to 2, 2 to 4, 4 to 8 heartbeats        the `HASTY_MAX` rounds after that
    a random time, shortest to longest       any other round, and after a vote for somebody else

A moment is a random part of a heartbeat.

A pre-vote asks "would you vote for me?" and changes nothing, so a node that cannot win -
deaf, late or cut off - never raises the term of a healthy majority.  A node that heard a
leader within the shortest election timeout answers no and ignores vote requests (the
lease), unless the leader itself hands over.  A leader that hears no majority steps down
within `Timing.quorum_s` (PySyncObj does that), so a lease never keeps a leader that cannot
commit.

All lose a silent leader within a message's time, so what spreads them is not chance but rank:
of two who ask at once the lower gives way.  Chance is for the long run, when who ranks first
may be the one that cannot win.

Times are seconds of the engine's clock.

Source: Raft thesis (Ongaro 2014), sections 4.2.3, 6.2, 9.6; openraft issue 2080 (a lease
without check-quorum can bar a majority from electing).
"""

from collections.abc import Set
from dataclasses import dataclass, field

from cluster.raft.messages import PreVote
from cluster.raft.pysyncobj_core import Chance

HASTY_MAX = 3

Rank = tuple[int, int, str]
"""Last term, last index, node id."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Heartbeat and election timeout, of which the module's table says who waits how long."""

    heartbeat_s: float = 0.05
    election_min_s: float = 0.3
    election_max_s: float = 0.6

    def __post_init__(self) -> None:
        assert self.heartbeat_s > 0
        assert 3 * self.heartbeat_s <= self.election_min_s
        assert self.election_min_s < self.election_max_s

    @property
    def quorum_s(self) -> float:
        """Without an answer of a majority for this long a leader gives up.

        As long as followers wait for it: every heartbeat is answered.
        """
        return self.election_min_s + self.heartbeat_s


@dataclass(slots=True)
class Elections:
    """One node's view of whether there is a leader, and its own candidacy."""

    timing: Timing
    rng: Chance
    others: Set[str]
    """The other voters."""
    off: Set[str] = frozenset()
    deadline_s: float = 0.0
    """When this node asks for pre-votes unless a leader is heard before."""
    heard_s: float = float("-inf")
    """When the current leader was last heard."""
    pre_votes_total: int = 0
    _asked_term: int = 0
    """The term that pre-votes are being asked for; 0 when none are."""
    lives: dict[str, int] = field(default_factory=dict)
    """Who answered this round that its log is empty, and its life; 0 for one that votes."""
    _granted: set[str] = field(default_factory=set)
    _hasty: int = 0
    """How many more rounds are hurried."""
    _lost: str = ""
    """The leader whose link broke, and until when what comes from it was sent before that."""
    _lost_until_s: float = 0.0

    def rearm(self, now_s: float) -> None:
        """Wait a fresh election timeout, from now."""
        spread = self.timing.election_max_s - self.timing.election_min_s
        self.deadline_s = now_s + self.timing.election_min_s + spread * self.rng.random()

    def leader_heard(self, leader: str, now_s: float) -> None:
        """The leader of the current term spoke."""
        if leader == self._lost and now_s < self._lost_until_s:
            return
        self._lost = ""
        self.heard_s = now_s
        self._asked_term = 0
        self._hasty = HASTY_MAX
        self.deadline_s = now_s + self.timing.election_min_s + self._moment()

    def leader_lost(self, leader: str, now_s: float) -> None:
        """The link to the leader broke: its lease is void, and this node hurries.

        Once, however often the leader is dialled in vain: else no round would last as long as
        its answers take, and chance would never have its turn.
        """
        if leader == self._lost:
            return
        self._lost = leader
        self._lost_until_s = now_s + self.timing.heartbeat_s
        self.heard_s = float("-inf")
        self._hasty = HASTY_MAX
        self.deadline_s = min(self.deadline_s, now_s + self._moment())

    def lease_holds(self, now_s: float) -> bool:
        """Whether a leader was heard so recently that no other is wanted."""
        return "lease" not in self.off and now_s - self.heard_s < self.timing.election_min_s

    def due(self, now_s: float) -> bool:
        return now_s >= self.deadline_s

    def stand(self, term: int, now_s: float) -> bool:
        """Begin a candidacy for `term`; return whether no pre-vote is needed."""
        self.rearm(now_s)
        if not self.others or "pre_vote" in self.off:
            return True
        self._hurry(now_s)
        self._asked_term = term
        self._granted = set()
        self.lives = {}
        self.pre_votes_total += 1
        return False

    def pre_vote(self, voter: str, message: PreVote, *, begins: bool = False) -> bool:
        """Count an answer; return True once, when a majority would vote for this node.

        `begins`: True only when all others are empty, as in a cluster that has not begun.
        """
        if (message.term, message.round) != (self._asked_term, self.pre_votes_total):
            return False
        if message.empty:
            self.lives[voter] = message.life
        if message.granted:
            self._granted.add(voter)
        if begins:
            won = self.lives.keys() >= self.others
        else:
            won = 2 * (len(self._granted & self.others) + 1) > len(self.others) + 1
        if won:
            self._asked_term = 0
        return won

    def campaigns(self, now_s: float) -> None:
        """This node stands: wait for votes."""
        self.rearm(now_s)
        self._hurry(now_s)

    def yields_to(self, term: int, theirs: Rank, mine: Rank, now_s: float) -> bool:
        """Whether another node's candidacy goes before one's own of the same moment.

        All who lost the same leader hurry, and would split the votes.  So among them the higher
        rank goes first, and the others wait a little.  Only while they hurry: in the long run a
        node that cannot win must not stand in anyone's way.
        """
        if self._hasty and term == self._asked_term and mine > theirs:
            return False
        if self._hasty:
            self._asked_term = 0
            self._hurry(now_s)
        return True

    def _hurry(self, now_s: float) -> None:
        """Wait less than a timeout, twice as long each time: votes may be on their way."""
        if self._hasty:
            pause = 2 ** (HASTY_MAX - self._hasty)
            self._hasty -= 1
            self.deadline_s = now_s + pause * (self.timing.heartbeat_s + self._moment())

    def _moment(self) -> float:
        return self.timing.heartbeat_s * self.rng.random()
