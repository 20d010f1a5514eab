"""A disk that is slow, full, or fails to sync.  Blocks, as disks do: the log calls from a thread.

    sync_ms      each sync takes so much longer
    sync_fails   each sync says EIO
    disk_full    no byte is written any more, ENOSPC; none is free

What fails is said as the file system says it (`StorageFailed`, `DiskFull`), so what a node does about it is
what it would do about the real thing.
"""

import threading
from collections.abc import Callable

from node.chaos.faults import Part
from wal.disk import Disk
from wal.errors import DiskFull, StorageFailed

SLICE_S = 0.02
"""A slow sync looks this often whether it still has to be slow."""


class ChaosDisk(Disk):
    """Another disk, as it would be with the present effect."""

    def __init__(self, disk: Disk, effect: Callable[[], Part]) -> None:
        self._disk = disk
        self._effect = effect
        self._never = threading.Event()

    def names(self) -> list[str]:
        return self._disk.names()

    def path_of(self, name: str) -> str:
        return self._disk.path_of(name)

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        return self._disk.read(name, offset=offset, size=size, fresh=fresh)

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._check_room(name, "write")
        self._disk.write(name, offset, data)

    def sync(self, name: str) -> None:
        self._drag()
        self._check_sync(name, "fdatasync")
        self._disk.sync(name)

    def truncate(self, name: str, size: int) -> None:
        self._disk.truncate(name, size)

    def rename(self, old: str, new: str) -> None:
        self._disk.rename(old, new)

    def remove(self, name: str) -> None:
        self._disk.remove(name)

    def sync_folder(self) -> None:
        self._drag()
        self._check_sync("", "fsync")
        self._disk.sync_folder()

    def release(self, name: str) -> None:
        self._disk.release(name)

    def bytes_free(self) -> int:
        return 0 if self._effect().disk_full else self._disk.bytes_free()

    def bytes_total(self) -> int:
        return self._disk.bytes_total()

    def close(self) -> None:
        self._disk.close()

    def _drag(self) -> None:
        dragged_ms = 0.0
        while dragged_ms < self._effect().sync_ms:
            self._never.wait(SLICE_S)
            dragged_ms += SLICE_S * 1000

    def _check_sync(self, name: str, operation: str) -> None:
        if self._effect().sync_fails:
            raise StorageFailed(self.path_of(name), operation, "Input/output error (EIO)")

    def _check_room(self, name: str, operation: str) -> None:
        if self._effect().disk_full:
            raise DiskFull(self.path_of(name), operation, "No space left on device (ENOSPC)")
