"""How this node's disk does: room, and how long its syncs take.  Talks to the disk, in a thread.

    statvfs, twice a second  ─┐
    the log's own figures    ─┴──▶ Storage ──▶ vitals, `cluster.heal`

A disk that hangs may hold the look at its room for as long; the figures of syncs need no disk.
"""

import structlog
import trio

from cluster.vitals import BYTES_MAX, Storage
from wal.disk import Disk
from wal.errors import StorageFailed
from wal.log import Log

SAMPLE_S = 0.5

log = structlog.get_logger()


class DiskWatch:
    """`sample` once in a thread before anybody asks, then `run`."""

    def __init__(self, disk: Disk, wal: Log) -> None:
        self._disk = disk
        self._wal = wal
        self._room = (-1, -1)
        self._limiter = trio.CapacityLimiter(1)
        self._failing = ""

    def sample(self) -> None:
        """Look how much room there is.  Blocks."""
        try:
            free, total = self._disk.bytes_free(), self._disk.bytes_total()
            self._room = (min(free, BYTES_MAX), min(total, BYTES_MAX))
            self._failing = ""
        except StorageFailed as error:
            self._room = (-1, -1)
            if str(error) != self._failing:
                log.warning("no look at the disk's room", why=str(error))
            self._failing = str(error)

    def storage(self) -> Storage:
        """Return the figures of now; the room's are SAMPLE_S old at most, unless the disk hangs."""
        syncs = self._wal.recent_syncs()
        free, total = self._room
        return Storage(
            free_bytes=free,
            total_bytes=total,
            sync_p99_ms=round(1000 * syncs.p99_s, 2) if syncs.count else -1.0,
            syncs_slow=syncs.slow,
            sync_running_ms=round(1000 * syncs.running_s, 1),
        )

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await trio.to_thread.run_sync(
                self.sample, limiter=self._limiter, abandon_on_cancel=True
            )
            await trio.sleep(SAMPLE_S)
