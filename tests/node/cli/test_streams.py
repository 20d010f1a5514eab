"""`unidesk` where its output goes away, is full or closed, and where somebody presses Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wal.disk import FileDisk
from wal.identity import claim

COMMAND = [sys.executable, "-m", "node"]
ROOT = Path(__file__).resolve().parents[3]
STATUS = ["cluster", "status", "--url", "ws://127.0.0.1:1"]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("environment", {})
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *arguments], text=True, env=environment, **pipes | options)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out or "", err


def keep_data(folder: Path) -> None:
    """Make `folder` a node's."""
    disk = FileDisk(folder)
    claim(disk, "demo", "n1", now_ms=7)
    disk.close()


BUFFERED = pytest.mark.parametrize("unbuffered", ["", "1"])
"""Whether what is printed is tried at once, or when much has come together, or at the end."""


@BUFFERED
def test_whoever_reads_may_go_away(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {"PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(writing) as pipe:
        code, _, err = finished(start(*STATUS, stdout=pipe, environment=environment))
    assert (code, err) == (128 + signal.SIGPIPE, "")


@BUFFERED
@pytest.mark.parametrize("command", [["wal", "inspect", "{here}"], ["users", "--help"]])
def test_whoever_reads_may_go_away_from_a_command_that_asks_nobody(
    command: list[str], unbuffered: str, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    keep_data(tmp_path)
    words = [word.format(here=tmp_path) for word in command]
    with os.fdopen(writing) as pipe:
        code, _, err = finished(
            start(*words, stdout=pipe, environment={"PYTHONUNBUFFERED": unbuffered})
        )
    assert (code, err) == (128 + signal.SIGPIPE, "")


@BUFFERED
def test_an_output_that_is_full_is_told(unbuffered: str) -> None:
    environment = {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        code, _, err = finished(start(*STATUS, stdout=full, environment=environment))
    assert code == 1
    assert "the output cannot be written: No space left on device" in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_standard_streams_may_be_closed(closed: int) -> None:
    close: Callable[[], None] = lambda: os.close(closed)  # noqa: E731
    code, out, err = finished(start(*STATUS, preexec_fn=close))
    assert code == 1
    assert ("no answer" in out) == (closed != 1)
    assert ("no node answers" in err) == (closed != 2)


def test_what_is_shown_is_no_markup_and_fits_any_locale(tmp_path: Path) -> None:
    folder = tmp_path / "[bold]会话[/b]"
    keep_data(folder)
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    code, out, _ = finished(start("wal", "inspect", str(folder), environment=ascii_only))
    assert code == 0
    assert "[bold]??[/b]: empty" in out.replace("\n", "")


def test_an_interrupted_request_does_not_look_done(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(
        '[ruleset]\nversion = 1\n[queue.desk]\naccept = "9s"\n[fallback]\nroute = "desk"\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        process = start("rules", "apply", str(tmp_path), "--url", url, "--token", "t", "--json")
        silent.accept()[0].close()  # it has looked whether anybody is there
        with silent.accept()[0]:  # it has begun, and will hear nothing
            process.send_signal(signal.SIGINT)
            code, out, err = finished(process)
    assert (code, out) == (130, "")
    assert "interrupted" in err
