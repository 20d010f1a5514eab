"""The way of a conversation along the steps of its route.  No I/O.

    command      from ──▶ to                             events
    -------      -----------                             ------
    cv.route     new, waiting ──▶ waiting, at a step     queued
    cv.advance   waiting ──▶ waiting, at a later step    queued
    cv.transfer  see `conversations`: a route of one step

    step 0 ──for_ms passed──▶ step 1 ──skip_if held──▶ step 2 ... the last: until somebody takes it
           └─its agent is not there─▲

How long a step lasts is counted from `step_ms`, in cluster time.  While an offer is pending no
step ends: it ends when the offer comes to nothing.  A step that asks for the visitor's last agent
ends at once when that agent is not here.  Whether `skip_if` holds is the leader's judgement, and
noted in the event; a last step is never skipped, so nobody falls off the end.
"""

from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_names, check_skills
from cluster.state.commands import SYSTEM, AdvanceStep, RouteConversation
from cluster.state.model import Conversation
from cluster.state.outcome import RefusalCode
from cluster.state.recording import check_notes, record
from cluster.state.route import Overflow, Route, Step
from cluster.state.state import State


def route(change: Change, command: RouteConversation) -> dict[str, Any]:
    """Send a conversation on its way, or on another."""
    conversation = change.open_conversation(command.cv)
    if conversation.state not in ("new", "waiting"):
        no("conflict", f"the conversation is {conversation.state} already")
    _check_route(command.route)
    _check_skipped(command.route, -1, command.step, command.skipped)
    check_notes(command)
    data = {"rule": command.route.rule, "rev": command.route.rev}
    seq = begin(change, conversation, command.route, command.step, data, command.skipped)
    record(change, conversation, command)
    return {"seq": seq}


def advance(change: Change, command: AdvanceStep) -> dict[str, Any]:
    """Go on to a later step, once the present one is over."""
    conversation = change.open_conversation(command.cv)
    if conversation.state != "waiting":
        no("conflict", f"the conversation is {conversation.state}")
    if conversation.step != command.step:
        no("conflict", f"the conversation is at step {conversation.step}")
    _check_skipped(conversation.route, command.step, command.to, command.skipped)
    if not is_over(change.state, conversation):
        no("conflict", "the step is not over")
    data = {"reason": "step"}
    route = conversation.route
    return {"seq": begin(change, conversation, route, command.to, data, command.skipped)}


def begin(
    change: Change,
    conversation: Conversation,
    route: Route,
    step: int,
    data: dict[str, Any],
    skipped: tuple[tuple[int, str], ...] = (),
) -> int:
    """Let the conversation wait at `step` of `route`; return the `seq` of the event.

    A visitor is told of another queue, and not of every step in it.  Whoever it waited for by name,
    a step is for all whom it asks for.
    """
    at = route.steps[step]
    data = {"queue": at.queue, "priority": at.priority, **data}
    hidden = conversation.state == "waiting" and conversation.queue == at.queue
    if not hidden:
        data |= change.offline(conversation, at.queue)
    if len(route.steps) > 1:
        data["step"] = step
    if skipped:
        data["skipped"] = [[number, why] for number, why in skipped]
    conversation = change.append(
        conversation,
        "queued",
        SYSTEM,
        data=data,
        hidden=hidden,
        state="waiting",
        route=route,
        step=step,
        step_ms=change.now_ms,
        wanted_rule="",
        waiting_since_ms=conversation.waiting_since_ms or change.now_ms,
        preferred=_preferred(change.state, conversation, at),
        target="",
    )
    return conversation.seq


def is_over(state: State, conversation: Conversation) -> bool:
    """Whether the conversation, which waits, is to go on to a later step."""
    if conversation.step + 1 >= len(conversation.route.steps):
        return False
    at = conversation.at
    if at.for_ms and state.now_ms >= conversation.step_ms + at.for_ms:
        return True
    return at.prefer == "last_agent" and conversation.preferred not in state.here


def _preferred(state: State, conversation: Conversation, at: Step) -> str:
    """Return the agent who alone is asked in this step; empty for everybody."""
    if at.prefer != "last_agent":
        return ""
    return state.served.get((conversation.visitor_kind, conversation.visitor), "")


def _check_route(route: Route) -> None:
    if not 1 <= len(route.steps) <= limits.ROUTE_STEPS_MAX:
        no("bad_request", f"a route of {len(route.steps)} steps; 1 to {limits.ROUTE_STEPS_MAX}")
    if not 1 <= route.weight <= limits.CAPACITY_MAX:
        no("bad_request", f"a weight of {route.weight}; 1 to {limits.CAPACITY_MAX}")
    check_names(route.rule, route.sla)
    for step in route.steps:
        check_step(step)
    if route.overflow is not None:
        _check_overflow(route.overflow)


def check_step(step: Step) -> None:
    """Refuse a step that no queue could serve."""
    check_ids(step.queue)
    check_skills(step.skills)
    if abs(step.priority) > limits.PRIORITY_MAX:
        no("bad_request", f"a priority of more than {limits.PRIORITY_MAX}")
    _check_time("a step", step.for_ms)
    if len(step.need.encode()) + len(step.skip_if.encode()) > limits.STEP_NEED_BYTES_MAX:
        no("too_large", f"a need of more than {limits.STEP_NEED_BYTES_MAX} bytes")


def _check_overflow(overflow: Overflow) -> None:
    _check_time("an overflow", overflow.after_ms)
    if overflow.do in ("queue", "bot"):
        check_ids(overflow.to)
    elif len(overflow.to.encode()) > limits.OVERFLOW_TEXT_BYTES_MAX:
        no("too_large", f"a message of more than {limits.OVERFLOW_TEXT_BYTES_MAX} bytes")


def _check_time(what: str, time_ms: int) -> None:
    if not 0 <= time_ms <= limits.STEP_MS_MAX:
        no("bad_request", f"{what} of {time_ms} ms")


def _check_skipped(
    route: Route, before: int, step: int, skipped: tuple[tuple[int, str], ...]
) -> None:
    """Refuse a step that is none, or to which those skipped do not lead."""
    code: RefusalCode = "bad_request"
    if not before < step < len(route.steps):
        no(code, f"step {step} of {len(route.steps)}, after {before}")
    if [number for number, _ in skipped] != list(range(before + 1, step)):
        no(code, f"to step {step}: each step between is skipped for a reason")
    check_names(*(why for _, why in skipped))
