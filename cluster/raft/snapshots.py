"""A snapshot on its way from the leader to a follower that is too far behind.  Talks to the
snapshot store, nothing else.

    leader                                  follower
    chunk offset 0    ───────────────▶
    chunk offset 256k ───────────────▶      writes what fits its offset, drops the rest
                      ◀───────────────      ack: expects offset 256k
    chunk offset 512k ───x (lost)           ack: expects offset 512k
    chunk offset 768k ───────────────▶      not the one expected: dropped
                      ◀───────────────      ack: expects offset 512k
    chunk offset 512k ───────────────▶      the leader went back
      ...  done       ───────────────▶      checks the whole file, installs it, then acks entries
                      ◀───────────────      or: no room; ack of NO_SNAPSHOT, again and again
    question          ───────────────▶      has room by now: ack: expects offset 0

A transfer is one snapshot (index and term) from one leader in one term; a chunk of another
transfer starts anew at offset 0.  At most `WINDOW_CHUNKS` chunks are under way per follower;
each is read from the file when it leaves.  The whole file is checked before it replaces
anything.  An empty chunk is heartbeat and question in one.

Source: Raft thesis (Ongaro 2014), section 5.2 (InstallSnapshot with offset and done).
"""

from dataclasses import dataclass

from cluster.raft.members import Members
from cluster.raft.messages import CHUNK_BYTES_MAX, PeerError, SnapshotAck, SnapshotChunk
from wal.errors import CorruptSnapshot, ForeignLog, SnapshotRefused
from wal.snapfile import read_prefix
from wal.snapshot import Incoming, SnapshotMeta, SnapshotStore

WINDOW_CHUNKS = 4
NO_SNAPSHOT = 1
"""Acked as index by who takes none now: what a log begins with, which no snapshot is of.  A leader
of any release leaves the transfer as it is, and goes on asking."""
STALLED_S = 5.0
"""A transfer without progress for this long no longer holds back the next snapshot."""
HOLD_S_MAX = 120.0
"""Nor does one that has taken this long."""


class SnapshotSender:
    """The leader's side, for one follower and one snapshot."""

    def __init__(
        self,
        store: SnapshotStore,
        meta: SnapshotMeta,
        now_s: float,
        *,
        chunk_bytes: int = CHUNK_BYTES_MAX,
    ) -> None:
        assert 0 < chunk_bytes <= CHUNK_BYTES_MAX
        self.meta = meta
        self._chunk_bytes = chunk_bytes
        self._store = store
        self._started_s = now_s
        self._progress_s = now_s
        self._sent = 0
        """The next offset to send."""
        self._sent_max = 0
        self._acked = 0
        self._end: int | None = None
        """Size of the file, once its end was read."""
        self._acks_above = 0
        """Acks of requests up to this one are old: overtaken, or from before a step back."""

    def holds_back(self, now_s: float) -> bool:
        """Whether this transfer is worth keeping its file for."""
        return now_s - self._progress_s < STALLED_S and now_s - self._started_s < HOLD_S_MAX

    def next_chunk(self, *, term: int, request: int) -> SnapshotChunk | None:
        """Return the chunk to send as `request`, None while the window is full."""
        window_bytes = WINDOW_CHUNKS * self._chunk_bytes
        if self._sent == self._end or self._sent - self._acked >= window_bytes:
            return None
        data = self._store.read_chunk(self.meta, self._sent, self._chunk_bytes)
        done = len(data) < self._chunk_bytes
        offset = self._sent
        self._sent += len(data)
        self._sent_max = max(self._sent_max, self._sent)
        if done:
            self._end = self._sent
        return self._chunk(term, request, offset, data, done=done)

    def question(self, *, term: int, request: int) -> SnapshotChunk:
        """Return an empty chunk: it keeps the follower waiting and asks how far it is."""
        return self._chunk(term, request, self._acked, b"", done=False)

    def acked(self, ack: SnapshotAck, *, request_last: int, now_s: float) -> None:
        """Note how far the follower is; go back when it misses something.

        Raises `PeerError` when it claims bytes that were never sent.
        """
        if ack.index != self.meta.index or ack.request <= self._acks_above:
            return
        if ack.offset > self._sent_max:
            raise PeerError(f"offset {ack.offset} was never sent")
        self._acks_above = ack.request
        if ack.offset > self._acked:
            self._acked = ack.offset
            self._sent = max(self._sent, ack.offset)
            self._progress_s = now_s
        elif self._sent > ack.offset or self._end is not None:
            self._acked = self._sent = ack.offset
            self._end = None
            self._acks_above = request_last

    def _chunk(
        self, term: int, request: int, offset: int, data: bytes, *, done: bool
    ) -> SnapshotChunk:
        return SnapshotChunk(term, request, self.meta.index, self.meta.term, offset, data, done)


@dataclass(frozen=True, slots=True)
class _Transfer:
    source: str
    term: int
    index: int
    index_term: int

    @classmethod
    def of(cls, source: str, chunk: SnapshotChunk) -> "_Transfer":
        return cls(source, chunk.term, chunk.index, chunk.index_term)


class SnapshotReceiver:
    """The follower's side; one transfer at a time."""

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        self._transfer: _Transfer | None = None
        self._incoming: Incoming | None = None

    def accept(self, source: str, chunk: SnapshotChunk) -> tuple[int, Incoming | None]:
        """Take a chunk; return the offset expected next and, once, the complete file.

        Raises `PeerError` when it begins no snapshot of this cluster, or grows too large.
        """
        transfer = _Transfer.of(source, chunk)
        if transfer != self._transfer or self._incoming is None:
            self.drop()
            self._transfer = transfer
            self._incoming = self._store.incoming()
        incoming = self._incoming
        if chunk.offset != incoming.received:
            return incoming.received, None
        if chunk.offset == 0 and chunk.data:
            self._check_head(chunk)
        try:
            incoming.write(chunk.offset, chunk.data)
        except SnapshotRefused as error:
            self.drop()
            raise PeerError(f"snapshot_chunk: {error}") from None
        if not chunk.done:
            return incoming.received, None
        self._incoming = self._transfer = None
        return incoming.received, incoming

    def received(self, source: str, chunk: SnapshotChunk) -> int:
        """Return the offset expected next of the transfer that `chunk` is of."""
        incoming = self._incoming
        if incoming is None or self._transfer != _Transfer.of(source, chunk):
            return 0
        return incoming.received

    @property
    def held_bytes(self) -> int:
        """What has come so far takes up as much of the disk, until it is dropped."""
        return 0 if self._incoming is None else self._incoming.received

    def drop(self) -> None:
        """Forget what has come so far."""
        if self._incoming is not None:
            self._incoming.abandon()
        self._incoming = self._transfer = None

    def _check_head(self, chunk: SnapshotChunk) -> None:
        """Refuse, before anything is kept, what is not the announced snapshot of our cluster."""

        def read(offset: int, size: int) -> bytes:
            return chunk.data[offset : offset + size]

        try:
            meta = read_prefix("snapshot_chunk", read).meta
        except (CorruptSnapshot, ForeignLog) as error:
            raise PeerError(str(error)) from None
        if (meta.index, meta.term) != (chunk.index, chunk.index_term):
            raise PeerError(f"snapshot_chunk: of index {meta.index}, announced {chunk.index}")
        try:
            Members.decode(meta.members)
        except ValueError as error:
            raise PeerError(f"snapshot_chunk: members: {error}") from None
