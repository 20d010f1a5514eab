"""Processes that stop their own time, or end themselves.  Talks to the operating system.

    pause   a child ──ready──▶ SIGSTOP to the workers, to ourselves … SIGCONT to all, by the child
    kill    SIGKILL to the workers, to ourselves; whoever supervises the node starts it again

A stopped process cannot count its time: the child is there first, in a session of its own.  It
wakes again and again until this process says that it is awake: a SIGCONT that comes before the
SIGSTOP wakes nobody.  When this process ends, stopped or not, the child wakes the rest at once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable

import trio

READY_S = 5.0
_WAKER = """\
import os, select, signal, sys, time
until = time.monotonic() + float(sys.argv[1])
print("ready", flush=True)
awake_or_gone = False
while not awake_or_gone:
    rest = max(until - time.monotonic(), 0.05)
    awake_or_gone = bool(select.select([0], [], [], rest)[0])
    for pid in map(int, sys.argv[2:]):
        try:
            os.kill(pid, signal.SIGCONT)
        except OSError:
            pass
"""


class CannotPause(Exception):
    """Nobody would wake this process: it goes on."""


async def pause(for_s: float, workers: Iterable[int] = ()) -> None:
    """Stop this process and its `workers` for `for_s`; return when they go on.

    Raises `CannotPause`.
    """
    pids = [*workers, os.getpid()]
    try:
        waker = await trio.to_thread.run_sync(_start_waker, for_s, pids)
    except OSError as error:
        raise CannotPause(f"no process to wake this one: {error}") from None
    assert waker.stdin is not None
    assert waker.stdout is not None
    with waker.stdin, waker.stdout:
        said = b""
        with trio.move_on_after(READY_S):
            await trio.lowlevel.wait_readable(waker.stdout.fileno())
            said = os.read(waker.stdout.fileno(), 16)
        if waker.poll() is not None or not said.startswith(b"ready"):
            waker.kill()
            waker.wait()
            raise CannotPause("who should wake this process is not there")
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
    await trio.to_thread.run_sync(waker.wait)


def _start_waker(for_s: float, pids: Iterable[int]) -> subprocess.Popen[bytes]:
    words = [f"{max(0.0, for_s):.3f}", *map(str, pids)]
    return subprocess.Popen(  # noqa: S603 - our own words and numbers
        [sys.executable, "-I", "-S", "-c", _WAKER, *words],
        stdin=subprocess.PIPE,  # ends with this process
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(workers: Iterable[int] = ()) -> None:
    """End this process and its `workers` as a power cut would."""
    for pid in (*workers, os.getpid()):
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # a worker that has just ended
