"""The way between trio's thread and asyncio's.  Talks to both loops.

    trio's thread                               asyncio's thread
    on_call, on_gone  ◀──── to_trio ─────────   a call, a stream, a client that left
    a reply, a push   ───── to_asyncio ─────▶   futures, writes

Each direction is a queue that is emptied in one go: however much is put in meanwhile, the other
loop is woken once.  The queues need no bound of their own.  What is in them belongs to calls and
streams, which are counted, and pushes are counted by their bytes before they come here.

A side that has ended takes nothing more; what was meant for it is forgotten with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
import trio

Task = Callable[[], None]

log = structlog.get_logger(__name__)


class Lane:
    """One direction."""

    __slots__ = ("_tasks", "_wake", "_woken")

    def __init__(self, wake: Callable[[Task], Any]) -> None:
        """`wake` has a function called by the other loop, soon, from any thread."""
        self._wake = wake
        self._tasks: deque[Task] = deque()
        self._woken = False

    def post(self, task: Task) -> None:
        """Have `task` called by the other loop, behind what was posted before."""
        self._tasks.append(task)
        if self._woken:
            return
        self._woken = True
        try:
            self._wake(self._empty)
        except (RuntimeError, trio.RunFinishedError):  # that loop has ended
            self._tasks.clear()

    def _empty(self) -> None:
        self._woken = False  # first: what is posted from here on wakes anew
        while self._tasks:
            task = self._tasks.popleft()
            try:
                task()
            except Exception:  # the boundary: one call's fault must not stop a loop
                log.exception("bridge task failed")


class Bridge:
    """Both directions; made in trio's thread, given asyncio's loop once that runs."""

    def __init__(self) -> None:
        token = trio.lowlevel.current_trio_token()
        self.to_trio = Lane(token.run_sync_soon).post

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let `loop` be the other side.  Called in its thread."""
        self.to_asyncio = Lane(loop.call_soon_threadsafe).post
