"""A folder on a disk: the port, and the one that is real.  Talks to the file system; blocks.

    call           after it returned
    -------------  -------------------------------------------------------------------------
    write          a reader sees the bytes; a power cut may keep any of its 512-byte sectors
    sync           the bytes and the size of that file survive a power cut
    rename         a reader sees the new name; a power cut may bring the old one back
    sync_folder    names survive a power cut
    write_atomic   the whole file, under its name, survives; before that, the old one does

Every call raises `StorageFailed` when the system refuses.  Callers that must not wait run
these calls in a thread; calls on different names may overlap.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from wal.errors import DiskFull, FileGone, LogLocked, StorageFailed

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
TMP = ".tmp"
"""What a file is called until it is whole."""


class Reader(Protocol):
    """What looking at a folder takes."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        ...

    def path_of(self, name: str) -> str:
        """Return what to call the file in front of people."""
        ...

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        """Return `size` bytes from `offset` (to the end when None), fewer where the file ends.

        `fresh` asks for what is on the disk, not in the page cache, as far as the system
        lets us.  Raises `FileGone` when there is no such file.
        """
        ...


class Disk(Reader, Protocol):
    """What the log and the snapshot store write through."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`; the file comes into being if need be."""
        ...

    def sync(self, name: str) -> None: ...

    def truncate(self, name: str, size: int) -> None: ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, name: str) -> None:
        """Remove the file; nothing happens when there is none."""
        ...

    def sync_folder(self) -> None: ...

    def release(self, name: str) -> None:
        """Let go of what is held open for writing `name`."""
        ...

    def bytes_free(self) -> int: ...

    def bytes_total(self) -> int:
        """Return how many bytes the file system has for such as this process."""
        ...

    def close(self) -> None: ...

    def write_atomic(self, name: str, chunks: Iterable[bytes]) -> None:
        """Make `chunks` the content of `name`, durable when this returns."""
        tmp = name + TMP
        whole = False
        try:
            self.truncate(tmp, 0)
            offset = 0
            for chunk in chunks:
                self.write(tmp, offset, chunk)
                offset += len(chunk)
            self.sync(tmp)
            whole = True
        finally:
            if not whole:
                with contextlib.suppress(StorageFailed):
                    self.remove(tmp)
        self.rename(tmp, name)
        self.sync_folder()


@contextlib.contextmanager
def _refusals(path: Path, operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "?")
        kind = DiskFull if error.errno in _NO_ROOM else StorageFailed
        raise kind(str(path), operation, f"{error.strerror} ({code})") from error


def is_held(path: Path | str) -> bool:
    """Whether a process has the folder, as `FileDisk` does.  Raises `StorageFailed`."""
    with _refusals(Path(path), "open"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


class Folder(Reader):
    """Looks at a folder, locks nothing, changes nothing."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def names(self) -> list[str]:
        with _refusals(self.path, "list"):
            return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())

    def path_of(self, name: str) -> str:
        return str(self.path / name)

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        path = self.path / name
        with _refusals(path, "read"):
            try:
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                raise FileGone(str(path)) from None
            with file:
                if fresh:
                    os.posix_fadvise(file.fileno(), offset, size or 0, os.POSIX_FADV_DONTNEED)
                rest = max(0, os.fstat(file.fileno()).st_size - offset)
                wanted = rest if size is None else min(size, rest)
                return _pread(file.fileno(), offset, wanted)


class FileDisk(Folder, Disk):
    """A folder of this process alone.

    Raises `LogLocked` when another one holds it, `StorageFailed` when it cannot be had.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._open: dict[str, int] = {}
        with _refusals(self.path, "open"):
            if not self.path.is_dir():
                self.path.mkdir(parents=True, mode=0o700)
                _sync_folder(self.path.parent)
            self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._folder)
                raise LogLocked(str(self.path)) from None

    def write(self, name: str, offset: int, data: bytes) -> None:
        with _refusals(self.path / name, "write"):
            fd = self._descriptor(name)
            written = os.pwrite(fd, data, offset)
            while written < len(data):
                written += os.pwrite(fd, memoryview(data)[written:], offset + written)

    def sync(self, name: str) -> None:
        with _refusals(self.path / name, "fdatasync"):
            os.fdatasync(self._descriptor(name))

    def truncate(self, name: str, size: int) -> None:
        with _refusals(self.path / name, "truncate"):
            os.ftruncate(self._descriptor(name), size)

    def rename(self, old: str, new: str) -> None:
        self.release(old)
        self.release(new)
        with _refusals(self.path / new, "rename"):
            (self.path / old).rename(self.path / new)

    def remove(self, name: str) -> None:
        self.release(name)
        with _refusals(self.path / name, "remove"):
            (self.path / name).unlink(missing_ok=True)

    def sync_folder(self) -> None:
        with _refusals(self.path, "fsync"):
            os.fsync(self._folder)

    def release(self, name: str) -> None:
        fd = self._open.pop(name, None)
        if fd is not None:
            with _refusals(self.path / name, "close"):
                os.close(fd)

    def bytes_free(self) -> int:
        figures = self._figures()
        return figures.f_bavail * figures.f_frsize

    def bytes_total(self) -> int:
        figures = self._figures()
        reserved = figures.f_bfree - figures.f_bavail  # for root alone
        return (figures.f_blocks - reserved) * figures.f_frsize

    def _figures(self) -> os.statvfs_result:
        with _refusals(self.path, "statvfs"):
            return os.statvfs(self.path)

    def close(self) -> None:
        """Let go of the folder; another process may have it now."""
        for name in list(self._open):
            self.release(name)
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _descriptor(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            fd = self._open[name] = os.open(self.path / name, flags, 0o600)
        return fd


def _pread(fd: int, offset: int, size: int) -> bytes:
    """Read `size` bytes; one call reads at most 2 GiB."""
    data = os.pread(fd, size, offset)
    if len(data) == size:
        return data
    parts, got = [data], len(data)
    while data and got < size:
        data = os.pread(fd, size - got, offset + got)
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
