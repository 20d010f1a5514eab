"""A restart with a long log, and a node that missed much.

restart    one of three SIGKILLed, its files out of the page cache: from the start of its
           process until it serves and has applied all; then all three at once, until the first
           acknowledged write.  No snapshot was taken, so all of the log is read and applied: the
           worst case.
catch up   one node was dead while the others took so many commands: from the start of its
           process until it serves and has applied all that was committed when it began,
           while the leader is under load
"""

import os
import time
from pathlib import Path
from typing import Any

from scripts.bench_consensus.nodes import Nodes, three_nodes

LOG_BODY_BYTES = 1_000
CATCH_UP_S = 60.0
LOAD_PROPOSERS = 16
LOAD_S = 10.0
POLL_S = 0.02


def restart(log_bytes: int, folder: str) -> dict[str, Any]:
    """Return how long a start takes with a log of `log_bytes` a node."""
    with three_nodes(folder) as nodes:
        leader = nodes.wait_serving()
        while nodes.ask(leader, "status")["wal_bytes"] < log_bytes:
            nodes.ask(leader, "fill", count=10_000, body_bytes=LOG_BODY_BYTES)
        held = nodes.ask(leader, "status")
        one_s = _restart_one(nodes, nodes.follower(leader))
        for name in list(nodes.processes):
            nodes.kill(name)
        _forget_cached(nodes.folder)
        began = time.monotonic()
        for name in nodes.addresses:
            nodes.start(name)
        nodes.wait_serving()
        serving_s = time.monotonic() - began
        nodes.ask(next(iter(nodes.processes)), "write")
        return {
            "log_mb": held["wal_bytes"] / 1e6,
            "entries": held["last"],
            "one_serving_s": one_s,
            "serving_s": serving_s,
            "first_write_s": time.monotonic() - began,
            "of_that_start_s": _bare_start_s(folder),
        }


def _restart_one(nodes: Nodes, name: str) -> float:
    """Return how long one node takes while the two others serve."""
    nodes.kill(name)
    _forget_cached(nodes.folder / name)
    committed = nodes.ask(nodes.wait_serving(), "status")["applied"]
    began = time.monotonic()
    nodes.start(name)
    _wait_applied(nodes, name, committed)
    return time.monotonic() - began


def _bare_start_s(folder: str) -> float:
    """Return what a start takes with nothing in the log: Python, its modules, an election."""
    with three_nodes(folder, start=False) as nodes:
        began = time.monotonic()
        for name in nodes.addresses:
            nodes.start(name)
        nodes.wait_serving()
        return time.monotonic() - began


def _forget_cached(folder: Path) -> None:
    """Let the system drop what it holds of these files: they are read from the disk again."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def catch_up(missed: int, folder: str, *, snapshot_every: int = 0) -> dict[str, Any]:
    """Return how long a node that missed so many commands is behind."""
    with three_nodes(folder, snapshot_every=snapshot_every) as nodes:
        leader = nodes.wait_serving()
        absent = nodes.follower(leader)
        nodes.kill(absent)
        leader = nodes.wait_serving()
        before = nodes.ask(leader, "load", proposers=LOAD_PROPOSERS, seconds=3.0, kind="message")
        nodes.ask(leader, "fill", count=missed)
        target = nodes.ask(leader, "status")
        nodes.tell(leader, "load", proposers=LOAD_PROPOSERS, seconds=LOAD_S, kind="message")
        began = time.monotonic()
        nodes.start(absent)
        status = _wait_applied(nodes, absent, target["applied"])
        caught_up_s = time.monotonic() - began
        during = nodes.hear(leader)
        return {
            "missed": missed,
            "entries": target["applied"],
            "by": "snapshot" if target["first"] > 2 else "log",
            "caught_up_s": caught_up_s,
            "leader_per_second_before": before["per_second"],
            "leader_per_second_during": during["per_second"],
            "leader_p99_ms_during": during["p99_ms"],
            "rss_mb": status["rss_mb"],
        }


def _wait_applied(nodes: Nodes, name: str, index: int) -> dict[str, Any]:
    deadline = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline:
        status = nodes.ask(name, "status")
        if status["standing"] == "serving" and status["applied"] >= index:
            return status
        time.sleep(POLL_S)
    raise TimeoutError(f"{name} is still behind after {CATCH_UP_S:.0f} s")
