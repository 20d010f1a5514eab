"""pytest, and what failed in it once more, alone.  Talks to processes.

    python -m scripts.twice -n auto -m "not slow"      # all that pytest takes

Many tests are of real processes, on a machine that others may keep busy, and chance should not
decide.  What comes of it:

    the first run             then                                   exit code
    ─────────────             ────                                   ─────────
    all passed                nothing                                0
    FEW failed, at most       they run again, one at a time          0 when all pass, and they are
                                                                     named; else pytest's
    more failed               nothing: that is no chance             1
    was broken off, or could  nothing: nobody knows what the tests   pytest's
    not begin                 say that did not run

A test that failed in its fixture, that hung until pytest-timeout ended its worker, or that crashed
the worker, has failed.  A worker that crashed is replaced, so few crashes lose no other test.  A
file that cannot be read counts as failed, with all of its tests.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FEW = 4
"""No more than the workers that pytest-xdist replaces on one core before it gives up."""
_FAILED = 1  # pytest's exit code for "tests were run, and some failed"


def main(arguments: Sequence[str]) -> int:
    """Run pytest with `arguments`, and what failed again; return the exit code."""
    with tempfile.TemporaryDirectory() as cache:
        code = _run(cache, arguments)
        failed = _failed(Path(cache)) if code == _FAILED else []
        if not 1 <= len(failed) <= FEW:
            if failed:
                print(f"{len(failed)} failed: too many for chance, nothing is run again")
            return code
        print(f"\nfailed, and run again, alone: {', '.join(failed)}", flush=True)
        code = _run(cache, [*arguments, "-n", "0", "--lf", "--lfnf", "none"])
        how = "failed again" if code else "passed when run again, alone"
        for test in failed if code == 0 else _failed(Path(cache)) or failed:
            print(f"TWICE {test}: {how}")
    return code


def _run(cache: str, arguments: Sequence[str]) -> int:
    """Run pytest, which notes in `cache` what fails; nothing of an earlier run is there."""
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    return subprocess.run(command, check=False).returncode


def _failed(cache: Path) -> list[str]:
    try:
        return list(json.loads((cache / "v" / "cache" / "lastfailed").read_text()))
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
