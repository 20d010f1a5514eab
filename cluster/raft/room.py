"""A snapshot for which a follower has no room: put off, and tried again.  No I/O.

    taken ──no room──▶ put off for PAUSE_S, twice that, … PAUSE_S_MAX ──more room──▶ taken again
                              ▲                                  │
                              └─────────── as little as before ──┘

Nothing is promised on what has come so far, so no room for it is no failure of the log.  How large
the snapshot is nobody says; that it is larger than what found no room is known, and it is not
sent again before there is more.
"""

from dataclasses import dataclass

PAUSE_S = 1.0
PAUSE_S_MAX = 30.0
SLACK_BYTES = 1024**2
"""What a file takes beyond its bytes, and what else is written meanwhile."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A snapshot that is waited with."""

    index: int
    needed_bytes: int
    """It has so many, or more."""
    room_bytes: int
    """What the disk has for it."""
    pause_s: float
    """From one try to the next."""


class Room:
    """One follower's memory of what it had no room for."""

    def __init__(self) -> None:
        self._lack: Lack | None = None
        self._again_s = float("-inf")

    def lack(self, commit_index: int) -> Lack | None:
        """Return what is waited with, None where that much is held by now."""
        lack = self._lack
        return lack if lack is not None and lack.index > commit_index else None

    def is_due(self, now_s: float) -> bool:
        """Whether a snapshot may be looked at, as far as the pause goes."""
        return self._lack is None or now_s >= self._again_s

    def is_enough(self, index: int, room_bytes: int) -> bool:
        """Whether the snapshot at `index` may fit into `room_bytes`, after all that is known."""
        lack = self._lack
        return lack is None or lack.index != index or room_bytes >= lack.needed_bytes + SLACK_BYTES

    def put_off(self, index: int, needed_bytes: int, room_bytes: int, now_s: float) -> None:
        """The snapshot at `index` has `needed_bytes` or more, and does not fit."""
        before = self._lack
        pause_s = min(before.pause_s * 2, PAUSE_S_MAX) if before is not None else PAUSE_S
        if before is not None and before.index == index:
            needed_bytes = max(needed_bytes, before.needed_bytes)
        self._lack = Lack(index, needed_bytes, max(room_bytes, 0), pause_s)
        self._again_s = now_s + pause_s

    def found(self) -> None:
        """A snapshot was installed."""
        self._lack = None
