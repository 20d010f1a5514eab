"""What probes and people are told about this node, in words.  No I/O.

    GET /livez      200 while the process turns at all
    GET /readyz     200 when clients should come here, else 503 and why; ?verbose lists the checks
    GET /cluster    the cluster as this node sees it, as JSON

A node that is not ready is not dead: it heals by itself, and restarting it heals nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cluster.port import ReplicaStatus
from node import __version__
from node.edge.http import Response

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready; `why` says in words why it does not hold."""

    name: str
    ok: bool
    why: str = ""

    def __str__(self) -> str:
        return f"[+] {self.name} ok" if self.ok else f"[-] {self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node of the cluster as the configuration knows it."""

    id: str
    url: str
    peer: str


def readiness(status: ReplicaStatus, *, draining: bool) -> tuple[Check, ...]:
    """Return what must hold for clients to be sent here."""
    standing = status.standing
    return (
        Check("disk", standing != "failed", status.why),
        Check("quorum", standing not in ("fenced", "starting"), status.why or standing),
        Check("caught-up", standing != "catching_up", status.why or "still reading what it missed"),
        Check("accepting", not draining and standing != "draining", "this node is being stopped"),
        Check("leader", bool(status.leader), "no leader is known"),
    )


def live_page() -> Response:
    """Return the answer to a liveness probe."""
    return Response(200, b"ok\n")


def ready_page(checks: Iterable[Check], *, verbose: bool) -> Response:
    """Return the answer to a readiness probe."""
    checks = tuple(checks)
    failed = [check for check in checks if not check.ok]
    status = 503 if failed else 200
    if verbose:
        lines = [*(str(check) for check in checks), "ready" if not failed else "not ready"]
    else:
        lines = [f"{check.name}: {check.why}" for check in failed[:1]] or ["ok"]
    return Response(status, ("\n".join(lines) + "\n").encode())


def cluster_page(
    status: ReplicaStatus,
    *,
    cluster: str,
    pid: int,
    nodes: Iterable[NodeRow],
    rules_rev: int,
    counts: Mapping[str, int],
    digest: Mapping[str, Any] | None = None,
) -> Response:
    """Return the cluster as this node sees it."""
    page: dict[str, Any] = {
        "cluster": cluster,
        "node": status.node,
        "boot": status.boot,
        "pid": pid,
        "version": __version__,
        "standing": status.standing,
        "why": status.why,
        "role": status.role,
        "leader": status.leader,
        "term": status.term,
        "commit_index": status.commit_index,
        "applied_index": status.applied_index,
        "last_index": status.last_index,
        "first_index": status.first_index,
        "snapshot_index": status.snapshot_index,
        "abstains": status.abstains,
        "violations": status.violations,
        "pending": status.pending,
        "quorum_heard_s": status.quorum_heard_s,
        "nodes": [_node(row, status) for row in nodes],
        "rules_rev": rules_rev,
        "counts": dict(counts),
        "heal_mode": status.heal_mode,
    }
    if digest is not None:
        page["state_digest"] = digest
    return json_response(200, page)


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return `body` as JSON."""
    encoded = msgspec.json.encode(body) + b"\n"
    return Response(status, encoded, content_type=JSON_TYPE, headers=tuple((headers or {}).items()))


def not_found(path: str) -> Response:
    """Return the answer to a request for what is not here."""
    return json_response(404, {"code": "not_found", "msg": f"nothing is at {path[:200]}"})


def _node(row: NodeRow, status: ReplicaStatus) -> dict[str, Any]:
    known: dict[str, Any] = {"id": row.id, "url": row.url, "peer": row.peer}
    known |= {"vitals": status.nodes.get(row.id, {"known": False})}
    if row.id == status.node:
        return known | {"self": True, "connected": True, "last_heard_s": 0.0}
    return known | dict(status.peers.get(row.id, {"connected": False}))
