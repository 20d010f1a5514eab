"""How a conversation has been served so far, and the clocks that run against its service level.

    clock            begins with                       stops with
    first_response   the opening                       the first public answer of a person
    next_response    the visitor's first message       the next public answer of a person
                     after an answer
    resolution       the opening                       the close
    all                                                the close

    told   nothing ──warn_ms──▶ warning ──due_ms──▶ breach      each once for each run of a clock

A person is an agent or a supervisor: what a program says - a service, or a bot among the agents -
helps, and is no answer.  A transfer
stops nothing, since the visitor waits on.  A conversation that is opened again has its whole
time to be resolved again, and to be answered if it never was.

The level is that of the first route that named one, as its rules were then: its values are
kept here, so no rule that is applied later moves a clock that runs.

No I/O.  `follow` is all of it: a function of what was, and of the event.
"""

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from cluster.state.events import Event
from cluster.state.route import ServiceLevel

if TYPE_CHECKING:
    from cluster.state.model import Conversation

ClockName = Literal["first_response", "next_response", "resolution"]
ClockLevel = Literal["warning", "breach"]

_PEOPLE = frozenset({"agent", "supervisor"})
"""Whose public messages stop a clock."""
_HELPERS = _PEOPLE | {"service"}
"""Who can be the reason that a conversation is not missed."""


class Clock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One that runs."""

    name: ClockName
    since_ms: int
    warn_ms: int
    """When a warning is due; 0 for none."""
    due_ms: int
    told: Literal["", "warning", "breach"] = ""

    @property
    def next_ms(self) -> int:
        """When something is to be told of it; 0 when nothing is any more."""
        if self.told == "breach":
            return 0
        return self.warn_ms if self.warn_ms and not self.told else self.due_ms


class Service(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How a conversation has been served so far."""

    sla: str = ""
    level: ServiceLevel | None = None
    clocks: tuple[Clock, ...] = ()
    breaches: dict[str, int] = {}
    """How often each clock ran out."""
    begun_ms: int = 0
    """When it was opened again; 0 while the opening counts."""
    answered_ms: int = 0
    """The first answer of a person."""
    asked_ms: int = 0
    """The visitor's first message since the last answer."""
    helped: bool = False
    """Whether anybody answered, a program included."""
    agent: str = ""
    """Who owned it last."""
    asked_for: Literal["", "message", "callback"] = ""
    """What its overflow asked the visitor for, or promised."""
    overflowed: Literal["", "overflow", "outside_hours"] = ""
    """Why it may end without anybody: a reason of `missed`."""
    offline_ms: int = 0
    """When the visitor was told that nobody is there."""

    @property
    def next_ms(self) -> int:
        """When something is to be told of its clocks; 0 for never."""
        if not self.clocks:
            return 0
        return min((at for one in self.clocks if (at := one.next_ms)), default=0)


UNSERVED = Service()


def follow(conversation: "Conversation", event: Event, *, by_bot: bool = False) -> Service:
    """Return how the conversation has been served once `event` has happened.

    `by_bot`: whoever it is by is a bot.
    """
    service = conversation.service
    match event.type:
        case "msg":
            return _said(service, conversation, event, by_bot=by_bot)
        case "assigned":
            return replace(service, agent=str(event.data.get("agent", "")))
        case "overflow":
            return _overflowed(service, conversation, event)
        case "queued":
            offline = event.data.get("offline") and not service.offline_ms
            return replace(service, offline_ms=event.ts) if offline else service
        case "closed":
            return replace(service, clocks=(), asked_ms=0)
        case "reopened":
            service = replace(service, begun_ms=event.ts, asked_for="", overflowed="", offline_ms=0)
            return _begun(service, conversation.opened_ms)
    return service


def begin(service: Service, sla: str, level: ServiceLevel, opened_ms: int) -> Service:
    """Return `service` with the clocks of its level; of one that has a level, as it is."""
    if service.level is not None:
        return service
    return _begun(replace(service, sla=sla, level=level), opened_ms)


