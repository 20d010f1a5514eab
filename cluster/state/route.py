"""What the router decided for a conversation, and what a queue is like.  No I/O.

    Route        the way of one conversation: steps, tried in order
    Step         a queue, who may be offered it there, and for how long
    Overflow     what becomes of it when nobody took it in time
    Queue        how a queue offers, as compiled from its table of the rules
    ServiceLevel how soon somebody answers, as compiled from [sla.NAME]

All of it is decided where rules are compiled and evaluated, and replicated as plain values: `apply`
never reads a rule.  A conversation keeps its route whatever rules come after.

Times are milliseconds; 0 is "not at all".
"""

from typing import Literal

import msgspec

AgentOrder = str
""""longest_idle", "least_loaded", "round_robin", "sticky", or "proficiency:SKILL"."""
OfferMode = Literal["ask", "auto"]
OnTimeout = Literal["next", "away"]
OverflowDo = Literal["queue", "bot", "message", "callback", "close"]

ACCEPT_MS = 20_000
"""How long an agent has to accept an offer, where a queue does not say."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One step of a route."""

    queue: str
    priority: int = 0
    skills: dict[str, int] = {}
    """Skills an agent must hold, with the least level of each; checked again by `apply`."""
    need: str = ""
    """What else an agent must be: a key of `cluster.routing.needs`, with the values of the
    contact in it; empty for nothing.  Judged by the leader alone."""
    for_ms: int = 0
    """How long nobody may have taken it before the next step begins."""
    prefer: Literal["", "last_agent"] = ""
    """`last_agent`: of this step only the one who served the visitor last is asked."""
    skip_if: str = ""
    """CEL over `queue.*` and the contact; true when the step would begin: the next one does."""


class Overflow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What becomes of a conversation that nobody took `after_ms` from when it began to wait."""

    after_ms: int
    do: OverflowDo
    to: str = ""
    """Queue or bot; of a message its text."""


class Route(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The way of one conversation."""

    steps: tuple[Step, ...]
    rule: str = ""
    """Name of the rule that matched; empty where a hint or the fallback decided."""
    rev: int = 0
    """Revision of the rules that decided."""
    weight: int = 1
    """What it counts against an agent's capacity; of its channel."""
    sla: str = ""
    overflow: Overflow | None = None


class Queue(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a queue offers what waits in it."""

    accept_ms: int = ACCEPT_MS
    skills: dict[str, int] = {}
    """What an agent must hold to be offered anything of it, also what is transferred to it."""
    mode: OfferMode = "ask"
    """`auto`: an offer is accepted by being made."""
    on_timeout: tuple[OnTimeout, ...] = ("next",)
    """`away`: who lets an offer lapse is set away."""
    agent_order: AgentOrder = "longest_idle"
    aging_ms: int = 0
    """A conversation's priority rises by one for each that it waited."""
    by_age: bool = False
    """Whether its order is by age alone, whatever the priority."""
    wrap_up_ms: int = 0
    """How long an agent is busy with a conversation after its end."""
    max_waiting: int = 0
    """Of more, the newest overflows at once."""


class ServiceLevel(msgspec.Struct, frozen=True, omit_defaults=True):
    """How soon somebody answers."""

    first_response_ms: int = 0
    """From the opening to the first answer of a person."""
    next_response_ms: int = 0
    """From a visitor's message to the next answer."""
    resolution_ms: int = 0
    """From the opening to the close."""
    warn_percent: int = 80
    """Of a time that has passed when a warning is due."""


class Choice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why an agent was offered a conversation, as the dispatcher saw it when it chose."""

    at_ms: int
    agent: str
    step: int
    """Of the route, from 0."""
    order: AgentOrder = "longest_idle"
    tie: str = ""
    """What told the chosen from the next in line, in words."""
    passed: tuple[tuple[str, str], ...] = ()
    """Agents who were looked at and not chosen, with the reason; the first few."""
    counts: dict[str, int] = {}
    """All who were passed over, by reason."""
