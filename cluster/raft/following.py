"""The follower's side: appends and snapshot chunks in, acks out.  No I/O but the snapshot
store's.

    a leader's message          what PySyncObj sees of it              the answer
    append_entries              what the log does not hold yet         append_ack: what was proven
    snapshot_chunk              who leads, in which term               snapshot_ack: offset expected
    the last chunk, installed   the log begins behind the snapshot     append_ack
    the last chunk, too early   who leads, in which term               snapshot_ack: once more
    a snapshot held already     who leads                              append_ack
    one without room for it     who leads                              snapshot_ack: of none
    of a term that is over      nothing                                newer_term
    memory_lost                 nothing                                this node abstains

A leader that contradicts what is known - two in one term, an entry against a committed one -
is refused with `PeerError`: nothing it says can be trusted, and nothing is changed.

Source: Raft thesis (Ongaro 2014), figures 3.1 and 5.3; DESIGN.md, holes 4, 5, 15, 20.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cluster.raft import guard
from cluster.raft.messages import (
    AppendAck,
    AppendEntries,
    MemoryLost,
    PeerError,
    ReadAck,
    ReadProbe,
    SnapshotAck,
    SnapshotChunk,
)
from cluster.raft.parts import Parts
from cluster.raft.room import Room
from cluster.raft.snapshots import NO_SNAPSHOT, SnapshotReceiver
from wal.errors import CorruptSnapshot, DiskFull, ForeignLog, SnapshotRefused
from wal.snapshot import SnapshotMeta, SnapshotStore


class Following:
    """Acts on what leaders send."""

    def __init__(
        self,
        parts: Parts,
        store: SnapshotStore,
        on_install: Callable[[SnapshotMeta], None],
    ) -> None:
        self._parts = parts
        self._store = store
        self._receiver = SnapshotReceiver(store)
        self.room = Room()
        self._on_install = on_install
        self._answering: tuple[AppendEntries, int] | None = None
        """The append that PySyncObj is about to answer, and the next index to say."""

    def on_append(self, source: str, message: AppendEntries) -> None:
        if not self._follow(source, message.term):
            return
        core = self._parts.core
        off = self._parts.off
        fitted = guard.fit_append(self._parts.journal, message, core.commit_index, off=off)
        self._answering = (message, fitted.next_index)
        core.receive(source, _append_entries(fitted.message))
        self._answering = None
        self._take_voucher(message)

    def _take_voucher(self, message: AppendEntries) -> None:
        """Take part again if the leader says so and the log holds what that hangs on."""
        parts = self._parts
        if not message.vouched or message.vouched != parts.forgetful_life:
            return
        if parts.journal.term_at(message.prev_index) == message.prev_term:
            parts.core.vote_for_leader()
            parts.journal.trust()

    def send_ack(self, source: str, message: dict[str, Any]) -> None:
        """Send PySyncObj's answer, saying no more than the append proved."""
        assert self._answering is not None
        append, next_index = self._answering
        if append.quiet and message["success"]:
            return
        self._acknowledge(source, append.request, next_index, success=message["success"])

    def on_chunk(self, source: str, chunk: SnapshotChunk) -> None:
        if not self._follow(source, chunk.term):
            return
        parts, core = self._parts, self._parts.core
        commit_index = chunk.index if "snapshot_commit" in parts.off else 0
        core.receive(
            source,
            {"type": "append_entries", "term": chunk.term, "commit_index": commit_index},
        )
        if self._has(chunk.index, chunk.index_term):
            self._receiver.drop()
            self._acknowledge(source, chunk.request, chunk.index + 1, success=True)
            return
        if chunk.done and parts.journal.dirty:
            # A snapshot is durable at once, so the term it came in must be durable before it.
            self._ask_on(source, chunk, self._receiver.received(source, chunk))
            return
        if self.room.is_due(parts.clock()):
            with suppress(DiskFull):
                if self._may_fit(chunk):
                    self._take(source, chunk)
                    return
            self._receiver.drop()
            self._put_off(chunk)
        self._refuse(source, chunk)

    def _may_fit(self, chunk: SnapshotChunk) -> bool:
        """Whether there is room for the whole snapshot, after all that is known of it."""
        return self.room.is_enough(chunk.index, self._store.room() + self._receiver.held_bytes)

    def _take(self, source: str, chunk: SnapshotChunk) -> None:
        """Take a chunk, and the whole with the last one.  Raises `DiskFull`."""
        offset, complete = self._receiver.accept(source, chunk)
        if complete is not None:
            try:
                meta = complete.install()
            except (CorruptSnapshot, ForeignLog, SnapshotRefused):
                offset = 0  # damaged on the way: from the start
            else:
                self.room.found()
                self._on_install(meta)
                self._acknowledge(source, chunk.request, chunk.index + 1, success=True)
                return
        self._ask_on(source, chunk, offset)

    def _put_off(self, chunk: SnapshotChunk) -> None:
        """Wait with a snapshot of which at least this much does not fit."""
        needed_bytes = chunk.offset + max(len(chunk.data), 1)
        self.room.put_off(chunk.index, needed_bytes, self._store.room(), self._parts.clock())

    def _refuse(self, source: str, chunk: SnapshotChunk) -> None:
        """Say that this node lives and takes no snapshot now: its leader asks again."""
        parts = self._parts
        ack = SnapshotAck(parts.core.term, chunk.request, NO_SNAPSHOT, 0, parts.forgetful_life)
        parts.promise(source, ack)

    def on_read_probe(self, source: str, message: ReadProbe) -> None:
        parts = self._parts
        if message.term < parts.core.term:
            self._parts.object(source)
        elif message.term == parts.core.term and parts.core.leader == source:
            parts.elections.leader_heard(source, parts.clock())
            parts.promise(source, ReadAck(message.term, message.request, parts.forgetful_life))

    def on_memory_lost(self, source: str, message: MemoryLost) -> None:
        """Abstain, unless the entry is here: filled again meanwhile, or another's word."""
        parts, core = self._parts, self._parts.core
        if parts.abstains or (message.term, source) != (core.term, core.leader):
            return
        if not guard.holds(parts.journal, message.index, message.index_term, core.commit_index):
            parts.journal.forget()

    def _follow(self, source: str, term: int) -> bool:
        """Whether `source` leads a term that is not over; the election timer starts anew."""
        core = self._parts.core
        if term < core.term:
            self._parts.object(source)
            return False
        if term == core.term and core.leader not in (None, source):
            raise PeerError(f"term {term} is led by {core.leader} already")
        self._parts.elections.leader_heard(source, self._parts.clock())
        return True

    def _has(self, index: int, term: int) -> bool:
        if "old_snapshot" in self._parts.off:
            return False
        commit_index = self._parts.core.commit_index
        return guard.holds(self._parts.journal, index, term, commit_index)

    def _acknowledge(self, source: str, request: int, next_index: int, *, success: bool) -> None:
        parts = self._parts
        ack = AppendAck(parts.core.term, request, success, next_index, parts.forgetful_life)
        parts.promise(source, ack)

    def _ask_on(self, source: str, chunk: SnapshotChunk, offset: int) -> None:
        """Say where the transfer of a snapshot is to go on."""
        parts = self._parts
        ack = SnapshotAck(parts.core.term, chunk.request, chunk.index, offset, parts.forgetful_life)
        parts.promise(source, ack)


def _append_entries(message: AppendEntries) -> dict[str, Any]:
    """PySyncObj's form of an append."""
    return {
        "type": "append_entries",
        "term": message.term,
        "commit_index": message.commit_index,
        "prevLogIdx": message.prev_index,
        "prevLogTerm": message.prev_term,
        "entries": [(entry.command, entry.index, entry.term) for entry in message.entries],
    }
