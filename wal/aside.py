"""Damaged data, moved out of the way and kept.  Talks to a `Disk`; blocks.

    aside.json        written first: from here on nothing in the folder counts
    *.wal  *.snap  identity.json   ->   the same names with `.damaged` behind
    aside.json        ->   aside.json.damaged: when, and why

A crash in between leaves `aside.json`, and the next start goes on: a log of which some
segments were moved must never pass for a shorter one.  What an earlier damage left is
replaced, so a folder holds the evidence of one.

The folder is new after: whoever starts on it has another incarnation and abstains
(`HardState.abstains`).
"""

import time
from datetime import UTC, datetime

import msgspec

from wal.disk import TMP, Disk
from wal.identity import FILE as IDENTITY
from wal.segment import segment_number
from wal.snapfile import snapshot_index

FILE = "aside.json"
DAMAGED = ".damaged"


class _File(msgspec.Struct, frozen=True):
    why: str
    at: str
    files: list[str]


def set_aside(disk: Disk, why: str, *, now_ms: int | None = None) -> None:
    """Move the log, the snapshots and the identity away; durable when this returns.

    `why` goes into `aside.json.damaged`; `now_ms` is ms since 1970.  Raises `StorageFailed`.
    """
    begin(disk, why, now_ms=now_ms)
    finish(disk)


def begin(disk: Disk, why: str, *, now_ms: int | None = None) -> None:
    """Let the next start set the folder's data aside; durable when this returns.

    For a process that still has the files open.  Raises `StorageFailed`.
    """
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    at = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    _remove_older(disk)
    file = _File(why, at.replace("+00:00", "Z"), _data(disk))
    disk.write_atomic(FILE, [msgspec.json.encode(file) + b"\n"])


def finish(disk: Disk) -> bool:
    """Go on with what a crash interrupted; return whether there was anything to do."""
    if FILE not in disk.names():
        return False
    for name in _data(disk):
        disk.release(name)
        disk.rename(name, name + DAMAGED)
    disk.sync_folder()
    disk.rename(FILE, FILE + DAMAGED)
    disk.sync_folder()
    return True


def _remove_older(disk: Disk) -> None:
    for name in disk.names():
        if name.endswith(DAMAGED):
            disk.remove(name)


def _data(disk: Disk) -> list[str]:
    """Return what makes the folder a node's, whole files and half ones."""
    return [name for name in disk.names() if _is_data(name.removesuffix(TMP))]


def _is_data(name: str) -> bool:
    return name == IDENTITY or segment_number(name) is not None or snapshot_index(name) is not None
