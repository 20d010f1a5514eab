"""The log as PySyncObj sees it, over `wal.log.Log`.  No I/O: records are only buffered.

    entries   [0]      [1]        [2]     ...   [-1]
            the base  base + 1   base + 2      last_index

All entries from the base on are in memory.  The base is the entry (or the snapshot, or the
empty index 1) up to which everything is in a snapshot: its index and term are known, its
command is never sent, so PySyncObj falls back to a snapshot for whoever needs more.

The commit index is a hint for the next start and worth no `fdatasync` of its own: it rides
behind the next record, always after the entries it covers.  Term and vote are one record,
written before any message that depends on them may leave.

Source: Raft thesis (Ongaro 2014), figure 3.1 "Persistent state on all servers", section 5.
"""

from collections.abc import Sequence
from typing import overload

from pysyncobj.journal import Journal

from cluster.raft.members import Members
from cluster.raft.messages import BATCH_BYTES_MAX, ENTRIES_MAX, MEMBERS, NO_OP
from wal.log import Log
from wal.record import Commit, Compact, Entry, HardState, Reset, Truncate

Item = tuple[bytes, int, int]
"""PySyncObj's entry: command, index, term."""


class RaftJournal(Journal):  # type: ignore[misc]  # the library is untyped
    """Entries, term, vote and commit index of one node; see `cluster.raft.boot` for its birth."""

    def __init__(
        self,
        log: Log,
        *,
        base_index: int,
        base_term: int,
        entries: Sequence[Item],
        hard_state: HardState,
        commit_index: int,
        members: Members,
    ) -> None:
        """`members` is what counts at the base; what the entries say comes on top."""
        self._log = log
        self._entries: list[Item] = [(NO_OP, base_index, base_term), *entries]
        self._hard_state = hard_state
        self._commit_index = commit_index
        self._commit_recorded = commit_index
        self._members = [(base_index, members)]
        """From which index on who takes part; the first counts from before the base."""
        for command, index, _ in entries:
            self._note_members(command, index)

    # -- what the guard and the engine ask

    @property
    def dirty(self) -> bool:
        """Whether records wait for `Log.sync`."""
        return self._log.dirty

    @property
    def abstains(self) -> bool:
        """Whether this node may have forgotten promises; see `cluster.raft.abstaining`."""
        return self._hard_state.abstains

    @property
    def empty(self) -> bool:
        """Whether no leader has appended anything, as in a cluster that has not begun.

        Terms of leaders begin at 1.  Of term 0 is the empty index 1, and the index at which a
        cluster is restored from a backup (`cluster.backup`).
        """
        return self.last_term == 0

    @property
    def members(self) -> Members:
        """Who takes part, by the newest entry that says so, committed or not."""
        return self._members[-1][1]

    @property
    def members_index(self) -> int:
        """The index of that entry; the base's when it is in no entry above."""
        return self._members[-1][0]

    def members_at(self, index: int) -> Members:
        """Return who took part as of `index`, which is not below the base."""
        return next(members for since, members in reversed(self._members) if since <= index)

    @property
    def base_index(self) -> int:
        return self._entries[0][1]

    @property
    def base_term(self) -> int:
        return self._entries[0][2]

    @property
    def last_index(self) -> int:
        return self._entries[-1][1]

    @property
    def last_term(self) -> int:
        return self._entries[-1][2]

    def term_at(self, index: int) -> int | None:
        """Return the term of the entry at `index`, None when it is not held."""
        position = index - self.base_index
        return self._entries[position][2] if 0 <= position < len(self._entries) else None

    def between(self, first: int, last: int) -> list[Item]:
        """Return the entries `first` to `last`, both included and both above the base."""
        assert first > self.base_index
        assert last <= self.last_index
        return self._entries[first - self.base_index : last - self.base_index + 1]

    # -- what the engine does to it

    def compact(self, base_index: int) -> None:
        """Make `base_index` the base; a snapshot that covers it must be durable."""
        position = base_index - self.base_index
        if position <= 0:
            return
        assert position < len(self._entries)
        self._members = [
            (base_index, self.members_at(base_index)),
            *(item for item in self._members if item[0] > base_index),
        ]
        del self._entries[:position]
        self._record(Compact(base_index))

    def rebase(self, index: int, term: int, members: Members) -> None:
        """Drop everything; the snapshot at `index`, which must be durable, is all there is."""
        self._entries = [(NO_OP, index, term)]
        self._members = [(index, members)]
        self._commit_index = self._commit_recorded = index
        self._log.append(Reset())

    def forget(self) -> None:
        """The disk lost promises of this node: it abstains from now on."""
        hard_state = HardState(self._hard_state.term, self._hard_state.vote, abstains=True)
        self._record(hard_state)
        self._hard_state = hard_state

    def trust(self) -> None:
        """Whatever promises were forgotten, none can do harm any more: take part again."""
        hard_state = self._hard_state
        self._record(HardState(hard_state.term, hard_state.vote))
        self._hard_state = HardState(hard_state.term, hard_state.vote)

    # -- PySyncObj's interface

    def add(self, command: bytes, idx: int, term: int) -> None:
        assert idx == self.last_index + 1
        assert term >= self.last_term
        self._entries.append((command, idx, term))
        self._note_members(command, idx)
        self._record(Entry(idx, term, command))

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        index = self.base_index + entryFrom
        if index > self.last_index:
            return
        assert index > self._commit_index
        del self._entries[entryFrom:]
        while self._members[-1][0] >= index:
            self._members.pop()
        self._record(Truncate(index))

    @overload
    def __getitem__(self, item: int) -> Item: ...
    @overload
    def __getitem__(self, item: slice) -> list[Item]: ...
    def __getitem__(self, item: int | slice) -> Item | list[Item]:
        """Return entries by position; an open slice ends where one message would be full.

        PySyncObj slices to the end and then keeps what one message holds: for a follower
        that is far behind, that would copy the whole rest of the log for each message.
        """
        if isinstance(item, int):
            return self._entries[item]
        if item.stop is not None:
            return self._entries[item]
        start = item.start
        assert start is not None
        assert start >= 0
        size = 0
        stop = start
        for stop in range(start + 1, min(len(self._entries), start + ENTRIES_MAX) + 1):
            size += len(self._entries[stop - 1][0])
            if size >= BATCH_BYTES_MAX:
                break
        return self._entries[start:stop]

    def __len__(self) -> int:
        return len(self._entries)

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        assert self._commit_index <= raftCommitIndex <= self.last_index
        self._commit_index = raftCommitIndex

    def getRaftCommitIndex(self) -> int:
        return self._commit_index

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        assert term >= self._hard_state.term
        hard_state = HardState(term, votedForNodeId, self._hard_state.abstains)
        if hard_state != self._hard_state:
            self._hard_state = hard_state
            self._record(hard_state)

    def getCurrentTerm(self) -> int:
        return self._hard_state.term

    def getVotedForNodeId(self) -> str | None:
        return self._hard_state.vote

    def clear(self) -> None:
        raise AssertionError("only PySyncObj's own loading of a dump does this; it is not used")

    def deleteEntriesTo(self, entryTo: int) -> None:
        raise AssertionError("only PySyncObj's own compaction does this; it is off")

    def _destroy(self) -> None:
        """Nothing to close: the log is its opener's."""

    def _note_members(self, command: bytes, index: int) -> None:
        if command[:1] == MEMBERS:
            self._members.append((index, Members.decode(command[1:])))

    def _record(self, record: Entry | HardState | Truncate | Compact) -> None:
        self._log.append(record)
        if self._commit_index > self._commit_recorded:
            self._commit_recorded = self._commit_index
            self._log.append(Commit(self._commit_index))
