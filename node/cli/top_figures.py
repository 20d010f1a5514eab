"""What `unidesk cluster top` shows, from what the nodes said at two moments.  No I/O.

Tick, Tick ──▶ Picture ── nodes    standing, role, lag, rates, disk
                      ├── cluster  leader, term, rates of all
                      └── alerts   what an operator should look at, the worst first

rate   (counter now - before) / seconds, of a node that was not started anew between the two
lag    entries that some node knows as committed and this one has not applied
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from node.cli.nodes import Statuses, answered, names_of
from node.client.status import NodeStatus

LAG_MAX = 5_000
"""Entries: more is worth a look."""
FREE_SHARE_MIN = 0.10
SYNC_MS_MAX = 100.0
HEALS = 3


@dataclass(frozen=True, slots=True)
class Tick:
    """One round of questions."""

    at_s: float
    found: Statuses


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node; None is unknown."""

    node: str
    url: str
    standing: str
    zone: str = ""
    version: str = ""
    role: str = ""
    term: int = 0
    applied: int = 0
    lag: int | None = None
    clients: int | None = None
    messages_per_s: float | None = None
    free_bytes: int | None = None
    free_share: float | None = None
    sync_ms: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of the cluster."""

    cluster: str
    leader: str
    term: int
    commits_per_s: float | None
    messages_per_s: float | None
    counts: dict[str, int]
    nodes: list[NodeRow]
    alerts: list[str]
    heals: list[dict[str, Any]]
    queues: list[dict[str, Any]] = field(default_factory=list)


def picture(before: Tick | None, now: Tick) -> Picture:
    """Return what two rounds, or the first one, show."""
    there = answered(now.found)
    newest = max(there, key=lambda one: (one.term, one.commit_index), default=None)
    committed = max((one.commit_index for one in there), default=0)
    names = names_of(now.found)
    rows = [
        _row(names.get(url, "?"), url, one, committed, before, now)
        for url, one in now.found.items()
    ]
    leader = next((one.node for one in there if one.leads), "")
    return Picture(
        cluster=newest.cluster if newest is not None else "",
        leader=leader,
        term=newest.term if newest is not None else 0,
        commits_per_s=_commits(before, now, committed),
        messages_per_s=_sum([row.messages_per_s for row in rows]),
        counts=dict(newest.counts) if newest is not None else {},
        nodes=sorted(rows, key=lambda row: row.node),
        alerts=list(_alerts(rows, there, leader)),
        heals=(newest.heals if newest is not None else [])[-HEALS:],
    )


def _row(
    name: str, url: str, one: NodeStatus | None, committed: int, before: Tick | None, now: Tick
) -> NodeRow:
    if one is None:
        return NodeRow(name, url, "no answer")
    old = before.found.get(url) if before is not None else None
    free, total = one.storage.get("free_bytes"), one.storage.get("total_bytes")
    return NodeRow(
        node=one.node,
        url=url,
        standing=one.standing,
        zone=one.zone,
        version=one.version,
        role=one.role,
        term=one.term,
        applied=one.applied_index,
        lag=max(0, committed - one.applied_index),
        clients=one.counts.get("connections"),
        messages_per_s=_rate(before, now, old, one, "messages"),
        free_bytes=None if free is None else int(free),
        free_share=free / total if free is not None and total else None,
        sync_ms=_sync_ms(old, one),
        why=one.why,
    )


def _rate(
    before: Tick | None, now: Tick, old: NodeStatus | None, one: NodeStatus, what: str
) -> float | None:
    if before is None or old is None or old.boot != one.boot or what not in one.totals:
        return None
    seconds = now.at_s - before.at_s
    return max(0, one.totals[what] - old.totals.get(what, 0)) / seconds if seconds > 0 else None


def _sync_ms(old: NodeStatus | None, one: NodeStatus) -> float | None:
    """Return the node's own p99, else the mean of the syncs between the two moments."""
    p99 = one.storage.get("sync_p99_ms", -1.0)
    if p99 >= 0:
        return p99
    if old is None or old.boot != one.boot or "syncs" not in one.storage:
        return None
    syncs = one.storage["syncs"] - old.storage.get("syncs", 0)
    seconds = one.storage["sync_seconds_total"] - old.storage.get("sync_seconds_total", 0.0)
    return 1000 * seconds / syncs if syncs > 0 else None


def _commits(before: Tick | None, now: Tick, committed: int) -> float | None:
    earlier = answered(before.found) if before is not None else []
    if before is None or not earlier or now.at_s <= before.at_s:
        return None
    was = max(one.commit_index for one in earlier)
    return max(0, committed - was) / (now.at_s - before.at_s)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _alerts(rows: list[NodeRow], there: list[NodeStatus], leader: str) -> Iterator[str]:
    """Yield what is wrong, the worst first."""
    if not there:
        yield "no node answers"
    elif not leader:
        yield "nobody leads: an election is on, or a majority is missing"
    for one in there:
        if one.violations:
            yield f"{one.node}: {one.violations} violations of an invariant: report this"
    for row in rows:
        if row.standing not in ("serving", "draining"):
            yield f"{row.node}: {row.standing}" + (f": {row.why}" if row.why else "")
    for one in there:
        if one.abstains:
            yield f"{one.node}: abstains: it lost its data and is not counted yet"
    for row in rows:
        if row.lag is not None and row.lag > LAG_MAX:
            yield f"{row.node}: {row.lag} entries behind"
        if row.free_share is not None and row.free_share < FREE_SHARE_MIN:
            yield f"{row.node}: {row.free_share:.0%} of the disk is free"
        if row.sync_ms is not None and row.sync_ms > SYNC_MS_MAX:
            yield f"{row.node}: syncs take {row.sync_ms:.0f} ms"
        if row.standing == "draining":
            yield f"{row.node}: drained by an operator"
    for queue in sorted({queue for one in there for queue in one.unstaffed}):
        yield f"queue {queue}: nobody serves it"
