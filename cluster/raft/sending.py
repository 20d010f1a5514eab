"""What a leader sends its followers: appends, heartbeats of its own, snapshots.  No I/O but reading
chunks from the snapshot store.

    PySyncObj wants to send      what leaves
    entries, or a heartbeat      append_entries, numbered; nothing more once too much is under way
    a snapshot                   chunks within the window, else a question per heartbeat

Source: Raft thesis (Ongaro 2014), sections 5.2, 10.2.1; DESIGN.md.
"""

from typing import Any

from cluster.raft.leadership import Follower, Leadership
from cluster.raft.messages import AppendEntries, LogEntry
from cluster.raft.parts import Parts
from cluster.raft.snapshots import SnapshotSender
from wal.errors import FileGone
from wal.snapshot import SnapshotStore


class Sending:
    """For the term that this node leads."""

    def __init__(self, parts: Parts, store: SnapshotStore, chunk_bytes: int) -> None:
        self._parts = parts
        self._store = store
        self._chunk_bytes = chunk_bytes

    def append(self, leadership: Leadership, peer: str, message: dict[str, Any]) -> None:
        """Send what PySyncObj wants `peer` to have."""
        follower = leadership.followers[peer]
        now_s = self._parts.clock()
        if "prevLogIdx" not in message:
            # Without this it asks again and again, for a whole heartbeat (1267-1337).
            follower.lagging = True
            self._parts.core.pause(peer)
            self.snapshot(leadership, peer, follower, now_s)
            return
        entries = tuple(LogEntry(*entry) for entry in message["entries"])
        append = AppendEntries(
            term=message["term"],
            request=leadership.next_request(),
            prev_index=message["prevLogIdx"],
            prev_term=message["prevLogTerm"],
            commit_index=message["commit_index"],
            entries=entries,
            quiet=self._parts.core.only_tells and not entries,
            vouched=follower.memory.vouched(message["prevLogIdx"], message["commit_index"]),
        )
        self._send(peer, append)
        if entries:
            follower.sent(append.request, sum(len(entry.command) for entry in entries))
        if follower.full:
            follower.paused = True
            follower.heartbeat_due_s = now_s + self._parts.timing.heartbeat_s
            self._parts.core.pause(peer)

    def keep_up(self, leadership: Leadership, peer: str, follower: Follower, now_s: float) -> None:
        """Send a paused follower its heartbeats: their answers say how far it came."""
        if now_s >= follower.heartbeat_due_s:
            follower.heartbeat_due_s = now_s + self._parts.timing.heartbeat_s
            prev_index = max(follower.proven_index, self._parts.journal.base_index)
            self.question(leadership, peer, follower, prev_index)

    def question(
        self, leadership: Leadership, peer: str, follower: Follower, prev_index: int
    ) -> None:
        """Ask whether `peer` holds the entry at `prev_index`, which is in the log here."""
        core, prev_term = self._parts.core, self._parts.journal.term_at(prev_index)
        assert prev_term is not None
        append = AppendEntries(
            term=core.term,
            request=leadership.next_request(),
            prev_index=prev_index,
            prev_term=prev_term,
            commit_index=core.commit_index,
            vouched=follower.memory.vouched(prev_index, core.commit_index),
        )
        self._send(peer, append)

    def snapshot(self, leadership: Leadership, peer: str, follower: Follower, now_s: float) -> None:
        """Send the chunks of a snapshot that may leave now, of the newest one if none is begun."""
        sender = follower.sender
        base_index = self._parts.journal.base_index
        if sender is None or sender.meta.index < base_index:
            newest = self._store.latest()
            assert newest is not None
            assert newest.index >= base_index
            sender = follower.sender = SnapshotSender(
                self._store, newest, now_s, chunk_bytes=self._chunk_bytes
            )
        due_s = now_s + self._parts.timing.heartbeat_s
        try:
            while True:
                request = leadership.request + 1
                chunk = sender.next_chunk(term=leadership.term, request=request)
                if chunk is None and now_s >= follower.heartbeat_due_s:
                    chunk = sender.question(term=leadership.term, request=request)
                if chunk is None:
                    return
                leadership.next_request()
                follower.heartbeat_due_s = due_s
                self._parts.promise(peer, chunk)
        except FileGone:
            follower.sender = None  # replaced while it was read: the next send takes the newest

    def _send(self, peer: str, append: AppendEntries) -> None:
        """Send before the sync: an append promises nothing but that its term has this one leader.

        Who votes alone is elected before its term is durable, and may be again, in that very
        term, if it dies now: its learners wait for the sync.
        """
        if self._parts.others:
            self._parts.outbox.early.append((peer, append))
        else:
            self._parts.promise(peer, append)
