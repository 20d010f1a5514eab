"""Processes that stop their own time: they always go on, however short it was."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.chaos import stopping
from tests.node.workers.test_processes import alive

pytestmark = pytest.mark.process

PAUSED = """
import subprocess, sys, time, trio
from node.chaos import stopping
worker = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
                          stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
for_s = float(sys.argv[1])
began_s = time.monotonic()
trio.run(stopping.pause, for_s, (worker.pid,))
print(time.monotonic() - began_s, worker.poll(), open(f"/proc/{worker.pid}/stat").read().split()[2])
worker.kill()
"""


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def paused(for_s: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PAUSED, str(for_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def until_state(pid: int, wanted: str) -> None:
    until_s = time.monotonic() + 40
    while state_of(pid) != wanted:
        assert time.monotonic() < until_s
        time.sleep(0.01)


@pytest.mark.parametrize("for_s", [0.0, 0.001, 0.4])
def test_a_process_and_its_worker_go_on_however_short_they_stop(for_s: float) -> None:
    with paused(for_s) as process:
        told, _ = process.communicate(timeout=60)
    seconds, code, state = told.splitlines()[1].split()
    assert float(seconds) >= for_s
    assert code == "None"
    assert state in "SR", "it runs, or is about to"


def test_a_stopped_worker_goes_on_at_once_when_its_core_is_killed() -> None:
    with paused(300) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        until_state(process.pid, "T")
        assert state_of(worker) == "T"
        process.kill()
        until_state(worker, "S")  # it sleeps, once it ran on
        subprocess.run(["kill", str(worker)], check=True)
    until_s = time.monotonic() + 40
    while alive(worker) and state_of(worker) != "Z":
        assert time.monotonic() < until_s
        time.sleep(0.01)


async def test_nobody_stops_while_who_should_wake_them_is_not_there_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "READY_S", 0.0)
    with pytest.raises(stopping.CannotPause):
        await stopping.pause(0.1)
