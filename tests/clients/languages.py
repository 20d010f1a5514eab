"""The languages that have a client, and how a program in each is run.  Starts compilers.

A language that is not installed is skipped with its reason; where `UNIDESK_CLIENTS=required` (as
`.ci/run` says it), it is a failure.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
DRIVERS = Path(__file__).resolve().parent / "drivers"
LINES_MAX = 300
COMPILE_S_MAX = 60


def _old_python() -> str:
    """Return the oldest interpreter there is that the client is for."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python"))
    known = [shutil.which("python3.9"), shutil.which("python3.10")]
    for candidate in [*map(str, kept), *(path for path in known if path is not None)]:
        works = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)
        if works.returncode == 0:
            return candidate
    return sys.executable


@dataclass(frozen=True)
class Language:
    """One way to run a client."""

    name: str
    file: str
    """In `clients/`."""
    needs: tuple[str, ...]
    """Programs that must be installed."""
    command: tuple[str, ...]
    """Runs the driver; `CLASSES` stands for the folder of compiled ones."""
    option: str = ""
    """Of the first program; where it does not know it, this way to run does not exist."""

    def require(self) -> None:
        """Skip, or fail where it must be there, when a program is missing."""
        missing = [program for program in self.needs if shutil.which(program) is None]
        if missing:
            why = f"{self.name}: no {', '.join(missing)} here"
            if os.environ.get("UNIDESK_CLIENTS") == "required":
                pytest.fail(why)
            pytest.skip(why)
        if self.option:
            asked = [self.command[0], self.option, "--version"]
            if subprocess.run(asked, capture_output=True, check=False).returncode != 0:
                pytest.skip(f"{self.name}: {self.command[0]} is too old for {self.option}")

    def words(self, folder: Path, *arguments: str) -> list[str]:
        """Return the command line; `folder` keeps what had to be compiled."""
        self.require()
        if self.file.endswith(".java"):
            _compile_java(folder)
        return [*(word.replace("CLASSES", str(folder)) for word in self.command), *arguments]


def _compile_java(folder: Path) -> None:
    """Compile client and driver into `folder`, once; a warning is an error."""
    if any(folder.glob("*.class")):
        return
    lint = ["javac", "--release", "11", "-Xlint:all", "-Werror", "-d", str(folder)]
    said = subprocess.run(
        [*lint, *map(str, sorted(CLIENTS.glob("*.java"))), str(DRIVERS / "Driver.java")],
        capture_output=True,
        text=True,
        timeout=COMPILE_S_MAX,
        check=False,
    )
    assert said.returncode == 0, said.stderr


PYTHON = Language(
    "python",
    "unidesk.py",
    (),
    (_old_python(), "-W", "error", "-X", "dev", "-B", str(DRIVERS / "driver.py")),
)
JAVA = Language(
    "java",
    "Unidesk.java",
    ("java", "javac"),
    ("java", "-XX:TieredStopAtLevel=1", "-ea", "-cp", "CLASSES", "Driver"),
)
PHP = Language("php", "Unidesk.php", ("php",), ("php", str(DRIVERS / "driver.php")))
JAVASCRIPT = Language("javascript", "unidesk.mjs", ("node",), ("node", str(DRIVERS / "driver.mjs")))
WEBSOCKET = Language(
    "javascript-websocket",
    "unidesk.mjs",
    ("node",),
    ("node", "--experimental-websocket", "--no-warnings", str(DRIVERS / "driver.mjs")),
    option="--experimental-websocket",
)
LANGUAGES = [PYTHON, JAVA, PHP, JAVASCRIPT, WEBSOCKET]
