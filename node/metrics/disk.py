"""Figures of the log and of the disk that it is on.  Talks to the file system: statvfs."""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric

from cluster.vitals import Storage
from node.metrics.families import counter, gauge, histogram
from wal.log import LogStatistics


class Folder:
    """The file system of one folder, which must not be asked for its content: it may hang."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def storage(self) -> Storage:
        """Return what is free for this user, and how much there is; unknown if it cannot be had."""
        try:
            figures = os.statvfs(self._path)
        except OSError:
            return Storage()
        reserved = figures.f_bfree - figures.f_bavail  # for root alone
        free, total = figures.f_bavail, figures.f_blocks - reserved
        return Storage(free_bytes=free * figures.f_frsize, total_bytes=total * figures.f_frsize)


def of_storage(known: Storage | None, folder: Folder | None) -> Iterator[Metric]:
    """Yield how full the disk is: as the replica knows it, or else as the system says."""
    if (known is None or known.free_bytes < 0) and folder is not None:
        known = folder.storage()
    if known is None or known.free_bytes < 0:
        return
    yield gauge("disk_free_bytes", "Free on the log's file system", known.free_bytes)
    yield gauge("disk_size_bytes", "Size of the log's file system", known.total_bytes)


def of_log(wal: LogStatistics) -> Iterator[Metric]:
    """Yield what was written, and how long it took to make it durable."""
    yield gauge("wal_segments", "Segment files", wal.segments)
    yield gauge("wal_bytes", "Bytes of all segments", wal.bytes)
    yield gauge("wal_gathered_bytes", "Bytes that wait for the next sync", wal.gathered_bytes)
    yield counter("wal_frames", "Frames written", wal.frames)
    yield counter("wal_written_bytes", "Bytes written", wal.frame_bytes)
    yield counter("wal_syncs", "Times the log was made durable", wal.syncs)
    yield counter("wal_sync_seconds", "Time spent making it durable", wal.sync_seconds_total)
    yield histogram("wal_fsync_seconds", "Each time of making it durable", wal.sync_buckets)
    yield gauge("wal_sync_last_seconds", "The last sync", wal.sync_seconds_last)
    yield gauge("wal_sync_max_seconds", "The longest sync", wal.sync_seconds_max)
    yield gauge("wal_poisoned", "1 when the disk failed", wal.poisoned)
