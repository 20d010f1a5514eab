"""What a process leaves for the next one of its node to tell: notes of healing.  Talks to a `Disk`.

    left.json       written by who cannot tell any more: a process that must end, a command that
                    works on a stopped node's folder
    the next start  takes them into its journal (`cluster.heal.journal`), and removes the file

It is a courtesy: a disk that takes nothing any more keeps no note, and a file that cannot be read
is dropped with a line in the process's log.
"""

import contextlib
from typing import Any

import msgspec
import structlog

from cluster.state.commands import HealOutcome
from wal.disk import Disk
from wal.errors import StorageError

FILE = "left.json"
LEFT_MAX = 20

log = structlog.get_logger()


class Left(msgspec.Struct, frozen=True):
    """One note, as `Journal.note` takes it."""

    rule: int
    seen: str
    done: str
    at_ms: int
    outcome: HealOutcome = "done"
    figures: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(list[Left])


def leave(disk: Disk, note: Left) -> None:
    """Add `note` to what the next process tells.  Raises `StorageError`."""
    notes = [one for one in _read(disk) if one != note]
    disk.write_atomic(FILE, [msgspec.json.encode([*notes, note][-LEFT_MAX:])])


def try_to_leave(disk: Disk, note: Left) -> None:
    """Like `leave`, where the disk is likely to have failed."""
    with contextlib.suppress(StorageError):
        leave(disk, note)


def take(disk: Disk) -> list[Left]:
    """Return what was left, oldest first, and forget it.  Raises `StorageError`."""
    notes = _read(disk)
    disk.remove(FILE)
    return notes


def _read(disk: Disk) -> list[Left]:
    if FILE not in disk.names():
        return []
    try:
        return _decoder.decode(disk.read(FILE))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("notes of an earlier process cannot be read", why=str(error))
        return []
