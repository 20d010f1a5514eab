"""A rule set that is ready to decide.  No I/O; `ruleset` makes it from files.

Rules stand in the order in which they are tried: by priority, highest first, then by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.routing.expression import Condition, Scope
from cluster.state.limits import FALLBACK_QUEUE
from cluster.state.route import Queue
from cluster.toml_source import Document, Path

ACCEPT_MS = 20_000
"""How long an agent has to accept an offer, where a queue does not say."""
DEFAULT_QUEUE = FALLBACK_QUEUE


@dataclass(frozen=True, slots=True)
class QueueRules:
    name: str
    accept_ms: int = ACCEPT_MS
    skills: tuple[str, ...] = ()
    """What an agent must hold to be offered anything of this queue."""
    priority: int = 0

    @property
    def settings(self) -> Queue:
        """As they are replicated."""
        return Queue(accept_ms=self.accept_ms, skills=dict.fromkeys(self.skills, 0))


@dataclass(frozen=True, slots=True)
class TableTest:
    """One `test` row: a conversation, and the queue it must go to."""

    values: Mapping[str, Any]
    queue: str
    path: Path
    file: Document


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    priority: int
    """Of the rule among rules."""
    route: str
    condition: Condition | None
    """None matches always."""
    conversation_priority: int | None = None
    """Of the conversation in its queue; None leaves that of the queue."""
    skills: tuple[str, ...] = ()
    tests: tuple[TableTest, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Ready to decide; rules in the order in which they are tried."""

    rules: tuple[Rule, ...]
    queues: Mapping[str, QueueRules]
    """Every queue that a rule, the fallback or a hint may name."""
    fallback: str
    scope: Scope
    digest: str = ""
    declared: frozenset[str] = field(default_factory=frozenset)
    """Queues that a hint may name."""


def default_rules() -> RuleSet:
    """Return what is in force before any rule was applied: everything to one queue."""
    queues = {DEFAULT_QUEUE: QueueRules(DEFAULT_QUEUE)}
    return RuleSet((), queues, DEFAULT_QUEUE, Scope({}), declared=frozenset(queues))
