"""A rule set that is ready to decide.  No I/O; `ruleset` makes it from files.

    RuleSet ── rules ──▶ Rule ── steps ──▶ StepRules      where a conversation goes
       │                  └─ tests ──▶ TableTest          what must come out
       ├── queues ──▶ QueueRules                          and how a queue offers
       ├── levels ──▶ ServiceLevel
       ├── weights                                        of channels, against capacity
       └── hours ──▶ Hours

Rules stand in the order in which they are tried: by priority, highest first, then by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.routing.expression import Condition, Scope
from cluster.routing.hours import Hours
from cluster.routing.needs import Requirement
from cluster.state.limits import FALLBACK_QUEUE
from cluster.state.route import ACCEPT_MS, Overflow, Queue, ServiceLevel
from cluster.toml_source import Document, Path, Place, SourceError

__all__ = [
    "ACCEPT_MS",
    "DEFAULT_QUEUE",
    "QueueRules",
    "Rule",
    "RuleSet",
    "StepRules",
    "TableTest",
    "default_rules",
    "strictest",
]

DEFAULT_QUEUE = FALLBACK_QUEUE
PLAIN_QUEUE = Queue()
Mode = Literal["active", "shadow", "canary"]
NOWHERE = Place("", 0)
"""Of what no file says, such as a queue that a route made."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """A queue, and what rules add to how it offers."""

    name: str
    queue: Queue = PLAIN_QUEUE
    priority: int = 0
    """Of its conversations, where neither rule nor step says."""
    hours: Hours | None = None
    closed: Overflow | None = None
    """What becomes at once of what comes outside the hours."""
    overflow: Overflow | None = None
    """Where a rule has none."""
    place: Place = field(default=NOWHERE, compare=False)

    def is_open(self, now_ms: int) -> bool:
        """Whether it is within the hours; a queue without any is always open."""
        return self.hours is None or self.hours.is_open(now_ms)


@dataclass(frozen=True, slots=True)
class StepRules:
    """One step as rules say it, before a conversation's values are in it."""

    queue: str
    priority: int | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    require: Requirement | None = None
    for_ms: int = 0
    prefer: Literal["", "last_agent"] = ""
    skip_if: Requirement | None = None
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TableTest:
    """One `test` row: a conversation, and what must become of it."""

    values: Mapping[str, Any]
    expected: Mapping[str, Any]
    """Of `queue`, `steps`, `priority`, `sla` and `overflow` those that the row says."""
    at_ms: int
    path: Path
    file: Document


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    priority: int
    """Of the rule among rules."""
    steps: tuple[StepRules, ...]
    condition: Condition | None
    """None matches always."""
    conversation_priority: int | None = None
    """Of the conversation in its queue; None leaves that of the queue."""
    sla: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    overflow: Overflow | None = None
    mode: Mode = "active"
    percent: int = 100
    """Of conversations for which a canary decides."""
    tests: tuple[TableTest, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def route(self) -> str:
        """The queue of its first step."""
        return self.steps[0].queue


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Ready to decide; rules in the order in which they are tried."""

    rules: tuple[Rule, ...]
    queues: Mapping[str, QueueRules]
    """Every queue that a rule, the fallback or a hint may name."""
    fallback_steps: tuple[StepRules, ...]
    scope: Scope
    digest: str = ""
    declared: frozenset[str] = field(default_factory=frozenset)
    """Queues that a hint may name."""
    levels: Mapping[str, ServiceLevel] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    """Of channels; 1 of one that is not here."""
    hours: Mapping[str, Hours] = field(default_factory=dict)
    tenant: str = ""
    version: int = 1
    warnings: tuple[SourceError, ...] = ()
    """What is no mistake and yet hardly meant, with place and mend."""

    @property
    def fallback(self) -> str:
        """The first queue of what no rule matches."""
        return self.fallback_steps[0].queue


def default_rules() -> RuleSet:
    """Return what is in force before any rule was applied: everything to one queue."""
    queues = {DEFAULT_QUEUE: QueueRules(DEFAULT_QUEUE)}
    steps = (StepRules(DEFAULT_QUEUE),)
    return RuleSet((), queues, steps, Scope({}), declared=frozenset(queues))


def strictest(*asked: Mapping[str, int]) -> dict[str, int]:
    """Return every skill with the highest of its least levels."""
    skills: dict[str, int] = {}
    for one in asked:
        for name, level in one.items():
            skills[name] = max(level, skills.get(name, 0))
    return skills
