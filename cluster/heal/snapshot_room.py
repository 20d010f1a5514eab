"""Row 8, a follower without room for the leader's snapshot: said, with what it needs.  No I/O.

    room for it       the transfer goes on
    no room           failed, once, and once in AGAIN_S; `cluster.raft.room` tries again by itself
    held after all    done

It follows the leader and votes meanwhile, but what it has applied grows old: its standing is
`catching_up`, with the reason.
"""

from cluster.heal.decision import Decision
from cluster.heal.picture import Seen
from cluster.heal.rules import DISK_FULL
from cluster.heal.space import in_words
from cluster.raft.results import RaftStatus
from cluster.raft.room import Lack

AGAIN_S = 3600.0
"""What is still so is said again; till then the standing has it."""


def reason(raft: RaftStatus) -> str:
    """Return in words what this node waits for, nothing where it does not."""
    lack = raft.lack
    if lack is None:
        return ""
    return (
        f"{_words(lack)}: make room on its disk, or give it a larger one; it tries again by itself,"
        f" at most {lack.pause_s:g} s after there is room"
    )


class SnapshotRoom:
    """Whether this node lacked room for a snapshot when it looked last."""

    def __init__(self) -> None:
        self._lack: Lack | None = None
        self._told_s = float("-inf")

    def look(self, seen: Seen) -> list[Decision]:
        before, self._lack = self._lack, seen.raft.lack
        if self._lack is None:
            self._told_s = float("-inf")
            return [] if before is None else [_came(seen, before)]
        if seen.now_s - self._told_s < AGAIN_S:
            return []
        self._told_s = seen.now_s
        done = "not taken: it waits for room, and tries again more and more rarely"
        return [_decision(self._lack, _words(self._lack), done, failed=True)]


def _came(seen: Seen, lack: Lack) -> Decision:
    words = f"what the snapshot at {lack.index} holds is here"
    return _decision(lack, words, f"goes on from {seen.raft.applied_index}")


def _words(lack: Lack) -> str:
    return (
        f"the leader's snapshot at {lack.index} has {in_words(lack.needed_bytes)} or more, and the"
        f" disk has {in_words(lack.room_bytes)} for it"
    )


def _decision(lack: Lack, words: str, done: str, *, failed: bool = False) -> Decision:
    figures = {
        "index": lack.index,
        "needed_bytes": lack.needed_bytes,
        "room_bytes": lack.room_bytes,
    }
    return Decision(DISK_FULL, words, done, figures, outcome="failed" if failed else "done")
