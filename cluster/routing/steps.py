"""The way that a rule gives a conversation: `route` or `steps` of rule files.  No I/O.

    route = "general"            one step in that queue
    steps = [
      { queue = "vip", prefer = "last_agent", for = "10s" },
      { queue = "vip", require = 'lang in agent.langs', for = "30s" },
      { queue = "general", priority = 60, skills = { refund = 2 }, skip_if = 'queue.waiting > 9' },
      { queue = "night" },
    ]

A step ends after its `for`; only the last may have none, since those behind it would never begin.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from cluster.routing.expression import AGENT, QUEUE, Scope
from cluster.routing.failure import ExpressionError
from cluster.routing.needs import Requirement, compile_requirement
from cluster.routing.queues import Queues
from cluster.routing.reading import STEP_KEYS, Reader, named
from cluster.routing.rules import StepRules
from cluster.state.limits import ROUTE_STEPS_MAX, STEP_MS_MAX
from cluster.toml_source import Document, Path

_PREFER: tuple[Literal["", "last_agent"], ...] = ("", "last_agent")
_FOR_MS = (1_000, STEP_MS_MAX)


class Steps:
    """Reads the ways of one rule set."""

    def __init__(self, read: Reader, queues: Queues, scope: Scope) -> None:
        self._read = read
        self._queues = queues
        self._scope = scope

    @cached_property
    def _agents(self) -> Scope:
        return self._scope.beside(AGENT)

    @cached_property
    def _figures(self) -> Scope:
        return self._scope.beside(QUEUE)

    def way(
        self, document: Document, path: Path, table: Mapping[str, Any]
    ) -> tuple[StepRules, ...]:
        """Return the steps of a rule or the fallback, at least one."""
        if "steps" in table and "route" in table:
            mend = "keep one of them"
            self._read.mistake(document, path, f"{named(path)} has route and steps", mend)
        if "steps" in table:
            return self._steps(document, (*path, "steps"), table["steps"])
        if "route" not in table:
            mend = 'add route = "a-queue"'
            self._read.mistake(document, path, f"{named(path)} has no route", mend)
            return (StepRules(""),)
        at = (*path, "route")
        queue = self._queues.refer(document, at, table["route"])
        return (StepRules(queue, place=document.place(at)),)

    def _steps(self, document: Document, path: Path, steps: Any) -> tuple[StepRules, ...]:
        mend = 'write steps = [{ queue = "vip", for = "30s" }, { queue = "general" }]'
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            self._read.mistake(document, path, "steps are a list of tables", mend)
            return (StepRules(""),)
        if not 1 <= len(steps) <= ROUTE_STEPS_MAX:
            problem = f"{len(steps)} steps, not 1 to {ROUTE_STEPS_MAX}"
            self._read.mistake(document, path, problem, mend)
            return (StepRules(""),)
        for number, step in enumerate(steps[:-1]):
            if "for" not in step:
                problem = f"step {number + 1} has no 'for': the steps after it never begin"
                self._read.mistake(document, (*path, number), problem, 'add for = "30s"')
        if steps[-1].get("prefer"):
            problem = "the last step asks one agent alone: if that agent is busy, nobody comes"
            mend = "add a step without 'prefer' behind it"
            self._read.mistake(document, (*path, len(steps) - 1), problem, mend)
        return tuple(
            self._step(document, (*path, number), step) for number, step in enumerate(steps)
        )

    def _step(self, document: Document, path: Path, step: Mapping[str, Any]) -> StepRules:
        read = self._read
        read.check_keys(document, path, step, STEP_KEYS)
        if "queue" not in step:
            read.mistake(document, path, f"no queue in {named(path)}", 'add queue = "a-queue"')
        at = (*path, "prefer")
        prefer = read.choice(document, at, step.get("prefer", ""), _PREFER)
        priority = step.get("priority")
        at = (*path, "queue")
        return StepRules(
            self._queues.refer(document, at, step["queue"]) if "queue" in step else "",
            None if priority is None else read.priority(document, (*path, "priority"), priority),
            read.skills(document, (*path, "skills"), step.get("skills", [])),
            self._requirement(document, (*path, "require"), step.get("require")),
            read.duration_ms(document, (*path, "for"), step.get("for"), _FOR_MS),
            prefer,
            self._requirement(document, (*path, "skip_if"), step.get("skip_if")),
            document.place(path),
        )

    def _requirement(self, document: Document, path: Path, source: Any) -> Requirement | None:
        text = self._read.source(document, path, source)
        if text is None:
            return None
        scope = self._agents if path[-1] == "require" else self._figures
        try:
            return compile_requirement(scope, text)
        except ExpressionError as error:
            self._read.in_source(document, path, text, error)
            return None
