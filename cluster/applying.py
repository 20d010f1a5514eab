"""What is committed, into the state machine and out to whoever waits for it.  No I/O.

    Committed ──▶ entry ──▶ state ──▶ watchers ──▶ outcomes of this node's own
    Install   ──▶ a whole new state, loaded ──▶ watchers of installs

Outcomes are answered after the watchers ran: whoever hears `Done` finds its events told.
"""

from collections.abc import Callable

import structlog

from cluster.heal.digests import Digests
from cluster.raft.engine import Committed, Install
from cluster.state.machine import Applied, Machine, Skipped
from cluster.state.outcome import Outcome
from cluster.state.state import State
from cluster.tracing import Traces
from cluster.watchers import Watchers
from wal.histogram import Histogram

log = structlog.get_logger()

OnOutcome = Callable[[str, str, int, Outcome | Skipped], None]


class Applying:
    """The state machine of one replica, and how far it is."""

    def __init__(
        self,
        machine: Machine,
        applied_index: int,
        on_outcome: OnOutcome,
        digests: Digests | None = None,
        *,
        clock: Callable[[], float],
        took: Histogram,
        traces: Traces,
    ) -> None:
        """`on_outcome(node, boot, number, outcome)` hears of every proposal, anybody's."""
        self.digests = digests or Digests()
        self._clock = clock
        self._took = took
        self._traces = traces
        self.applied_index = applied_index
        self.on_entry: Watchers[int, bytes] = Watchers()
        """Index and payload of what was applied, for whoever keeps a copy of the state."""
        self.on_applied: Watchers[Applied] = Watchers()
        self.on_install: Watchers[()] = Watchers()
        self._machine = machine
        self._on_outcome = on_outcome

    @property
    def state(self) -> State:
        """What was applied so far."""
        return self._machine.state

    def apply(self, item: Committed) -> None:
        """Apply the entry behind the last one."""
        self.applied_index = item.index
        if item.payload is not None:  # else the engine's own
            self._apply(item.index, item.payload)
        self.digests.applied(item.index, self.state)

    def _apply(self, index: int, payload: bytes) -> None:
        begun_s = self._clock()
        applied = self._machine.apply(index, payload)
        done_s = self._clock()
        self._took.observe(done_s - begun_s)
        self.on_entry.tell(index, payload)
        self.on_applied.tell(applied)
        if self._traces:
            named = (one[:3] for one in applied.outcomes)
            self._traces.applied(index, named, begun_s, done_s, self._clock())
        for node, boot, number, outcome in applied.outcomes:
            self._on_outcome(node, boot, number, outcome)

    def install(self, item: Install, state: State) -> None:
        """Go on from `state`, which was loaded from the snapshot of `item`."""
        self._machine.state = state
        self.applied_index = item.meta.index
        log.info("snapshot installed", index=item.meta.index)
        self.on_install.tell()
