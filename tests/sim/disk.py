"""A disk in memory that forgets what a real one may forget.  No I/O; chance comes in as `rng`.

    crash(power=True)    each unsynced 512-byte sector is there or not, a size that grew or
                         shrank may be the old one, each unsynced name change is there or not
    crash(power=False)   the process was killed: the page cache survives
    fail_sync_once()     EIO; some dirty sectors are written, all are called clean afterwards,
                         as Linux does: the next sync succeeds without them
    full_after(n)        n more bytes, then ENOSPC; the write that hits it is cut short
    flip_bit(name, at)   the medium rots
    cut(name, size)      what was synced is gone: the disk lied
    on_call(op, name)    is called before each operation as "write" and after it as "write.done";
                         it may raise `SimCrash`, after which the disk is gone until `crash`

Renames and removals reach the medium in any subset unless the folder was synced: more hostile
than a journalling file system, as hostile as POSIX allows.
"""

from collections.abc import Callable
from random import Random

from wal.disk import Disk
from wal.errors import DiskFull, FileGone, StorageFailed

SECTOR_BYTES = 512
BYTES_FREE = 1 << 40


class SimCrash(BaseException):
    """The machine or the process ends here."""


class _File:
    """Bytes on the medium, bytes in the page cache, and which sectors differ."""

    __slots__ = ("cached", "dirty", "durable")

    def __init__(self) -> None:
        self.durable = bytearray()
        self.cached = bytearray()
        self.dirty: set[int] = set()

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if len(self.cached) < end:
            self.dirty.update(_sectors(len(self.cached), end))
            self.cached.extend(bytes(end - len(self.cached)))
        self.cached[offset:end] = data
        self.dirty.update(_sectors(offset, end))

    def truncate(self, size: int) -> None:
        if size < len(self.cached):
            del self.cached[size:]
        elif size > len(self.cached):
            self.dirty.update(_sectors(len(self.cached), size))
            self.cached.extend(bytes(size - len(self.cached)))

    def sync(self) -> None:
        del self.durable[len(self.cached) :]
        self.durable.extend(bytes(len(self.cached) - len(self.durable)))
        for sector in self.dirty:
            self._write_back(sector)
        self.dirty.clear()

    def forget(self, rng: Random) -> None:
        """Keep what chance lets through of all that was not synced."""
        if len(self.cached) != len(self.durable) and rng.random() < 0.5:
            size = len(self.cached)
            del self.durable[size:]
            self.durable.extend(bytes(size - len(self.durable)))
        share = rng.choice((0.0, 0.5, 1.0))
        for sector in sorted(self.dirty):
            if rng.random() < share:
                self._write_back(sector)
        self.cached = bytearray(self.durable)
        self.dirty.clear()

    def fail(self, rng: Random) -> None:
        """Call everything clean; chance says what was written."""
        size = len(self.cached)
        self.forget(rng)
        self.cached.extend(bytes(max(0, size - len(self.cached))))

    def _write_back(self, sector: int) -> None:
        start = sector * SECTOR_BYTES
        end = min(start + SECTOR_BYTES, len(self.durable), len(self.cached))
        if start < end:
            self.durable[start:end] = self.cached[start:end]


def _sectors(start: int, end: int) -> range:
    return range(start // SECTOR_BYTES, -(-end // SECTOR_BYTES))


class SimDisk(Disk):
    """See the module."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._files: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._changes: list[tuple[str, _File | None]] = []
        """Since the last `sync_folder`: the name, and what it now means."""
        self._dead = False
        self._sync_fails = False
        self._bytes_left: int | None = None
        self.on_call: Callable[[str, str], None] | None = None
        self.calls = 0

    # -- faults

    def crash(self, *, power: bool) -> None:
        """End all that runs on this disk; what is left is there for the next start."""
        self._dead = self._sync_fails = False
        self.on_call = None
        if not power:
            return
        share = self._rng.choice((0.0, 0.5, 1.0))
        for name, file in self._changes:
            if self._rng.random() < share:
                self._put(self._durable, name, file)
        self._changes = []
        self._files = dict(self._durable)
        for file in {id(file): file for file in self._files.values()}.values():
            file.forget(self._rng)

    def fail_sync_once(self, fails: bool = True) -> None:
        self._sync_fails = fails

    def full_after(self, bytes_left: int | None) -> None:
        self._bytes_left = bytes_left

    def flip_bit(self, name: str, offset: int, *, bit: int = 0) -> None:
        file = self._files[name]
        file.durable[offset] ^= 1 << bit
        file.cached[offset] ^= 1 << bit

    def cut(self, name: str, size: int) -> None:
        """The end of a file is gone, synced or not: the disk lied."""
        file = self._files[name]
        del file.durable[size:]
        del file.cached[size:]

    # -- the port

    def names(self) -> list[str]:
        self._alive()
        return sorted(self._files)

    def path_of(self, name: str) -> str:
        return f"sim/{name}"

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        self._alive()
        if name not in self._files:
            raise FileGone(self.path_of(name))
        cached = self._files[name].cached
        return bytes(cached[offset : len(cached) if size is None else offset + size])

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._before("write", name)
        file = self._file(name)
        room = len(data) if self._bytes_left is None else min(len(data), self._bytes_left)
        file.write(offset, data[:room])
        if self._bytes_left is not None:
            self._bytes_left -= room
        if room < len(data):
            raise DiskFull(self.path_of(name), "write", "No space left on device (ENOSPC)")
        self._after("write", name)

    def sync(self, name: str) -> None:
        self._before("sync", name)
        file = self._file(name)
        if self._sync_fails:
            self._sync_fails = False
            file.fail(self._rng)
            raise StorageFailed(self.path_of(name), "fdatasync", "Input/output error (EIO)")
        file.sync()
        self._after("sync", name)

    def truncate(self, name: str, size: int) -> None:
        self._before("truncate", name)
        self._file(name).truncate(size)
        self._after("truncate", name)

    def rename(self, old: str, new: str) -> None:
        self._before("rename", new)
        file = self._files[old]
        for name, now in ((new, file), (old, None)):
            self._change(name, now)
        self._after("rename", new)

    def remove(self, name: str) -> None:
        self._before("remove", name)
        if name in self._files:
            self._change(name, None)
        self._after("remove", name)

    def sync_folder(self) -> None:
        self._before("sync_folder", "")
        self._durable = dict(self._files)
        self._changes = []
        self._after("sync_folder", "")

    def release(self, name: str) -> None:
        self._alive()

    def bytes_free(self) -> int:
        return BYTES_FREE if self._bytes_left is None else self._bytes_left

    def bytes_total(self) -> int:
        return BYTES_FREE

    def close(self) -> None:
        """Nothing is held."""

    def _file(self, name: str) -> _File:
        if name not in self._files:
            self._change(name, _File())
        return self._files[name]

    def _change(self, name: str, file: _File | None) -> None:
        self._put(self._files, name, file)
        self._changes.append((name, file))

    @staticmethod
    def _put(names: dict[str, _File], name: str, file: _File | None) -> None:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file

    def _alive(self) -> None:
        if self._dead:
            raise SimCrash

    def _before(self, op: str, name: str) -> None:
        self._alive()
        self.calls += 1
        self._tell(op, name)

    def _after(self, op: str, name: str) -> None:
        self._tell(f"{op}.done", name)

    def _tell(self, op: str, name: str) -> None:
        if self.on_call is not None:
            try:
                self.on_call(op, name)
            except SimCrash:
                self._dead = True
                raise
