"""What a leader knows of its followers in one term: requests, answers, what is under way.  No I/O.

    request 41 ── entries, 90 kB ──▶            in flight: 41, 42, 43 (270 kB)
    request 42 ── entries, 90 kB ──▶
    request 43 ── entries, 90 kB ──▶
               ◀── ack of request 42 ──         in flight: 43 (90 kB)

Every message to a follower carries the next number; the answer repeats it.  From that come
the age of the last contact, the proof for reads (a majority answered a request made after
the question) and flow control: with `IN_FLIGHT_BYTES_MAX` unanswered a follower gets
heartbeats only, whose answers show how far it came.

A node leads a term at most once, so all of this is born with the term and dies with it.

Source: Raft thesis (Ongaro 2014), sections 6.4, 10.2.1; etcd raft, tracker/inflights.go.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from cluster.raft.abstaining import Memory
from cluster.raft.doubting import Doubt
from cluster.raft.guard import Answers
from cluster.raft.reads import Reads
from cluster.raft.snapshots import SnapshotSender

IN_FLIGHT_BYTES_MAX = 4 * 1024 * 1024
IN_FLIGHT_MESSAGES_MAX = 512


@dataclass(slots=True)
class Follower:
    """One peer, seen by the leader."""

    heard_s: float
    """When it last answered; at first, when the term began or it became a member."""
    votes: bool = True
    answers: Answers = field(default_factory=Answers)
    memory: Memory = field(default_factory=Memory)
    doubt: Doubt = field(default_factory=Doubt)
    proven_index: int = 1
    """The highest index that it proved to hold, counted for the commit or not."""
    sender: SnapshotSender | None = None
    paused: bool = False
    lagging: bool = False
    """PySyncObj asked for a snapshot in this turn, and must not ask again before the next."""
    heartbeat_due_s: float = 0.0
    """While paused or served a snapshot: when it gets a heartbeat of the engine's own."""
    _in_flight: deque[tuple[int, int]] = field(default_factory=deque)
    _in_flight_bytes: int = 0

    @property
    def full(self) -> bool:
        """Whether no more entries may be sent before an answer."""
        return (
            self._in_flight_bytes >= IN_FLIGHT_BYTES_MAX
            or len(self._in_flight) >= IN_FLIGHT_MESSAGES_MAX
        )

    def sent(self, request: int, size: int) -> None:
        """Entries of `size` bytes left with `request`."""
        self._in_flight.append((request, size))
        self._in_flight_bytes += size

    def answered(self, request: int, now_s: float) -> None:
        """It answered `request`: what was sent before arrived, or was lost."""
        self.heard_s = now_s
        while self._in_flight and self._in_flight[0][0] <= request:
            self._in_flight_bytes -= self._in_flight.popleft()[1]


class Leadership:
    """One term of one leader."""

    def __init__(
        self, term: int, voters: Iterable[str], learners: Iterable[str], now_s: float
    ) -> None:
        self.term = term
        self.request = 0
        """The number of the last message to any follower."""
        self.followers: dict[str, Follower] = {}
        self.set_peers(voters, learners, now_s)
        self.reads = Reads()
        self.handing_to: str | None = None
        self.hand_over_until_s = 0.0
        self.members_index = 0
        """Of the last change of the members that was proposed in this term."""

    def set_peers(self, voters: Iterable[str], learners: Iterable[str], now_s: float) -> None:
        """Follow a change of the members."""
        votes = {**dict.fromkeys(learners, False), **dict.fromkeys(voters, True)}
        before = self.followers
        self.followers = {peer: before.get(peer) or Follower(now_s) for peer in sorted(votes)}
        for peer, follower in self.followers.items():
            follower.votes = votes[peer]

    def can_spare(self, peer: str) -> bool:
        """Whether a majority of the voters remembers, this node included, without `peer`."""
        votes = {name: one for name, one in self.followers.items() if one.votes}
        remember = [name for name, one in votes.items() if not one.memory.life and name != peer]
        return peer not in votes or 2 * (1 + len(remember)) > 1 + len(votes)

    def next_request(self) -> int:
        """Return the number for the next message."""
        self.request += 1
        return self.request

    def confirmed_request(self) -> int:
        """Return the highest request that a majority, this node included, has answered."""
        answered = sorted(
            (
                0 if follower.memory.life else follower.answers.answered_request
                for follower in self.followers.values()
                if follower.votes
            ),
            reverse=True,
        )
        return (self.request, *answered)[(len(answered) + 1) // 2]

    def quorum_heard_s(self, now_s: float) -> float:
        """Return when a majority, this node included, was last known to follow."""
        heard = sorted(
            (
                float("-inf") if follower.memory.life else follower.heard_s
                for follower in self.followers.values()
                if follower.votes
            ),
            reverse=True,
        )
        return (now_s, *heard)[(len(heard) + 1) // 2]
