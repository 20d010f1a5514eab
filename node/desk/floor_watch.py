"""Supervisors who watch queues, told of what changed.  No I/O: sessions are told.

A row that was told differs from the one of now, or is not told again; all are looked at once in
`PAUSE_S`, only where somebody watches, and never while they are still being counted.
"""

from collections.abc import Callable, Iterable
from typing import Any

from node.desk.floor import Floor, Watched, empty_row
from node.desk.session import Session
from node.protocol.catalogue import QueueRowsPush
from node.protocol.results import QueueRow

PAUSE_S = 1.0
ROWS_MAX = 200
"""In one push: some 40 KiB."""


class FloorWatch:
    """Sessions that watch, and what they were told."""

    def __init__(
        self, floor: Floor, *, now_ms: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self.floor = floor
        self._now_ms = now_ms
        self._clock = clock
        self._watching: dict[Session, Watched] = {}
        self._looked_at = -PAUSE_S

    def __len__(self) -> int:
        return len(self._watching)

    def rows(self, queues: Iterable[str]) -> dict[str, Any]:
        """Return some queues, or all, as they are now."""
        known = self.floor.queues()
        there = frozenset(known)
        rows = [self._row(queue, there) for queue in dict.fromkeys(queues or known)]
        return {"rows": rows, "now": self._now_ms()}

    def begin(self, session: Session, queues: Iterable[str]) -> dict[str, Any]:
        """Return what `rows` does, and tell `session` what changes from then on."""
        answer = self.rows(queues)
        session.watching = tuple(queues)
        self._watching[session] = Watched(queues, answer["rows"])
        return answer

    def adopt(self, session: Session) -> None:
        """Go on for a session that another process of this node told: all of it once more."""
        if session.watching is not None:
            self._watching[session] = Watched(session.watching, ())

    def forget(self, session: Session) -> None:
        """Tell `session` no more.  Harmless when it does not watch."""
        self._watching.pop(session, None)
        session.watching = None

    def sweep(self) -> None:
        """Tell everybody what changed, if it is time."""
        now = self._clock()
        if not self._watching or now < self._looked_at + PAUSE_S or not self.floor.complete:
            return
        self._looked_at = now
        rows = {queue: self.floor.row(queue) for queue in self.floor.queues()}
        for session, watched in list(self._watching.items()):
            while session.has_room and (news := watched.news(rows, ROWS_MAX)):
                session.send(QueueRowsPush(rows=news, now=self._now_ms()))

    def _row(self, queue: str, known: frozenset[str]) -> QueueRow:
        return self.floor.row(queue) if queue in known else empty_row(queue)
