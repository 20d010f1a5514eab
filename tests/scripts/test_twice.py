"""What CI says of tests that fail by chance, always, or before they run."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.twice import FEW

ROOT = Path(__file__).parents[2]
ONCE = """
import os, pathlib
ran = pathlib.Path(__file__).with_name("ran")
first = not ran.exists()
ran.touch()
"""
"""What only the first run of a file sees."""


def twice(folder: Path, tests: str, *options: str) -> tuple[int, str]:
    """Run the file `tests` as CI does, on workers; return the exit code and what was told."""
    (folder / "test_it.py").write_text(tests)
    (folder / "test_other.py").write_text("def test_that_passes(): pass\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "scripts.twice", "-q", "-n", "1", "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, "-c", str(folder / "pytest.ini"), *options, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


ACTS = {
    "fails": "assert not first",
    "crashes": "os._exit(3) if first else None",
    "hangs": "import time; time.sleep(60 * first)",
}


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_fails_by_chance_passes_and_is_named(act: str, tmp_path: Path) -> None:
    code, told = twice(tmp_path, f"{ONCE}\ndef test_a(): {act}\n", "--timeout", "3")
    assert code == 0, told
    assert "TWICE test_it.py::test_a: passed when run again, alone" in told
    assert told.count("1 passed") == 2, "one beside it at first, then it alone"


@pytest.mark.slow
@pytest.mark.parametrize(
    "tests",
    [
        "def test_a(): assert False",
        "import os\ndef test_a(): os._exit(3)",
        "import time\ndef test_a(): time.sleep(60)",
        "import pytest\n@pytest.fixture\ndef a(): raise OSError\ndef test_a(a): pass",
        "import nowhere\ndef test_a(): pass",
        f"{ONCE}\nassert not first\ndef test_a(): assert False",
    ],
    ids=["fails", "crashes", "hangs", "fixture", "import", "fails where it was not read"],
)
def test_what_fails_twice_is_at_fault(tests: str, tmp_path: Path) -> None:
    code, told = twice(tmp_path, tests, "--timeout", "3")
    assert code != 0, told
    assert "run again, alone: test_it.py" in told
    assert "failed again" in told
    assert "passed when" not in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "tests",
    [
        (
            f"{ONCE}\nimport pytest\n@pytest.mark.parametrize('n', range({FEW + 1}))\n"
            "def test_a(n): assert not first"
        ),
        (
            f"{ONCE}\nimport pytest\n@pytest.mark.parametrize('n', range(12))\n"
            "def test_a(n): os._exit(3) if first or n < 11 else None"
        ),
        f"{ONCE}\nimport pytest\ndef test_a(): pytest.exit('enough') if first else None",
    ],
    ids=["many", "many crash", "broken off"],
)
def test_what_is_no_chance_is_not_run_again(tests: str, tmp_path: Path) -> None:
    code, told = twice(tmp_path, tests)
    assert code != 0, told
    assert "run again, alone" not in told
    assert "passed when" not in told
