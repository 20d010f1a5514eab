"""Whether a cluster may be upgraded now, node by node, and in which order.  No I/O.

    asked of every node                      not now, when
    does it answer                           one does not: it holds newer commands back, and counts
                                             against the quorum
    is it well                               it does not serve, abstains, is far behind; it joins or
                                             leaves
    can one be spared                        the voters that are well are no quorum without one
    is this release a neighbour              levels differ by more than one, or the cluster uses
                                             commands that this release does not know
    has this machine room (of one node)      the disk, or the memory for two processes, is too small

Order: who only learns, then followers, the leader last, so that leadership moves once.

Source: `etcdutl`'s and CockroachDB's upgrade checks; ADR 25 and 34.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cluster.raft.members import Role
from cluster.state.levels import LEVEL, commands_since
from node.client.status import NodeStatus

BEHIND_MAX = 1_000
"""Entries: what is behind a node that is restarted is sent to it in a moment."""

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A member, and what it says; None when it does not answer."""

    id: str
    url: str
    role: Role
    status: NodeStatus | None

    @property
    def votes(self) -> bool:
        """Whether it counts for a quorum."""
        return self.role in ("voter", "leaving")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one node, in bytes."""

    node: str
    disk_free: int
    disk_needed: int
    """For a snapshot beside the one there is, and a log that grows meanwhile."""
    memory_free: int
    memory_needed: int
    """What the node has: while it is handed over, two processes hold the state."""
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, with the mend when it is not well."""

    check: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be known before an upgrade."""

    level: int
    """Of the release that asks."""
    level_used: int
    """By the cluster; the largest that a node says."""
    findings: tuple[Finding, ...]
    order: tuple[str, ...]
    switches_on: tuple[str, ...]
    """Commands that the cluster may use once all nodes are of this release."""
    waits_for: tuple[str, ...]
    """Nodes that are not, or of which it is not known."""

    @property
    def good(self) -> bool:
        """Whether to begin."""
        return all(one.verdict != "fail" for one in self.findings)


def look(nodes: Iterable[Seen], machine: Machine | None = None) -> Report:
    """Return what is to be known of these members."""
    nodes = tuple(sorted(nodes, key=lambda one: one.id))
    used = max((one.status.level_used for one in nodes if one.status), default=1)
    checks: tuple[Callable[[tuple[Seen, ...]], Iterator[Finding]], ...] = (
        _answers,
        _well,
        _spared,
        _neighbours,
    )
    found = [finding for check in checks for finding in check(nodes)]
    if machine is not None:
        found += _room(machine)
    return Report(
        level=LEVEL,
        level_used=used,
        findings=tuple(found),
        order=tuple(one.id for one in sorted(nodes, key=_turn)),
        switches_on=commands_since(used),
        waits_for=tuple(one.id for one in nodes if one.status is None or one.status.level < LEVEL),
    )


def _turn(one: Seen) -> tuple[bool, bool, str]:
    return one.status is not None and one.status.leads, one.votes, one.id


def _answers(nodes: tuple[Seen, ...]) -> Iterator[Finding]:
    silent = [one.id for one in nodes if one.status is None]
    if not silent:
        yield Finding("answers", "ok", f"{len(nodes)} of {len(nodes)} nodes answer")
        return
    yield Finding(
        "answers",
        "fail",
        f"{', '.join(silent)} of {len(nodes)} nodes answers not: start it, or let it go with"
        f" `unidesk cluster members remove {silent[0]}`",
    )


def _well(nodes: tuple[Seen, ...]) -> Iterator[Finding]:
    most = max((one.status.commit_index for one in nodes if one.status), default=0)
    ill = [(one.id, why) for one in nodes if one.status and (why := _why_ill(one.status, most))]
    changing = [(one.id, one.role) for one in nodes if one.role in ("joining", "leaving")]
    ill += [
        (node, f"is {role}: wait until the change of members is over") for node, role in changing
    ]
    for node, why in ill:
        yield Finding("healthy", "fail", f"{node} {why}")
    if not ill:
        yield Finding("healthy", "ok", "all that answer serve, and are level with the leader")


def _why_ill(status: NodeStatus, most: int) -> str:
    if status.abstains:
        return "abstains: it lost its data, and must be filled by the others first"
    if status.standing != "serving":
        return f"is {status.standing}: {status.why or 'wait until it serves'}"
    behind = most - status.applied_index
    if behind > BEHIND_MAX:
        return f"is {behind} entries behind: wait until it has caught up"
    return ""


def _spared(nodes: tuple[Seen, ...]) -> Iterator[Finding]:
    """Whether the cluster serves while one voter is away."""
    voters = [one for one in nodes if one.votes]
    well = [one for one in voters if one.status and one.status.standing == "serving"]
    quorum = len(voters) // 2 + 1
    if len(well) - 1 >= quorum:
        yield Finding("spare", "ok", f"{len(well)} voters serve, and {quorum} are a quorum")
    elif len(voters) < 3:
        yield Finding(
            "spare",
            "warn",
            f"with {len(voters)} voters none can be spared: the cluster waits while one is"
            " restarted; `unidesk upgrade` keeps that short",
        )
    else:
        yield Finding(
            "spare",
            "fail",
            f"{len(well)} of {len(voters)} voters serve, and {quorum} are a quorum: without one"
            " more the cluster stops; mend the others first",
        )


def _neighbours(nodes: tuple[Seen, ...]) -> Iterator[Finding]:
    found = False
    for one in nodes:
        if one.status is None or not (text := _why_no_neighbour(one.id, one.status)):
            continue
        found = True
        yield Finding("release", "fail", text)
    lower = [one.id for one in nodes if one.status and one.status.level > LEVEL]
    if lower and not found:
        yield Finding(
            "release",
            "warn",
            f"this release is earlier than that of {', '.join(lower)}: going back is possible, as"
            " the cluster uses no newer commands yet",
        )
    elif not found:
        yield Finding("release", "ok", f"this release (level {LEVEL}) is a neighbour of all")


def _why_no_neighbour(node: str, status: NodeStatus) -> str:
    if status.level_used > LEVEL:
        return (
            f"{node} says that the cluster uses commands of level {status.level_used}, and this"
            f" release knows those up to {LEVEL}: there is no way back; take a later release"
        )
    if abs(status.level - LEVEL) > 1:
        return (
            f"{node} runs {status.version}, of level {status.level}, and this release has {LEVEL}:"
            " upgrade by way of the releases between"
        )
    return ""


def _room(machine: Machine) -> Iterator[Finding]:
    node = machine.node
    if machine.disk_free < machine.disk_needed:
        yield Finding(
            "disk",
            "fail",
            f"{node} has {_mib(machine.disk_free)} free for its data, and may need"
            f" {_mib(machine.disk_needed)}: make room",
        )
    else:
        yield Finding("disk", "ok", f"{node} has {_mib(machine.disk_free)} free for its data")
    if machine.workers:
        yield Finding(
            "handover",
            "warn",
            f"{node} has [node] workers, which cannot hand sockets over: stop and start it instead"
            " of `unidesk upgrade`; clients resume at the others",
        )
    elif machine.memory_free < machine.memory_needed:
        yield Finding(
            "memory",
            "warn",
            f"{node} holds {_mib(machine.memory_needed)}, and {_mib(machine.memory_free)} are free:"
            " too little for `unidesk upgrade`, where two processes hold it; stop and start it",
        )
    else:
        yield Finding(
            "memory", "ok", f"{node} has {_mib(machine.memory_free)} for a second process"
        )


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
