"""Faults of disk and clock inside a node's process: `shim.c`, built here.  Talks to files.

A machine without a C compiler goes without them; whoever runs the nemesis is told.
"""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")
_WORDS = 4


def build(folder: Path) -> Path | None:
    """Return the library, built in `folder`; None when that cannot be done here."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
    built = subprocess.run(command, capture_output=True, check=False)
    return library if built.returncode == 0 else None


class Shim:
    """The switches of one node's process; they hold for its next lives too."""

    def __init__(self, library: Path, control: Path) -> None:
        control.write_bytes(bytes(8 * _WORDS))
        with control.open("r+b") as file:
            self._words = mmap.mmap(file.fileno(), 8 * _WORDS)
        self.environ = {"LD_PRELOAD": str(library), "NEMESIS_CONTROL": str(control)}

    def _set(self, word: int, value: int) -> None:
        struct.pack_into("<q", self._words, 8 * word, value)

    def fail_syncs(self, count: int) -> None:
        """Let the next `count` syncs fail with EIO."""
        self._set(0, count)

    def slow_syncs(self, seconds: float) -> None:
        """Let each sync take so much longer."""
        self._set(1, int(1_000_000 * seconds))

    def fill(self, full: bool) -> None:
        """Let writes fail with ENOSPC, or not any more."""
        self._set(2, int(full))

    def skew(self, ms: int) -> None:
        """Let the wall clock be off."""
        self._set(3, ms)

    def heal(self) -> None:
        """Switch everything off."""
        for word in range(_WORDS):
            self._set(word, 0)
