"""From what the disk remembers to a journal that PySyncObj can start on.  No I/O.

    snapshot   log                             start
    none       empty, or from 2                the log, base 1
    at S       holds S with the same term      the log from its first entry, or from S
    at S       ends before S, or differs at S  nothing but S: the log is reset
    at S       begins behind S + 1             refused: entries between are gone
    any        term below its last entry's     refused: the hard state is lost
    any        ends before its commit index    refused: committed entries are gone
    any        ends before what was applied    refused, the same
    at S       committed another entry at S    refused: one of them is not of this history

A crash between "snapshot durable" and "log cut" leaves a log that overlaps its snapshot.
PySyncObj throws such a log away, with what it acknowledged behind the snapshot (hole 2);
here the entries behind it stay.

Source: Raft thesis (Ongaro 2014), section 5.1; DESIGN.md, holes 2, 7, 9, 10.
"""

from collections.abc import Set

from cluster.raft.journal import RaftJournal
from cluster.raft.members import Members
from cluster.raft.messages import PeerError, check_command
from wal.errors import StorageError
from wal.log import Log
from wal.record import Entry
from wal.recovery import Recovered
from wal.snapshot import SnapshotMeta


class LogRefused(StorageError):
    """The log cannot be started on; setting it aside would not mend that."""


class HistoryBroken(LogRefused):
    """Log and snapshot do not make one history; starting would forget something."""


def restore(
    log: Log,
    recovered: Recovered,
    snapshot: SnapshotMeta | None,
    configured: Members,
    *,
    off: Set[str] = frozenset(),
) -> RaftJournal:
    """Return the journal to start on; the log may be dirty after.  Raises `LogRefused`.

    `configured` are the members where neither the snapshot nor the log names any: those of a
    cluster that begins (hole 7).
    """
    entries = recovered.entries
    _check_entries(entries)
    members = configured if snapshot is None else members_of(snapshot)
    index, term = (1, 0) if snapshot is None else (snapshot.index, snapshot.term)
    _check_hard_state(recovered, entries, term)
    last_index = max(index, entries[-1].index if entries else 0)
    if recovered.commit_index > last_index:
        raise HistoryBroken(
            f"the log ends at {last_index} but {recovered.commit_index} was committed:"
            " entries are gone; move the data directory away and let this node join anew"
        )
    if entries and entries[0].index > index + 1:
        raise HistoryBroken(
            f"the log begins at {entries[0].index} but the snapshot ends at {index}:"
            " entries are gone; move the data directory away and let this node join anew"
        )
    here = _term_at(entries, index)
    if here not in (None, term) and recovered.commit_index >= index:
        raise HistoryBroken(
            f"the snapshot ends with (index {index}, term {term}) but the log committed term"
            f" {here} there; move the data directory away and let this node join anew"
        )
    if entries and entries[0].index == index + 1:
        base_index, base_term, kept, reset = index, term, entries, False
    elif here == term and "align" not in off:
        base_index, base_term, kept, reset = entries[0].index, entries[0].term, entries[1:], False
    else:
        base_index, base_term, kept = index, term, []
        reset = bool(entries) or recovered.ledger.next_index not in (0, index + 1)
    journal = RaftJournal(
        log,
        base_index=base_index,
        base_term=base_term,
        entries=[(entry.payload, entry.index, entry.term) for entry in kept],
        hard_state=recovered.hard_state,
        commit_index=max(recovered.commit_index, index),
        members=members,
    )
    if reset:
        journal.rebase(index, term, members)
    return journal


def check_applied(journal: RaftJournal, applied_index: int) -> None:
    """Raise `HistoryBroken` unless the log holds what a state that goes on has applied."""
    if journal.base_index != applied_index and journal.term_at(applied_index) is None:
        raise HistoryBroken(
            f"the log holds {journal.base_index} to {journal.last_index}, but {applied_index} was"
            " applied: it is not the log of this state; start the node anew"
        )


def members_of(snapshot: SnapshotMeta) -> Members:
    """Return the members as of a snapshot.

    Raises `LogRefused` when that is not readable: it was written by another version.
    """
    try:
        return Members.decode(snapshot.members)
    except ValueError as error:
        raise LogRefused(
            f"the members in the snapshot at {snapshot.index} cannot be read: {error}; start"
            " the version of the program that wrote it"
        ) from None


def _term_at(entries: list[Entry], index: int) -> int | None:
    """Return the term of the entry at `index`, None when it is not there."""
    if not entries or not entries[0].index <= index <= entries[-1].index:
        return None
    return entries[index - entries[0].index].term


def _check_entries(entries: list[Entry]) -> None:
    before: Entry | None = None
    for entry in entries:
        if before is not None and (entry.index != before.index + 1 or entry.term < before.term):
            raise HistoryBroken(
                f"the log goes from (index {before.index}, term {before.term})"
                f" to (index {entry.index}, term {entry.term})"
            )
        try:
            check_command(entry.payload, entry.index)
        except PeerError as error:
            raise LogRefused(f"the log holds what no node writes: {error}") from None
        before = entry


def _check_hard_state(recovered: Recovered, entries: list[Entry], snapshot_term: int) -> None:
    term = max(snapshot_term, entries[-1].term if entries else 0)
    if recovered.hard_state.term < term:
        raise HistoryBroken(
            f"the log speaks of term {term} but the node remembers term"
            f" {recovered.hard_state.term} only: its vote is lost; move the data directory"
            " away and let this node join anew"
        )
