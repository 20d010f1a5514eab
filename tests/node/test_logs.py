"""Logs: one line an event, for machines or for people, from us and from libraries alike."""

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from node.logs import configure
configure({form!r}, "info", node="n1")
structlog.get_logger().info("node up", port=7101)
structlog.get_logger().debug("too quiet")
logging.getLogger("library").warning("watch %s", "out")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed", session="s")
"""


def logged(form: str) -> list[str]:
    """What a process with that format writes to standard error."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def test_machines_get_one_object_a_line() -> None:
    ours, theirs, failure = (json.loads(line) for line in logged("json"))
    assert (ours["event"], ours["level"], ours["port"]) == ("node up", "info", 7101)
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"]) == ("watch out", "warning")
    assert ours["node"] == theirs["node"] == failure["node"] == "n1"
    assert "ZeroDivisionError" in failure["exception"]


def test_people_get_lines_that_they_can_read() -> None:
    first, *rest = logged("console")
    assert "node up" in first
    assert "port=7101" in first
    assert "\x1b" not in first, "colours are for terminals"
    assert any("watch out" in line for line in rest)
