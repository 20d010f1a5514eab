"""What records do to a log: which entries there are, hard state, commit index.  No I/O.

    record        first_index ........ next_index     commit_index         allowed when
    ------------  ------------------------------------  -------------------  -----------------
    Entry(i, t)   next = i + 1                          -                    i == next (or any
                                                                             after a reset), t
                                                                             >= the last term
    Truncate(i)   next = min(next, i)                   min(commit, i - 1)   i >= first
    Compact(i)    first = max(first, i)                 -                    always
    Reset         unknown                               0                    always
    Commit(i)     -                                     min(i, next - 1)     always
    HardState     -                                     -                    always
    Base          adopted where the log begins, else compared

The log and its recovery use the same ledger, one forwards and one from disk, so what the log
accepts is what recovery accepts.  The ledger holds no entries, only the terms' beginnings.

The commit index never covers an entry that is not there: a stale one would make later,
uncommitted entries count as committed.
"""

from dataclasses import dataclass

from wal.record import Base, Commit, Compact, Entry, HardState, Record, Reset, Truncate


class OutOfOrder(Exception):
    """This record cannot follow the ones before: our own mistake, or damage."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The ledger at one moment: what the head frame of a segment says."""

    hard_state: HardState
    commit_index: int
    base: Base

    @property
    def records(self) -> tuple[Record, ...]:
        """The records that bring a fresh ledger here; `Base` first, as it bounds the commit."""
        return (self.base, self.hard_state, Commit(self.commit_index))


class Ledger:
    """Synchronous; one owner."""

    __slots__ = ("_fresh", "_terms", "commit_index", "first_index", "hard_state", "next_index")

    def __init__(self) -> None:
        self.hard_state = HardState(0, None, abstains=True)
        """Of a log that begins: whatever its node promised before, it has forgotten."""
        self.commit_index = 0
        self.first_index = 0
        """Index of the first entry; equal to `next_index` when there is none."""
        self.next_index = 0
        """Zero: the next entry may have any index."""
        self._terms: list[tuple[int, int]] = []
        """(index, term) where each term's entries begin, as far as known."""
        self._fresh = True

    @property
    def last_index(self) -> int:
        """Index of the last entry, or of the one before the first; 0 when unknown."""
        return max(0, self.next_index - 1)

    def mark(self) -> Mark:
        """Return the ledger at this moment."""
        last_term = self._terms[-1][1] if self._terms else 0
        base = Base(self.first_index, self.next_index, last_term)
        return Mark(self.hard_state, self.commit_index, base)

    def apply(self, record: Record) -> None:
        """Take `record` into account.  Raises `OutOfOrder`, and then nothing is changed."""
        if type(record) is Entry:
            self._entry(record)
        elif type(record) is HardState:
            self.hard_state = record
        elif type(record) is Commit:
            self.commit_index = min(record.index, self.last_index)
        elif type(record) is Truncate:
            self._truncate(record.from_index)
        elif type(record) is Compact:
            self._compact(record.below_index)
        elif type(record) is Reset:
            self.first_index = self.next_index = self.commit_index = 0
            self._terms = []
        else:
            assert type(record) is Base
            self._base(record)
        self._fresh = False

    def _entry(self, entry: Entry) -> None:
        index, term = entry.index, entry.term
        if index != self.next_index:
            if self.next_index:
                raise OutOfOrder(f"entry {index} where {self.next_index} is next")
            self.first_index = index
        if index < 1:
            raise OutOfOrder("entry 0; the first index is 1")
        if not self._terms or term != self._terms[-1][1]:
            if self._terms and term < self._terms[-1][1]:
                raise OutOfOrder(f"entry {index} of term {term} after term {self._terms[-1][1]}")
            self._terms.append((index, term))
        self.next_index = index + 1

    def _truncate(self, from_index: int) -> None:
        if from_index >= self.next_index:
            return
        if from_index < self.first_index:
            raise OutOfOrder(f"truncated at {from_index}, below the first entry {self.first_index}")
        while self._terms and self._terms[-1][0] >= from_index:
            self._terms.pop()
        self.next_index = from_index
        self.commit_index = min(self.commit_index, from_index - 1)

    def _compact(self, below_index: int) -> None:
        if not self.next_index:
            return
        self.first_index = max(self.first_index, below_index)
        self.next_index = max(self.next_index, below_index)
        while len(self._terms) > 1 and self._terms[1][0] <= below_index:
            self._terms.pop(0)

    def _base(self, base: Base) -> None:
        if self._fresh:
            self.first_index, self.next_index = base.first_index, base.next_index
        elif (self.first_index, self.next_index) != (base.first_index, base.next_index):
            raise OutOfOrder(
                f"entries {self.first_index} to {self.next_index} (not included) where"
                f" {base.first_index} to {base.next_index} were written"
            )
        if not self._terms:
            # Known for the last entry alone: a later Truncate makes it unknown again.
            if base.next_index and base.last_term:
                self._terms = [(base.next_index - 1, base.last_term)]
        elif self._terms[-1][1] != base.last_term:
            raise OutOfOrder(f"last term {self._terms[-1][1]} where {base.last_term} was written")
