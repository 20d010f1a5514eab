"""A state that is wrong on one node alone, as bad memory makes it."""

from pathlib import Path

import msgspec

from cluster.state import snapshot
from wal.disk import FileDisk
from wal.identity import read_identity
from wal.snapshot import SnapshotStore


def change_a_value(folder: Path) -> None:
    """Let the newest snapshot say something else, with checksums that are right."""
    disk = FileDisk(folder)
    identity = read_identity(disk)
    assert identity is not None
    store = SnapshotStore(disk, identity)
    meta, payload = store.open_latest()
    state = snapshot.load(payload)
    first = next(iter(state.conversations.values()))
    state.conversations[first.cv] = msgspec.structs.replace(first, subject="flipped")
    store.save(meta, snapshot.dump(state))
    disk.close()
