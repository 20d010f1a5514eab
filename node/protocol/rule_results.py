"""What the replies to operations on routing rules hold in `r`.  No I/O."""

from typing import Any

import msgspec

from cluster.state.commands import By
from node.protocol.results import Result


class TableChanges(msgspec.Struct, kw_only=True):
    """Tables of the rule files, as in `rule.vip`, by what became of them; the first few of each."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    moved: list[str]
    """Rules that are tried in another turn."""
    more: int = 0
    """How many are left out."""


class Revision(msgspec.Struct, kw_only=True):
    """One revision of the rules."""

    rev: int
    at: int
    by: By
    digest: str
    """Of the files' content: the same content has the same."""
    files: int
    bytes: int
    again: int
    """The earlier revision with the same content, as after a rollback; 0 for none that is kept."""
    changes: TableChanges | None
    """Against the revision before; null where that is not kept."""


class RuleHistory(Result):
    rev: int
    """The one in force."""
    revisions: list[Revision]


class RuleMove(msgspec.Struct, kw_only=True):
    """Decisions that would come out differently in the same way."""

    queue: str
    """Where the rules in force send them."""
    to: str
    rule: str
    """Which of the proposed rules decides; empty for a hint or the fallback."""
    was: str
    """Which one in force."""
    count: int
    examples: list[str]
    """Some of the conversations."""


class RulePlan(Result):
    rev: int
    """The one in force, against which it is a change."""
    digest: str
    warnings: list[str]
    """What compiles, and is probably a mistake."""
    changes: TableChanges
    looked: int
    """Decisions that were taken anew in this answer."""
    moved: int
    """Decisions for another queue."""
    changed: int
    """Decisions for the same queue that differ in steps, priority, skills or overflow."""
    moves: list[RuleMove]
    errs_now: dict[str, int]
    """By rule in force, decisions in which it could not be told."""
    errs_then: dict[str, int]
    """By rule proposed, the same."""
    next: int
    until: int
    of: int
    """Decisions that all answers together look at, about."""
    more: bool


class PartSaid(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A part of a condition; parts of parts follow, one `depth` further in."""

    depth: int
    start: int
    """Of the condition's characters, from 0."""
    end: int
    says: str
    """Its value, `error: …`, or `not needed`."""


class RuleSaid(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a rule said of a contact."""

    rule: str
    says: str
    """`matched`, `false`, or why it could not be told."""
    mode: str = ""
    """`shadow` and `canary:N` for rules that do not decide, or not for all."""
    when: str = ""
    """Its condition; empty for one that matches always."""
    parts: list[PartSaid] = []
    """The condition taken apart, itself first; left out where there is no room."""


class StepSaid(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A step of the way, and what became of it."""

    queue: str
    prio: int
    skills: dict[str, int] = {}
    need: str = ""
    """What else an agent must be, with the contact's values in it."""
    for_ms: int = 0
    """How long before the next begins; 0 for as long as it takes."""
    prefer: str = ""
    skip_if: str = ""
    became: list[str] = []
    """As in `begun after 30.0 s`, `skipped: queue.available == 0`."""


class Decided(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A decision."""

    cv: str
    at: int
    rev: int
    """Of the rules that decide; 0 for others than those applied, and the built-in ones."""
    rule: str
    """Empty where a hint or the fallback decides."""
    queue: str
    prio: int
    rules: list[RuleSaid]
    """In the order in which they are tried, up to the one that matches."""
    steps: list[StepSaid] = []
    sla: str = ""
    overflow: str = ""
    """What becomes of it when nobody takes it, as in `after 300 s: queue general`."""


class Simulated(Result):
    rev: int
    digest: str
    decisions: list[Decided]
    next: int
    more: bool


class RuleCount(msgspec.Struct, kw_only=True):
    """What one rule did."""

    rule: str
    matched: int
    erred: int
    """Could not be told, and so did not match."""
    shadow: int
    """Would have matched, and only shadows."""


class RuleStatistics(Result):
    rev: int
    routings: int
    """Decisions by this revision that are kept."""
    since: int
    """When the first of them was taken; 0 without any."""
    undecided: int
    """Those that no rule matched: a hint or the fallback."""
    rules: list[RuleCount]


class Candidate(msgspec.Struct, kw_only=True):
    """An agent who was passed over."""

    agent: str
    why: str


class Chosen(msgspec.Struct, kw_only=True):
    """Why an agent was offered it."""

    at: int
    agent: str
    step: int
    order: str
    tie: str
    """What told the chosen from the next in line."""
    passed: list[Candidate]
    counts: dict[str, int]
    """All who were passed over, by reason."""


class Happened(msgspec.Struct, kw_only=True):
    """An event of its way to an agent."""

    seq: int
    at: int
    type: str
    says: str


class Reason(msgspec.Struct, kw_only=True):
    """One decision of the rules, and what became of it."""

    decided: Decided
    values: dict[str, Any]
    """What the rules looked at."""
    values_of: str
    """`then`: as they were; `now`: they are not kept any more, and these are today's."""
    kept: bool
    """Whether the rules of that revision are kept: without them there is no more to explain."""
    happened: list[Happened]
    chosen: list[Chosen]


class Reasons(Result):
    cv: str
    reasons: list[Reason]
    """Oldest first."""
