"""A process that stops its own time, or ends itself.  Talks to the operating system.

    pause   a child that will say SIGCONT ──ready──▶ SIGSTOP to ourselves … SIGCONT
    kill    SIGKILL to ourselves; whoever supervises the node starts it again

A stopped process cannot count its time: the child is there first, in a session of its own, and
waits for nothing but the time.
"""

import os
import signal
import subprocess

import trio

SHELL = "/bin/sh"
READY_S = 5.0


class CannotPause(Exception):
    """Nobody would wake this process: it goes on."""


async def pause(for_s: float) -> None:
    """Stop this process for `for_s`; return when it goes on.  Raises `CannotPause`."""
    try:
        waker = await trio.to_thread.run_sync(_start_waker, for_s)
    except OSError as error:
        raise CannotPause(f"no process to wake this one: {error}") from None
    assert waker.stdout is not None
    with trio.move_on_after(READY_S):
        await trio.lowlevel.wait_readable(waker.stdout.fileno())
    if waker.poll() is not None or not os.read(waker.stdout.fileno(), 16).startswith(b"ready"):
        waker.kill()
        waker.wait()
        raise CannotPause("who should wake this process is not there")
    os.kill(os.getpid(), signal.SIGSTOP)
    waker.stdout.close()
    await trio.to_thread.run_sync(waker.wait)


def _start_waker(for_s: float) -> subprocess.Popen[bytes]:
    script = f"echo ready; sleep {max(0.0, for_s):.3f}; kill -CONT {os.getpid()}"
    return subprocess.Popen(  # noqa: S603 - our own words and numbers
        [SHELL, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
