"""The rules in front of PySyncObj's message handler: what it may see, what may leave.  No I/O.

    hole  the library by itself                          the guard
    4     moves the commit index while a snapshot comes  no commit index reaches it with a chunk
    5     cuts the log behind every append, matching or  `fit_append` moves the append past what
          not; acknowledges more than it proves          matches; the ack says what was proven
    5     resends from every "reset" that arrives        `Answers`: one per request, above what
                                                         the peer proved before
    6     counts acks of an earlier leadership           `Answers`: term and request must fit
    8     counts votes, not voters                       `Votes`
    15    is deaf to a candidate's log when it is late   `is_up_to_date`, for the pre-vote
    20    takes a snapshot that is older than its state  `holds`

Everything here is arithmetic on the log and a message; `off` switches single rules off so
that a test can show what they are for.

Source: Raft thesis (Ongaro 2014), figure 3.1 (rules for receivers), section 3.6.1.
"""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from cluster.raft.messages import AppendAck, AppendEntries, PeerError

RULES = frozenset(
    {
        "align",  # hole 2, in boot.py
        "abstain",  # in abstaining.py
        "late_answers",  # holes 1 and 8, in parts.py
        "snapshot_commit",  # hole 4, in following.py
        "matching_prefix",  # hole 5
        "resets",  # hole 5
        "ack_term",  # hole 6
        "one_vote_per_voter",  # hole 8
        "lost_frames",  # hole 8, in doubting.py
        "read_quorum",  # hole 14, in leading.py
        "pre_vote",  # hole 15, in election.py
        "lease",  # hole 15, in election.py
        "newer_term",  # hole 15, in parts.py
        "old_snapshot",  # hole 20
    }
)
"""Names of the rules that a test may switch off."""


class LogView(Protocol):
    """What the rules need of the log."""

    @property
    def base_index(self) -> int: ...
    @property
    def base_term(self) -> int: ...
    @property
    def last_index(self) -> int: ...
    @property
    def last_term(self) -> int: ...
    def term_at(self, index: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """An append as the library may see it, and what its answer must say."""

    message: AppendEntries
    next_index: int
    """For the answer: behind what the append proved, or where the leader is to go on."""


def fit_append(
    log: LogView, message: AppendEntries, commit_index: int, *, off: Set[str] = frozenset()
) -> Fitted:
    """Return the append reduced to what the log does not hold yet.

    Raises `PeerError` when it contradicts what is committed here.

        prev below the base    what is at or below the base is committed, so it matches
        prev behind the end    left as it is: the library asks for what is missing
        prev of another term   left as it is: the library asks for an earlier start
        prev matches           matching entries are skipped; a cut happens at a conflict only
    """
    if "matching_prefix" in off:
        return Fitted(message, _next_index(message))
    proven = _next_index(message) - 1
    message = _skip_below_base(log, message)
    if message.prev_index > log.last_index:
        return Fitted(message, log.last_index + 1)
    if log.term_at(message.prev_index) != message.prev_term:
        return Fitted(message, _conflict_start(log, message, commit_index))
    held = 0
    for entry in message.entries:
        if log.term_at(entry.index) != entry.term:
            break
        held += 1
    rest = message.entries[held:]
    if not rest:
        fitted = replace(
            message,
            prev_index=log.last_index,
            prev_term=log.last_term,
            entries=(),
            commit_index=min(message.commit_index, proven),
        )
        return Fitted(fitted, proven + 1)
    if rest[0].index <= commit_index:
        raise PeerError(f"entries[index {rest[0].index}] would replace a committed entry")
    if held:
        before = message.entries[held - 1]
        message = replace(message, prev_index=before.index, prev_term=before.term, entries=rest)
    return Fitted(message, proven + 1)


def _next_index(message: AppendEntries) -> int:
    return message.prev_index + len(message.entries) + 1


def _skip_below_base(log: LogView, message: AppendEntries) -> AppendEntries:
    below = log.base_index - message.prev_index
    if below <= 0:
        return message
    entries = message.entries
    if len(entries) >= below and entries[below - 1].term != log.base_term:
        raise PeerError(f"entries[index {log.base_index}] is not the one in the snapshot here")
    return replace(
        message,
        prev_index=log.base_index,
        prev_term=log.base_term,
        entries=entries[below:],
    )


def _conflict_start(log: LogView, message: AppendEntries, commit_index: int) -> int:
    """Return where the leader should go on: the start of the term that does not fit.

    Never at or below the commit index: what is committed matches every leader's log.
    """
    if message.prev_index <= commit_index:
        raise PeerError(f"prev_term {message.prev_term} contradicts a committed entry")
    index = message.prev_index
    term = log.term_at(index)
    while index - 1 > commit_index and log.term_at(index - 1) == term:
        index -= 1
    return max(index, 2)


def holds(log: LogView, index: int, term: int, commit_index: int) -> bool:
    """Whether the log has everything that a snapshot at `index` has."""
    return index <= commit_index or log.term_at(index) == term


def is_up_to_date(log: LogView, last_index: int, last_term: int) -> bool:
    """Whether a candidate's log is at least as long as this one (thesis 3.6.1)."""
    return (last_term, last_index) >= (log.last_term, log.last_index)


@dataclass(slots=True)
class Votes:
    """Who has voted for this node, per term."""

    term: int = 0
    voters: set[str] = field(default_factory=set)

    def is_first(self, voter: str, term: int) -> bool:
        """Note a vote; return whether it is this voter's first in `term`."""
        if term != self.term:
            self.term = term
            self.voters = set()
        first = voter not in self.voters
        self.voters.add(voter)
        return first


@dataclass(slots=True)
class Answers:
    """Checks what one follower answers to one leadership."""

    answered_request: int = 0
    """The latest request that it is known to have received."""
    resets_above: int = 0
    """Resets that answer requests up to this one ask for what was sent again already."""

    def admit(
        self,
        ack: AppendAck,
        *,
        request_last: int,
        match_index: int,
        last_index: int,
        off: Set[str] = frozenset(),
    ) -> AppendAck | None:
        """Return the ack as the library may see it, None when it is old news.

        Raises `PeerError` when it answers what was never asked.
        """
        if "ack_term" not in off and ack.success and ack.next_index > last_index + 1:
            raise PeerError(f"next_index {ack.next_index} is behind the leader's log")
        self.answered_request = max(self.answered_request, ack.request)
        if ack.success or "resets" in off:
            return ack
        if ack.request <= self.resets_above:
            return None
        self.resets_above = request_last
        next_index = min(max(ack.next_index, match_index + 1, 2), last_index + 1)
        return replace(ack, next_index=next_index)
