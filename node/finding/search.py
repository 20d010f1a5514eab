"""Full-text search at one node: what was applied goes to a thread, questions to the same one.

    applied ──▶ told ──── batch ────▶ thread: FullText        a moment later, in batches
    state   ──▶ to read ──batch ────▶                         after a start, a snapshot, a fault
    a question: what was told before it first, then ──▶ thread ──▶ Sought

The loop hands over references to immutable values and goes on.  While conversations are still to
be read, and when the thread falls far behind, answers say that they are not complete.  A fault of
the database is reported, and the index is made anew, later each time.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio

from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.state import State
from node.finding.facets import Key
from node.finding.fulltext import FullText, Job, Sought
from node.finding.texts import REHEADS, REWRITES, SAYS, head_of, text_of
from node.finding.words import Part

BATCH = 100
"""Texts, or conversations to be read, per call of the thread: some milliseconds."""
TOLD_MAX = 50_000
"""Texts that wait for the thread; of more, all is read anew instead."""
GATHER_S = 0.2
"""What is told is gathered for so long."""
REST_S = 0.01
"""Between batches: the thread needs the interpreter, and so does the loop."""
FRESH_S = 1.0
"""How long a question waits for what was told before it."""
QUESTIONS_MAX = 64
"""That wait for the thread; one more is refused, before it would wait for long."""
RETRY_S = (1.0, 60.0)
"""Pause before the index is made anew after a fault, doubling."""

log = structlog.get_logger(__name__)


class Search:
    """One node's index, and its thread."""

    def __init__(self, state: Callable[[], State], clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._index: FullText | None = None
        self._limiter = trio.CapacityLimiter(1)
        self._told: deque[Job] = deque()
        self._gone: list[str] = []
        self._old: list[FullText] = []
        """Indexes to be closed, by the thread that may be using them."""
        self._busy = False
        self._to_read: list[str] = []
        """Newest first, so that the next is the last."""
        self._work = trio.Event()
        self._caught_up = trio.Event()
        self._hurried = False
        self._waiting = 0
        self.failures = 0
        self.questions = 0
        self.answers_s = 0.0
        """Time that questions took, waiting included."""

    # -- what the desk tells

    def restart(self) -> None:
        """The state is another: read all of it."""
        self._told.clear()
        self._gone.clear()
        # The state keeps them in the order in which they were opened, on every node.
        self._to_read = list(reversed(self._state().conversations))
        self._drop_index()
        self._wake()

    def note(self, conversation: Conversation, event: Event) -> None:
        """`event` was appended to the conversation."""
        if event.type in SAYS:
            text = text_of(event)
            if text is None:
                return
            self._told.append((conversation, text))
        elif event.type in REWRITES:
            self._told.append((conversation, None))
        elif event.type in REHEADS:
            self._told.append((conversation, head_of(conversation)))
        else:
            return
        if len(self._told) > TOLD_MAX:
            log.warning("search index is behind: all is read anew", told=len(self._told))
            self.restart()
        self._wake()

    def drop(self, cv: str) -> None:
        """The conversation is kept no more."""
        self._gone.append(cv)
        self._wake()

    # -- what the desk asks

    @property
    def complete(self) -> bool:
        """Whether nothing that was applied is left to be taken in."""
        return not self._to_read and not self._told and not self._busy

    @property
    def full(self) -> bool:
        """Whether as many questions wait as may."""
        return self._waiting >= QUESTIONS_MAX

    async def seek(
        self,
        parts: Sequence[Part],
        *,
        beyond: Key | None,
        newest: bool,
        limit: int,
        everything: bool,
        only: Sequence[str] | None,
    ) -> Sought:
        """Return what `FullText.seek` does, with all that was told before, if that is soon done."""
        started = self._clock()
        self.questions += 1
        self._waiting += 1
        try:
            await self._catch_up()
            if self._index is None:
                return Sought([], None)
            ask = partial(
                self._index.seek,
                parts,
                beyond=beyond,
                newest=newest,
                limit=limit,
                everything=everything,
                only=only,
            )
            return await trio.to_thread.run_sync(ask, limiter=self._limiter)
        except sqlite3.Error as error:
            self._fail(error)
            return Sought([], None)
        finally:
            self._waiting -= 1
            self.answers_s += self._clock() - started

    async def _catch_up(self) -> None:
        if self._to_read or self.complete:
            return
        self._hurried = True
        self._wake()
        with trio.move_on_after(FRESH_S):
            await self._caught_up.wait()

    @property
    def texts(self) -> int:
        """How many texts can be found."""
        return self._index.texts if self._index is not None else 0

    @property
    def to_read(self) -> int:
        """How many conversations are still to be read."""
        return len(self._to_read)

    @property
    def told(self) -> int:
        """How many texts wait for the thread."""
        return len(self._told)

    # -- the thread's work

    async def run(self) -> None:
        """Take in what is told, until cancelled."""
        try:
            while True:
                await self._work.wait()
                self._work = trio.Event()
                if not self._hurried and not self._to_read:
                    await self._gather()
                await self._take_in()
        finally:
            self._drop_index()
            with trio.CancelScope(shield=True):
                await self._close_old()

    async def _gather(self) -> None:
        with trio.move_on_after(GATHER_S):
            while not self._hurried:
                await self._work.wait()
                self._work = trio.Event()

    async def _take_in(self) -> None:
        pause_s = RETRY_S[0]
        while self._to_read or self._told or self._gone:
            self._busy = True
            try:
                await self._take_batch()
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S[1])
            finally:
                self._busy = False
            if not self._hurried:
                await trio.sleep(REST_S)
        self._hurried = False
        self._caught_up.set()
        self._caught_up = trio.Event()

    async def _take_batch(self) -> None:
        """Take in the oldest that are to be read; when there are none, what was told since."""
        await self._close_old()
        if self._index is None:
            self._index = FullText()
        index, conversations = self._index, self._state().conversations
        jobs: list[Job] = []
        gone: list[str] = []
        if self._to_read:
            cvs = self._to_read[: -BATCH - 1 : -1]
            jobs += [(conversations[cv], None) for cv in cvs if cv in conversations]
            del self._to_read[-BATCH:]
        else:
            gone, self._gone = self._gone[:BATCH], self._gone[BATCH:]
            while self._told and len(jobs) < BATCH:
                cv, text = self._told[0][0].cv, self._told.popleft()[1]
                if cv in conversations:  # as it is now: what is gone does not come back
                    jobs.append((conversations[cv], text))
        await trio.to_thread.run_sync(index.add, jobs, gone, limiter=self._limiter)

    def _wake(self) -> None:
        self._work.set()

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        log.warning("search index failed: it is made anew", why=str(error))
        self.restart()

    def _drop_index(self) -> None:
        if self._index is not None:
            self._old.append(self._index)
            self._index = None

    async def _close_old(self) -> None:
        while self._old:
            await trio.to_thread.run_sync(self._old.pop().close, limiter=self._limiter)
