"""A process that was not started here: a node's successor.  Talks to the operating system.

While its parent ends, this process is where orphans go, so that it can be waited for as a child.

Source: prctl(2), PR_SET_CHILD_SUBREAPER; subprocess.Popen, of which it has what is needed.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_CHILD_SUBREAPER = 36
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


@contextmanager
def orphans_come_here() -> Iterator[None]:
    """Be the parent of the orphans that are made meanwhile, where the system can do that."""
    if _prctl is None:
        yield
        return
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


class Adopted:
    """A child that others have started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, as `Popen.poll` does; None while it lives."""
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0  # it is nobody's child, and not there: nothing is known
                return self.returncode
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)
