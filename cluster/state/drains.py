"""Nodes that operators let take no clients: `unidesk cluster drain`.  No I/O.

    node.drain      takes clients ──▶ drained        not the last one that takes any
    node.drain      drained ──▶ takes clients        `drained` false
    node.boot       drained ──▶ takes clients        it began anew (`sessions.boot_node`)

A drained node votes and keeps its copy as before; it hands leadership away, and its clients go to
the others, since it calls itself `draining` (`cluster.standing`).
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_operator
from cluster.state.commands import DrainNode
from cluster.state.state import State


def drain(change: Change, command: DrainNode) -> dict[str, Any]:
    """Let a node take no clients any more, or take them again."""
    state, by = change.state, command.by
    check_operator(by, "drain nodes")
    check_ids(command.node)
    info = state.nodes.get(command.node)
    if info is None:
        no("not_found", f"no node {command.node}; there are {', '.join(state.nodes)}")
    if command.drained == bool(info.drained_ms):
        return {"node": command.node, "draining": command.drained}  # asked once more
    if command.drained and not _others(state, command.node):
        no("conflict", f"{command.node} is the last node that takes clients: undrain another first")
    since_ms = max(change.now_ms, 1) if command.drained else 0
    state.nodes[command.node] = replace(info, drained_ms=since_ms)
    change.note_here(by, "node.drain" if command.drained else "node.undrain", target=command.node)
    return {"node": command.node, "draining": command.drained}


def drained(state: State) -> frozenset[str]:
    """Return the nodes that take no clients."""
    return frozenset(name for name, info in state.nodes.items() if info.drained_ms)


def _others(state: State, node: str) -> bool:
    """Say whether a node besides `node` takes clients, as far as the log knows."""
    return any(
        not info.drained_ms and not info.lost_ms
        for name, info in state.nodes.items()
        if name != node
    )
