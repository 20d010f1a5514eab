"""What `unidesk cluster status` shows people: a table, and what it has no room for.  No I/O.

    a row      as the node itself says; disk, sync and clock as nodes tell each other
    below it   who does not serve and why; the epoch, the level of commands, who heals

A narrow terminal shows fewer columns, `LESS` first; --json has everything.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.cli.nodes import Statuses, answered, names_of

if TYPE_CHECKING:
    from rich.console import Group

    from node.client.status import NodeStatus

COLUMNS = ("node", "zone", "standing", "role", "term", "applied", "behind", "level", "free", "sync",
           "clock", "conversations", "agents", "pid", "address", "connections")  # fmt: skip
LESS = ("pid", "agents", "conversations", "address", "connections", "applied", "term", "sync",
        "level", "zone")  # fmt: skip


def view(found: Statuses) -> "Group":
    """Return what to print."""
    from rich.console import Group
    from rich.text import Text

    from node.cli.output import fitting, plain

    most = max((one.commit_index for one in answered(found)), default=0)
    names, teller = names_of(found), _teller(found)
    rows = [_row(url, one, most, names.get(url, "?"), teller) for url, one in found.items()]
    lines = [Text(plain(line)) for line in remarks(found)]
    return Group(fitting(COLUMNS, rows, LESS), *lines)


def remarks(found: Statuses) -> Iterator[str]:
    """Yield what is said below the table."""
    there, teller = answered(found), _teller(found)
    for one in there:
        if one.why:
            yield f"{one.node} is {one.standing}: {one.why}"
        if one.abstains:
            yield f"{one.node} abstains: it lost its data, and does not vote until it is filled"
    if teller is None:
        return
    words = [f"epoch {teller.epoch}", f"commands of level {teller.level_used}"]
    if waiting := level_waits(there):
        words[-1] += f"; {waiting}"
    modes = sorted({one.heal_mode for one in there if one.heal_mode})
    if len(modes) == 1:
        words.append(f"healing: {modes[0]}")
    elif modes:
        said = ", ".join(f"{one.node} {one.heal_mode}" for one in there if one.heal_mode)
        words.append(f"healing: {said}")
    yield f"{teller.cluster}: " + ", ".join(words)
    for fault in faults_of(teller):
        yield f"chaos: {fault}; `unidesk chaos stop` ends it"


def faults_of(one: "NodeStatus") -> Iterator[str]:
    """Yield what is broken on purpose, and by whom."""
    from node.chaos.words import phrase

    for fault in one.chaos.get("faults", []):
        what = {name: value for name, value in fault.items() if name != "by"}
        yield f"{phrase(**what)}, by {fault['by']}"


def level_waits(there: "list[NodeStatus]") -> str:
    """Return for which nodes the newest commands wait; empty when they are in use."""
    used = max((one.level_used for one in there), default=0)
    newest = max((one.level for one in there), default=0)
    if newest <= used:
        return ""
    old = [one.node for one in there if one.level < newest]
    return f"level {newest} waits for {', '.join(old) or 'nodes that do not answer'}"


def _teller(found: Statuses) -> "NodeStatus | None":
    """Return who knows best: the leader, or who is furthest."""
    return max(
        answered(found), key=lambda one: (one.leads, one.term, one.commit_index), default=None
    )


def _row(
    url: str, one: "NodeStatus | None", most: int, name: str, teller: "NodeStatus | None"
) -> list[str]:
    if one is None:
        return [name, "", "no answer", *[""] * 11, url, ""]
    heard = teller.vitals(one.node) if teller is not None else {}
    counts = {what: str(one.counts.get(what, 0)) for what in COLUMNS}
    return [
        one.node,
        one.zone or "-",
        one.standing,
        one.role,
        str(one.term),
        str(one.applied_index),
        str(max(0, most - one.applied_index)),
        str(one.level),
        _free(one.storage),
        _sync(one.storage),
        f"{heard['clock_ahead_ms']:+.0f} ms" if "clock_ahead_ms" in heard else "-",
        counts["conversations"],
        counts["agents"],
        str(one.pid or ""),
        url,
        counts["connections"],
    ]


def _free(storage: dict[str, float]) -> str:
    free, total = storage.get("free_bytes"), storage.get("total_bytes")
    return f"{free / total:.0%}" if free is not None and total else "-"


def _sync(storage: dict[str, float]) -> str:
    return f"{storage['sync_p99_ms']:.1f} ms" if "sync_p99_ms" in storage else "-"
