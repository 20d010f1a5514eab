"""How each member does, for people: one row a node, as this one heard it last.  No I/O.

So one node's page shows all.  A member that never spoke has `known: false`: it is of an earlier
release, or was not there since this node started.
"""

from cluster.heal.picture import Other, Seen
from cluster.port import Figures
from cluster.vitals import STALE_S


def rows(seen: Seen) -> dict[str, Figures]:
    """Return each member's figures by its name; sizes in bytes, ages in seconds."""
    known = {**seen.others, seen.node: Other(seen.mine, 0.0)}
    return {
        name: {"member": member.role, **_row(known.get(name))}
        for name, member in seen.members.by_id.items()
    }


def _row(other: Other | None) -> Figures:
    if other is None:
        return {"known": False}
    vitals, storage = other.vitals, other.vitals.storage
    return {
        "known": True,
        "fresh": other.age_s <= STALE_S,
        "age_s": round(other.age_s, 2),
        "standing": vitals.standing,
        "zone": vitals.zone,
        "version": vitals.version,
        "level": vitals.level,
        "leader": vitals.leader,
        "applied_index": vitals.applied_index,
        "hears": ", ".join(vitals.hears),
        "clock_ahead_ms": other.ahead_ms,
        "disk_free_bytes": storage.free_bytes,
        "disk_total_bytes": storage.total_bytes,
        "sync_p99_ms": storage.sync_p99_ms,
        "sync_running_ms": storage.sync_running_ms,
    }
