"""What is broken on purpose, and who agreed to it.  No I/O.

    AllowChaos   a node that has chaos on says so, with its boot: a consent ends with the process
    StartChaos   an operator ──▶ a fault, if every node in it has consented
    EndChaos     an operator: all, or some, at once; a node: one whose time is over

    kind           groups                 amount             jitter_ms
    partition      two or more, apart     -                  -
    one_way        from, to               -                  -
    delay          between two            ms                 on top, by chance
    loss           between two            percent of frames  -
    reset          between two            every so many ms   -
    pause, kill    nodes                  -                  -
    slow_disk      nodes                  ms a sync          -
    full_disk, fsync_error                nodes              -
    clock_skew     nodes                  ms, either way     -

The log decides *that* something is broken and until when; each node breaks its own part and counts
its own time, so a fault ends although nobody can tell the node (`node.chaos`).  The dictionaries
are replaced as a whole, so whoever follows them sees by identity that they changed.
"""

from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_ids
from cluster.state.commands import AllowChaos, By, EndChaos, StartChaos
from cluster.state.model import Consent, Fault

APART: frozenset[str] = frozenset({"partition", "one_way", "delay", "loss", "reset"})
"""Kinds of faults between groups of nodes; the others befall the nodes of one group."""
AMOUNTS: dict[str, tuple[int, int]] = {
    "delay": (1, 10_000),
    "loss": (1, 100),
    "reset": (50, 60_000),
    "slow_disk": (1, 10_000),
    "clock_skew": (-3_600_000, 3_600_000),
}
"""Least and most of the kinds that have an amount."""


def allow(change: Change, command: AllowChaos) -> dict[str, Any]:
    """Take a node's consent, for its present boot."""
    state = change.state
    known = state.nodes.get(change.node)
    if known is None or known.boot != command.boot:
        no("conflict", f"{change.node} has not announced this boot")
    if command.zone:
        check_ids(command.zone)
    others = {node: one for node, one in state.consents.items() if node != change.node}
    if len(others) >= limits.NODES_MAX:
        no("at_capacity", f"{limits.NODES_MAX} nodes are known")
    state.consents = {**others, change.node: Consent(change.node, command.boot, command.zone)}
    return {}


def start(change: Change, command: StartChaos) -> dict[str, Any]:
    """Begin a fault, for a while."""
    _check_operator(command.by)
    check_by(command.by)
    check_ids(command.fault)
    _check_shape(command)
    state = change.state
    boots = {name: _boot_of(change, name) for group in command.groups for name in group}
    if command.fault in state.faults:
        no("conflict", f"there is a fault {command.fault} already")
    if len(state.faults) >= limits.FAULTS_MAX:
        no("at_capacity", f"{limits.FAULTS_MAX} faults at a time; `unidesk chaos stop` ends them")
    fault = Fault(
        command.fault,
        command.kind,
        command.groups,
        command.by,
        change.now_ms,
        command.for_ms,
        boots,
        command.amount,
        command.jitter_ms,
        command.clients,
        command.zone,
    )
    state.faults = {**state.faults, fault.fault: fault}
    change.note_here(
        command.by,
        "chaos.start",
        fault=fault.fault,
        kind=fault.kind,
        nodes=" / ".join(",".join(group) for group in fault.groups),
        zone=fault.zone,
        amount=fault.amount or None,
        for_ms=fault.for_ms,
    )
    groups = [",".join(group) for group in fault.groups]
    until = fault.started_ms + fault.for_ms
    return {"fault": fault.fault, "until": until, "groups": groups}


def end(change: Change, command: EndChaos) -> dict[str, Any]:
    """End these faults, or all; who is not there is over already."""
    check_by(command.by)
    if command.by.kind != "system":
        _check_operator(command.by)
    elif not command.faults:
        no("bad_request", "a node ends what it names")
    state = change.state
    wanted = command.faults or tuple(state.faults)
    ended = [fault for fault in wanted if fault in state.faults]
    if not ended:
        return {"ended": []}
    state.faults = {key: one for key, one in state.faults.items() if key not in ended}
    for fault in ended:
        change.note_here(command.by, "chaos.end", fault=fault, why=command.why)
    return {"ended": ended}


def _check_operator(by: By) -> None:
    if by.kind != "operator":
        no("forbidden", f"a {by.kind} breaks nothing on purpose", rule="role")


def _check_shape(command: StartChaos) -> None:
    kind, groups = command.kind, command.groups
    names = [name for group in groups for name in group]
    check_ids(*names)
    if not groups or not all(groups) or len(names) > limits.FAULT_NODES_MAX:
        no("bad_request", f"groups: each has a node, and all together {limits.FAULT_NODES_MAX}")
    if len(set(names)) != len(names):
        no("bad_request", "groups: a node is there twice")
    fits = len(groups) >= 2 if kind == "partition" else len(groups) == (2 if kind in APART else 1)
    if not fits:
        no("bad_request", f"groups: {len(groups)} of them do not make a {kind}")
    if command.clients and kind != "partition":
        no("bad_request", f"clients: not of a {kind}")
    if not 1 <= command.for_ms <= limits.FAULT_MS_MAX:
        no("bad_request", f"for_ms: 1 to {limits.FAULT_MS_MAX}: a fault ends by itself")
    least, most = AMOUNTS.get(kind, (0, 0))
    if not least <= command.amount <= most or (kind == "clock_skew" and not command.amount):
        no("bad_request", f"amount: {least} to {most} for a {kind}, not {command.amount}")
    if not 0 <= command.jitter_ms <= (AMOUNTS["delay"][1] if kind == "delay" else 0):
        no("bad_request", f"jitter_ms: not {command.jitter_ms} for a {kind}")
    if command.zone:
        check_ids(command.zone)


def _boot_of(change: Change, name: str) -> str:
    """Return the boot with which a node consents.  Refuses where it does not."""
    state = change.state
    consent, known = state.consents.get(name), state.nodes.get(name)
    if known is None:
        no("not_found", f"no node {name[:64]!r}")
    if consent is None or consent.boot != known.boot:
        no("forbidden", f"chaos is off at {name}: [chaos] enabled in its node.toml", rule="chaos")
    return consent.boot
