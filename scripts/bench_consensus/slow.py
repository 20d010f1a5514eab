"""A disk that takes longer: what a folder would be like on a slower device.

Every `fdatasync` and every sync of the folder returns `extra_s` later than the real one.
"""

import time
from pathlib import Path

from wal.disk import FileDisk


class SlowDisk(FileDisk):
    """A real folder, synced as it is, and then some waiting."""

    def __init__(self, path: Path | str, *, extra_s: float) -> None:
        super().__init__(path)
        self._extra_s = extra_s

    def sync(self, name: str) -> None:
        super().sync(name)
        time.sleep(self._extra_s)

    def sync_folder(self) -> None:
        super().sync_folder()
        time.sleep(self._extra_s)