def tell(service: Service, now_ms: int) -> tuple[Service, tuple[tuple[Clock, ClockLevel], ...]]:
    """Return what is to be told of its clocks at `now_ms`, and `service` with that told.

    Of a clock that ran out before anybody told its warning, the breach alone is told.
    """
    told: list[tuple[Clock, ClockLevel]] = []
    clocks = []
    breaches = service.breaches
    for clock in service.clocks:
        level = _due(clock, now_ms)
        if level:
            told.append((clock, level))
            clock = replace(clock, told=level)
            if level == "breach":
                breaches = {**breaches, clock.name: breaches.get(clock.name, 0) + 1}
        clocks.append(clock)
    if not told:
        return service, ()
    return replace(service, clocks=tuple(clocks), breaches=breaches), tuple(told)


def is_overtaken(before: Service, after: Service, now_ms: int) -> bool:
    """Say whether a clock stops that ran out, and that nobody told of yet."""
    return any(
        clock.told != "breach" and clock.due_ms <= now_ms and clock not in after.clocks
        for clock in before.clocks
    )


def _said(service: Service, conversation: "Conversation", event: Event, *, by_bot: bool) -> Service:
    by = event.by
    if (by.kind, by.id) == (conversation.visitor_kind, conversation.visitor):
        if service.asked_ms or not service.answered_ms:
            return service
        return _asked(replace(service, asked_ms=event.ts))
    if by.kind in _PEOPLE and not by_bot:
        if service.answered_ms and not service.asked_ms:
            return service
        left = tuple(clock for clock in service.clocks if clock.name == "resolution")
        answered_ms = service.answered_ms or event.ts
        return replace(service, clocks=left, answered_ms=answered_ms, asked_ms=0, helped=True)
    if by.kind in _HELPERS and not service.helped:
        return replace(service, helped=True)
    return service


def _overflowed(service: Service, conversation: "Conversation", event: Event) -> Service:
    """Return `service` after an overflow; one into another queue, or to a bot, ends no hope.

    What overflows at once came outside the hours of its queue.
    """
    do = event.data.get("do")
    if do not in ("message", "callback", "close"):
        return service
    overflow = conversation.route.overflow
    at_once = event.data.get("why") == "waited" and overflow is not None and not overflow.after_ms
    why: Literal["overflow", "outside_hours"] = "outside_hours" if at_once else "overflow"
    asked_for = do if do != "close" else ""
    return replace(service, asked_for=asked_for, overflowed=why)


def _begun(service: Service, opened_ms: int) -> Service:
    """Return `service` with the clocks that run from its beginning, and none else."""
    level = service.level
    if level is None:
        return service
    since_ms = service.begun_ms or opened_ms
    clocks = []
    if not service.answered_ms:
        clocks += _clock(level, "first_response", since_ms, level.first_response_ms)
    clocks += _clock(level, "resolution", since_ms, level.resolution_ms)
    service = replace(service, clocks=tuple(clocks))
    return _asked(service) if service.asked_ms else service


def _asked(service: Service) -> Service:
    """Return `service` with the clock of the visitor's question, where its level has one."""
    level = service.level
    if level is None:
        return service
    clock = _clock(level, "next_response", service.asked_ms, level.next_response_ms)
    return replace(service, clocks=(*service.clocks, *clock))


def _clock(level: ServiceLevel, name: ClockName, since_ms: int, within_ms: int) -> list[Clock]:
    if not within_ms:
        return []
    warned = 0 < level.warn_percent < 100
    warn_ms = since_ms + within_ms * level.warn_percent // 100 if warned else 0
    return [Clock(name, since_ms, warn_ms, since_ms + within_ms)]


def _due(clock: Clock, now_ms: int) -> ClockLevel | None:
    if clock.told != "breach" and clock.due_ms <= now_ms:
        return "breach"
    if not clock.told and clock.warn_ms and clock.warn_ms <= now_ms:
        return "warning"
    return None
