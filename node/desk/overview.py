"""What one node derives from what was applied, to see many at once.  Starts a thread's work.

    applied ──▶ facets      which conversations are alike        in step with the state
            ──▶ times       how long things take                 in step
            ──▶ floor       agents by what they can and do       in step
            ──▶ search      what was said                        a moment behind, in a thread
            ──▶ positions   which visitors are told their place  when their turn comes
    jumped  ──▶ all of it anew, step by step

Nothing here is replicated or written down for good, and nothing here may stop the log: a fault is
logged, and all is derived anew.
"""

from collections.abc import Iterable
from itertools import islice

import structlog
import trio

from cluster.state.machine import Applied
from cluster.state.model import Conversation
from cluster.state.outcome import AgentChanged, Appended, ConversationPurged
from cluster.state.state import State
from node.desk.context import Context
from node.desk.estimate import SEEN_MAX, Times
from node.desk.floor import Floor
from node.desk.floor_watch import FloorWatch
from node.desk.following import Following
from node.desk.positions import Positions
from node.desk.session import Session
from node.desk.statistics import OverviewStatistics
from node.finding.facets import Facets
from node.finding.search import Search

TAKE_IN = 250
"""Conversations taken into the lines in one go: some three milliseconds."""
TAKE_IN_AT_ONCE = 1_000
"""When it begins, before anybody asks."""
REST_S = 0.01
"""Between two goes."""

log = structlog.get_logger(__name__)


class Overview:
    """All that is derived, kept right by what is applied."""

    def __init__(self, context: Context, following: Following) -> None:
        self._context = context
        clock = context.clock
        self.facets = Facets()
        self.times = Times()
        self.floor = Floor(self._state, self.facets, self.times)
        self.watch = FloorWatch(self.floor, now_ms=context.now_ms, clock=clock)
        self.positions = Positions(
            self._state, following, self.floor, self.times, context.tally, clock
        )
        self.search = Search(self._state, clock)
        self._begun = trio.Event()

    def _state(self) -> State:
        return self._context.port.state

    # -- what the desk tells

    def restart(self) -> None:
        """The state is another, or the first: derive all of it."""
        state = self._state()
        self.facets.begin(state.conversations)
        self.facets.take_in(state.conversations, TAKE_IN_AT_ONCE)
        self.times.forget()
        self.times.read(_last_closed(state))
        self.floor.restart()
        self.search.restart()
        self._begun.set()

    def on_applied(self, applied: Applied) -> None:
        """Take note of what one entry did."""
        try:
            for notice in applied.notices:
                match notice:
                    case Appended(cv, event):
                        conversation = self._state().conversations.get(cv)
                        if conversation is not None:
                            self.facets.note(conversation, event)
                            self.times.note(conversation, event)
                            self.search.note(conversation, event)
                            if event.type == "queued":
                                self.positions.watch(cv)
                    case AgentChanged(agent):
                        self.floor.note(agent)
                    case ConversationPurged(cv):
                        self.facets.drop(cv)
                        self.search.drop(cv)
        except Exception:  # a list's fault must not stop the log
            log.exception("overview failed: it is derived anew", index=applied.index)
            self.restart()

    def on_live(self, session: Session) -> None:
        """A session was welcomed, or came from another process of this node."""
        self.positions.watch_own(session)
        self.watch.adopt(session)

    def catch_up(self, sessions: Iterable[Session]) -> None:
        """The state is another: no entry told which visitors wait now."""
        for session in sessions:
            if session.live:
                self.positions.watch_own(session)

    def on_gone(self, session: Session) -> None:
        """A session is over, or goes on elsewhere."""
        self.watch.forget(session)

    # -- the clock

    def sweep(self) -> None:
        """Tell those whose turn it is; called some times a second."""
        self.positions.sweep()
        self.watch.sweep()

    async def run(self) -> None:
        """Take in what was there before, and what is said, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.search.run)
            while True:
                await self._begun.wait()
                self._begun = trio.Event()
                while not self.facets.complete:
                    await trio.sleep(REST_S)
                    self.facets.take_in(self._state().conversations, TAKE_IN)

    def statistics(self) -> OverviewStatistics:
        """Return the present picture."""
        search = self.search
        return OverviewStatistics(
            lists_known=len(self.facets),
            lists_missing=self.facets.missing,
            queue_watchers=len(self.watch),
            places=len(self.positions),
            search_texts=search.texts,
            search_to_read=search.to_read,
            search_told=search.told,
            search_failures_total=search.failures,
            search_questions_total=search.questions,
            search_seconds_total=search.answers_s,
        )


def _last_closed(state: State) -> list[Conversation]:
    """Return conversations that were closed last, oldest first."""
    skipped = max(0, len(state.closed) - SEEN_MAX)
    return [state.conversations[cv] for _, cv in islice(state.closed, skipped, None)]
