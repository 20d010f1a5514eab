"""The [queue.NAME] of rule files.  No I/O.

order = "priority,age"         or "age"
agent_order = "longest_idle"   least_loaded, round_robin, sticky, proficiency:SKILL
accept = "20s"   mode = "ask"  or "auto"     on_timeout = ["next", "away"]
skills = ["refund"]            or { refund = 4 }, with least levels
priority = 0     aging = "60s" +1 for each that it waited
wrap_up = "30s"  max_waiting = 200
hours = "cn-office"            closed = { do = ... }    overflow = { after = ..., do = ... }
"""

from collections.abc import Mapping
from typing import Any

from cluster.routing.hours import Hours
from cluster.routing.overflows import read_overflow
from cluster.routing.queues import Queues
from cluster.routing.reading import Reader
from cluster.routing.rules import ACCEPT_MS, QueueRules
from cluster.state.limits import NAME_BYTES_MAX, OFFER_TTL_MS, QUEUES_MAX
from cluster.state.route import AgentOrder, OnTimeout, Queue
from cluster.toml_source import Document, Path, did_you_mean, shown

WRAP_UP_MS = (1_000, 3_600_000)
AGING_MS = (1_000, 24 * 3_600_000)
WAITING = (1, 1_000_000)

_AGENT_ORDERS = ("longest_idle", "least_loaded", "round_robin", "sticky")
_PROFICIENCY = "proficiency:"
_ON_TIMEOUT: tuple[OnTimeout, ...] = ("next", "away")


def read_queues(
    read: Reader, queues: Queues, documents: list[Document], hours: Mapping[str, Hours]
) -> None:
    """Read the tables of all files into `queues`."""
    every = read.every(documents, "queue", most=QUEUES_MAX, mend="join the two")
    for document, name, path, table in every:
        queues.rules[name] = _queue_rules(read, queues, document, path, table, hours)


def _queue_rules(
    read: Reader,
    queues: Queues,
    document: Document,
    path: Path,
    table: Mapping[str, Any],
    hours: Mapping[str, Hours],
) -> QueueRules:
    within = _hours(read, document, (*path, "hours"), table.get("hours"), hours)
    at = (*path, "closed")
    closed = read_overflow(read, queues, document, at, table.get("closed"), at_once=True)
    if closed is not None and "hours" not in table:
        read.mistake(document, at, "'closed' in a queue without hours", 'add hours = "..."')
    at = (*path, "overflow")
    return QueueRules(
        str(path[1]),
        _queue(read, document, path, table),
        read.priority(document, (*path, "priority"), table.get("priority", 0)),
        within,
        closed,
        read_overflow(read, queues, document, at, table.get("overflow"), at_once=False),
        document.place(path),
    )


def _queue(read: Reader, document: Document, path: Path, table: Mapping[str, Any]) -> Queue:
    def at(key: str) -> Path:
        return (*path, key)

    waiting = table.get("max_waiting")
    order = table.get("order", "priority,age")
    orders = ("priority,age", "age")
    return Queue(
        accept_ms=read.duration_ms(
            document, at("accept"), table.get("accept"), OFFER_TTL_MS, "to accept an offer"
        )
        or ACCEPT_MS,
        skills=read.skills(document, at("skills"), table.get("skills", [])),
        mode=read.choice(document, at("mode"), table.get("mode", "ask"), ("ask", "auto")),
        on_timeout=_on_timeout(read, document, at("on_timeout"), table.get("on_timeout", ["next"])),
        agent_order=_agent_order(read, document, at("agent_order"), table.get("agent_order")),
        aging_ms=read.duration_ms(document, at("aging"), table.get("aging"), AGING_MS),
        by_age=read.choice(document, at("order"), _spaceless(order), orders) == "age",
        wrap_up_ms=read.duration_ms(document, at("wrap_up"), table.get("wrap_up"), WRAP_UP_MS),
        max_waiting=0
        if waiting is None
        else read.whole(document, at("max_waiting"), waiting, "max_waiting", WAITING),
    )


def _spaceless(value: Any) -> Any:
    return value.replace(" ", "") if isinstance(value, str) else value


def _hours(
    read: Reader, document: Document, path: Path, value: Any, hours: Mapping[str, Hours]
) -> Hours | None:
    if value is None:
        return None
    found = hours.get(value) if isinstance(value, str) else None
    if found is None:
        mend = did_you_mean(str(value), hours) if hours else f"add [hours.{shown(str(value))}]"
        read.mistake(document, path, f"no [hours.{shown(str(value))}]", mend)
    return found


def _on_timeout(read: Reader, document: Document, path: Path, value: Any) -> tuple[OnTimeout, ...]:
    given = value if isinstance(value, list) else [value]
    if not given:
        read.mistake(document, path, "on_timeout is empty", 'write ["next"] or ["next", "away"]')
    return tuple(dict.fromkeys(read.choice(document, path, one, _ON_TIMEOUT) for one in given))


def _agent_order(read: Reader, document: Document, path: Path, value: Any) -> AgentOrder:
    if value is None:
        return _AGENT_ORDERS[0]
    if isinstance(value, str) and value.startswith(_PROFICIENCY):
        skill = value.removeprefix(_PROFICIENCY).strip()
        if skill and len(value.encode()) <= NAME_BYTES_MAX:
            return _PROFICIENCY + skill
        read.mistake(document, path, "proficiency of which skill?", 'write "proficiency:refund"')
        return _AGENT_ORDERS[0]
    if not isinstance(value, str) or value not in _AGENT_ORDERS:
        known = (*_AGENT_ORDERS, f"{_PROFICIENCY}SKILL")
        mend = did_you_mean(value if isinstance(value, str) else "", known)
        read.mistake(document, path, f"{shown(repr(value))} is no agent_order", mend)
        return _AGENT_ORDERS[0]
    return value
