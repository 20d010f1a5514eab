"""A recovery that was begun on a folder: `recovery.json`, there until all of it is done.  No I/O
but through a `Disk`.

    recovery.json          written first, in the folder that the cluster goes on from: the plan
    recovery.json.done     its name when every folder is as the plan says

A node refuses to start while it is there: the command is run again, and goes on.
"""

import msgspec

from wal.disk import Disk, Reader
from wal.errors import StorageError

FILE = "recovery.json"
DONE = FILE + ".done"


class RecoveryUnfinished(StorageError):
    """A recovery was begun on the folder and must be ended first."""


class Begun(msgspec.Struct, frozen=True):
    """What was consented to."""

    plan: str
    """Its hash."""
    cluster_id: str
    """From here on, with the new epoch."""
    best: str
    members: str
    """As an entry of the log has them."""
    last_index: int
    """Of the best, before the recovery."""
    term: int
    """In which the new members are written."""
    may_be_lost: str
    """In words, for the heal log."""
    lost: list[str]
    """Old members that are not among the new ones."""


def read(reader: Reader) -> Begun | None:
    """Return what was begun and not ended.  Raises `RecoveryUnfinished` for damage."""
    if FILE not in reader.names():
        return None
    try:
        return msgspec.json.decode(reader.read(FILE), type=Begun)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecoveryUnfinished(
            f"{reader.path_of(FILE)}: it cannot be read ({error}); remove it, and plan again"
        ) from None


def write(disk: Disk, begun: Begun) -> None:
    """Write the plan down; durable when this returns."""
    disk.write_atomic(FILE, [msgspec.json.encode(begun) + b"\n"])


def end(disk: Disk) -> None:
    """All is done."""
    disk.rename(FILE, DONE)
    disk.sync_folder()


def check(reader: Reader) -> None:
    """Raise `RecoveryUnfinished` if a recovery was begun on the folder."""
    begun = read(reader)
    if begun is not None:
        raise RecoveryUnfinished(
            f"{reader.path_of(FILE)}: a recovery was begun and is not done; run"
            f" `unidesk cluster recover apply --plan {begun.plan}` again, with the same --config"
        )
