"""One conversation with all of its events, and why it is where it is.  Talks to nodes."""

from typing import TYPE_CHECKING, Any

from node.cli.asking import REQUEST_S

if TYPE_CHECKING:
    from node.client import Client

HISTORY_PAGE = 200


async def whole_of(client: "Client", cv: str) -> dict[str, Any]:
    """Return a conversation with all of its events that are kept: {conv, events}."""
    from node.protocol.catalogue import CvGet, CvHistory

    conv = (await client.request(CvGet(cv=cv), timeout_s=REQUEST_S))["conv"]
    events: list[dict[str, Any]] = []
    more = True
    while more:
        after = events[-1]["seq"] if events else 0
        request = CvHistory(cv=cv, after=after, limit=HISTORY_PAGE)
        reply = await client.request(request, timeout_s=REQUEST_S)
        events += [
            {k: v for k, v in one.items() if k not in ("op", "cv")} for one in reply["events"]
        ]
        more = reply["more"]
    return {"conv": conv, "events": events}


async def why_of(client: "Client", cv: str) -> str:
    """Return in a line why it is in its queue, by the last decision; empty if none is kept."""
    from node.client.failures import RequestFailed
    from node.protocol.catalogue import Why

    try:
        reasons = (await client.request(Why(cv=cv), timeout_s=REQUEST_S))["reasons"]
    except RequestFailed as failure:
        if failure.code not in ("forbidden", "not_found"):
            raise
        return ""  # somebody who may see the conversation, and not the rules
    return why_line(reasons[-1]) if reasons else ""


def why_line(reason: dict[str, Any]) -> str:
    """Return one decision in a line."""
    decided = reason["decided"]
    by = f"rule {decided['rule']}" if decided["rule"] else "no rule: a hint or the fallback"
    parts = [f"queue {decided['queue']} by {by}"]
    if decided["rev"]:
        parts.append(f"revision {decided['rev']}")
    steps = decided.get("steps") or []
    begun = [number for number, step in enumerate(steps, start=1) if step.get("became")]
    if len(steps) > 1 and begun:
        parts.append(f"step {begun[-1]} of {len(steps)}")
    if reason["chosen"]:
        choice = reason["chosen"][-1]
        parts.append(f"then {choice['agent']} by {choice['order']}")
    return ", ".join(parts)
