"""What probes and people are told about this node, in words.  No I/O.

    GET /livez      200 while a restart would mend nothing: the loop turns, and so does the core's
    GET /startupz   200 once the log is read and a leader was heard: the others' checks may begin
    GET /readyz     200 when clients should come here, else 503
    GET /cluster    the cluster as this node sees it, as JSON

    ?verbose        every check, a line each: [+]name ok, or [-]name failed: why
    ?exclude=NAME   does not count; may be given often
    /readyz/NAME    one check alone

To strangers, whoever it is that reaches the port of the clients: 200 or 503, and no checks.

A node that is not ready is not dead: it heals by itself, and restarting it heals nothing.  So
liveness asks nothing of disk, quorum or peers: whoever answers, lives.  A disk that hangs holds up
a thread and not the loop; a disk that fails ends the process by itself.  A worker answers for its
core too: one that says nothing for seconds hangs, and only a restart of all of it helps.

Source: Kubernetes, "API health endpoints", whose words and parameters these are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cluster.port import ReplicaStatus
from node import __version__
from node.edge.http import Response

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition; `why` says in words why it does not hold."""

    name: str
    ok: bool
    why: str = ""

    def __str__(self) -> str:
        return f"[+]{self.name} ok" if self.ok else f"[-]{self.name} failed: {self.why}"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node of the cluster as the configuration knows it."""

    id: str
    url: str
    peer: str
    role: str = ""
    """In the cluster; see `cluster.raft.members`."""


def liveness(*, core_silent: bool) -> tuple[Check, ...]:
    """Return what a restart would mend, if it does not hold."""
    return (
        Check("loop", ok=True),  # it is the loop that says so
        Check("core", not core_silent, "this node's core says nothing: its loop hangs"),
    )


def startup(status: ReplicaStatus) -> tuple[Check, ...]:
    """Return what must have been once before the other probes mean anything."""
    return (
        Check("log", ok=True),  # clients are not answered before it is read
        Check("joined", status.standing != "starting", status.why or "no leader found yet"),
    )


def readiness(status: ReplicaStatus, *, draining: bool) -> tuple[Check, ...]:
    """Return what must hold for clients to be sent here."""
    standing = status.standing
    return (
        Check("disk", standing != "failed", status.why),
        Check("quorum", standing not in ("fenced", "starting"), status.why or standing),
        Check("caught-up", standing != "catching_up", status.why or "still reading what it missed"),
        Check(
            "accepting",
            not draining and standing != "draining",
            status.why if standing == "draining" else "this node is being stopped",
        ),
        Check("leader", bool(status.leader), "no leader is known"),
    )


def probe_page(
    probe: str, checks: Iterable[Check], *, verbose: bool = False, exclude: Collection[str] = ()
) -> Response:
    """Return the answer to `probe` (`readyz`): what failed in any case, all of it if `verbose`."""
    checks = tuple(checks)
    failed = [check for check in checks if not check.ok and check.name not in exclude]
    shown = checks if verbose else failed
    lines = [f"[+]{one.name} excluded: ok" if one.name in exclude else str(one) for one in shown]
    unknown = sorted(set(exclude) - {check.name for check in checks})
    if unknown and (verbose or failed):
        names = ", ".join(name[:32] for name in unknown[:4])
        lines.append(f"warn: no check is called {names}, so it could not be excluded")
    if verbose or failed:
        lines.append(f"{probe} check {'failed' if failed else 'passed'}")
    return Response(503 if failed else 200, ("\n".join(lines or ["ok"]) + "\n").encode())


def bare_page(probe: str, checks: Iterable[Check], *, why: str, more: bool) -> Response:
    """Return what a stranger is told: whether, and nothing of what is behind it.

    `why` says where the checks are shown: where one failed, or `more` was asked for.
    """
    failed = any(not check.ok for check in checks)
    if not failed and not more:
        return Response(200, b"ok\n")
    passed = "failed" if failed else "passed"
    return Response(503 if failed else 200, f"{probe} check {passed}; {why}\n".encode())


def check_page(probe: str, name: str, checks: Iterable[Check]) -> Response:
    """Return the answer to a probe of one check."""
    checks = tuple(checks)
    for check in checks:
        if check.name == name:
            return probe_page(f"{probe}/{name}", [check])
    known = ", ".join(check.name for check in checks)
    return json_response(
        404, {"code": "not_found", "msg": f"{probe} has no check {name[:64]!r}; there are: {known}"}
    )


def cluster_page(
    status: ReplicaStatus,
    *,
    cluster: str,
    pid: int,
    nodes: Iterable[NodeRow],
    rules_rev: int,
    counts: Mapping[str, int],
    more: Mapping[str, Any] | None = None,
    digest: Mapping[str, Any] | None = None,
) -> Response:
    """Return the cluster as this node sees it; `more` are further fields."""
    page: dict[str, Any] = {
        "cluster": cluster,
        "epoch": status.epoch,
        "node": status.node,
        "boot": status.boot,
        "pid": pid,
        "version": __version__,
        "level": status.level,
        "level_used": status.level_used,
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
        **(more or {}),
        "heal_mode": status.heal_mode,
    }
    if status.peer_tls:
        page["peer_tls"] = status.peer_tls
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
    known: dict[str, Any] = {"id": row.id, "url": row.url, "peer": row.peer, "member": row.role}
    known |= {"vitals": status.nodes.get(row.id, {"known": False})}
    if row.id == status.node:
        return known | {
            "self": True,
            "connected": True,
            "last_heard_s": 0.0,
            "level": status.level,
        }
    return known | dict(status.peers.get(row.id, {"connected": False}))
