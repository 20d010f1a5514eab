"""What can go wrong with the bytes that survive.  No I/O.

One class per decision of the caller; every message names the file, the place, what is wrong
and the mend.

    class             what the caller does
    ----------------  ------------------------------------------------------------------
    CorruptLog        sets the data aside (`wal.aside`); the node abstains until peers vouch for it
    CorruptSnapshot   the same, for a snapshot
    StorageFailed     stops at once: what is on the disk is unknown until it is read again
    DiskFull          the same; but a snapshot on its way to the disk is only given up
    ForeignLog        stops; a person put the wrong folder or the wrong program here
    LogLocked         stops; another process of this node is alive
    SnapshotRefused   drops what the peer sent and asks again, or asks another peer
    FileGone          asks for the newest snapshot; the one asked for was replaced
"""


class StorageError(Exception):
    """The family.  Nobody raises it itself."""


class CorruptLog(StorageError):
    """Durable bytes of the log are not what was written; cutting them could lose a promise."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(
            f"{path}: corrupt at byte {offset}: {reason}."
            " Move the folder away and let the other nodes send its data again"
        )
        self.path, self.offset, self.reason = path, offset, reason


class CorruptSnapshot(StorageError):
    """A snapshot's bytes are not what was written."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(
            f"{path}: corrupt at byte {offset}: {reason}."
            " Move the folder away and let the other nodes send its data again"
        )
        self.path, self.offset, self.reason = path, offset, reason


class StorageFailed(StorageError):
    """A read, write or sync failed.  Never retried: after a failed fsync the kernel may call
    pages clean that never reached the disk, so a retry that succeeds proves nothing.
    """

    def __init__(self, path: str, operation: str, reason: str) -> None:
        super().__init__(
            f"{path}: {operation} failed: {reason}."
            " Mend the disk (space, rights, hardware), then start the node again"
        )
        self.path, self.operation, self.reason = path, operation, reason


class DiskFull(StorageFailed):
    """There was no room for what was written; the file may hold a part of it."""


class ForeignLog(StorageError):
    """The folder belongs to another cluster, another node or another version of the format."""

    def __init__(self, path: str, reason: str, mend: str) -> None:
        super().__init__(f"{path}: {reason}. {mend}")
        self.path, self.reason = path, reason


class LogLocked(StorageError):
    """Another process holds the folder."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: another process holds this folder."
            " Stop the node that runs on it, or give this one its own folder"
        )
        self.path = path


class SnapshotRefused(StorageError):
    """The bytes offered as a snapshot do not fit: wrong place, too large, or too old."""


class FileGone(StorageError):
    """There is no such file (any more)."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: there is no such file (any more). Ask for the newest one")
        self.path = path


class TornRecord(StorageError):
    """The bytes end here: a write cut short, or never begun.  `wal.recovery` decides."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset, self.reason = offset, reason


class CorruptRecord(StorageError):
    """These bytes are not what was written here.  `wal.recovery` decides what that means."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset, self.reason = offset, reason
