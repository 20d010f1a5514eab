"""With which step of its route a conversation goes on.  No I/O.

    a step is skipped                              noted as
    -----------------                              --------
    its `skip_if` holds                            skip_if
    it prefers the visitor's last agent, and       last agent not here
    nobody served them, or who did is not here

The last step is never skipped.  What cannot be told of a queue is not skipped.
"""

from cluster.routing.pool import Pool
from cluster.routing.skips import QueueFigures, Skips
from cluster.state.model import Conversation
from cluster.state.route import Route, Step
from cluster.state.state import State


class Skipping:
    """Chooses steps by how queues are now."""

    def __init__(self, pool: Pool, judge: Skips) -> None:
        self._pool = pool
        self._judge = judge
        self.now_ms = 0

    def first(
        self, state: State, conversation: Conversation, route: Route, begin: int
    ) -> tuple[int, tuple[tuple[int, str], ...]]:
        """Return the first step from `begin` on that is not skipped, and why others were."""
        skipped: list[tuple[int, str]] = []
        for number in range(begin, len(route.steps) - 1):
            why = self._why_skipped(state, conversation, route.steps[number])
            if not why:
                return number, tuple(skipped)
            skipped.append((number, why))
        return len(route.steps) - 1, tuple(skipped)

    def _why_skipped(self, state: State, conversation: Conversation, step: Step) -> str:
        if step.prefer == "last_agent":
            visitor = (conversation.visitor_kind, conversation.visitor)
            if state.served.get(visitor, "") not in state.here:
                return "last agent not here"
        if step.skip_if and self._holds(state, step):
            return "skip_if"
        return ""

    def _holds(self, state: State, step: Step) -> bool:
        waiting = state.waiting.get(step.queue, ())
        oldest_ms = next(iter(state.lines.arrivals.get(step.queue, ())), (self.now_ms, ""))[0]
        waited_s = max(0, self.now_ms - oldest_ms) // 1000
        figures = QueueFigures(self._available(state, step), len(waiting), waited_s)
        return self._judge.verdict(step.skip_if, figures).matched

    def _available(self, state: State, step: Step) -> int:
        """How many could be offered something of the step's queue now."""
        settings = state.queue(step.queue)
        skills = tuple(settings.skills.items()) if settings is not None else ()
        return sum(count for kind, _, count in self._pool.kinds() if not kind.lacks(skills))
