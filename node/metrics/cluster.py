"""Figures of agreement, and of the other nodes as this one sees them.  No I/O."""

from collections.abc import Iterator
from itertools import product
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from cluster.figures import ReplicaFigures
from cluster.heal.rules import RULES
from cluster.port import ReplicaStatus, Standing
from cluster.state.commands import HealOutcome
from cluster.state.levels import LEVEL
from node import __version__
from node.metrics.families import counter, counters, gauge, gauges, histogram, labelled


def of_replica(status: ReplicaStatus) -> Iterator[Metric]:
    """Yield where this node is in the log, and how it stands."""
    info = {"node": status.node, "boot": status.boot, "version": __version__}
    yield InfoMetricFamily("unidesk_node", "Who this is", value=info)
    standings = {standing: float(standing == status.standing) for standing in get_args(Standing)}
    yield gauges("node_standing", "1 for the node's standing, 0 for others", "standing", standings)
    yield gauge("raft_leader", "1 while this node leads", status.role == "leader")
    yield gauge("raft_leader_known", "1 while a leader is known", bool(status.leader))
    yield gauge("raft_term", "Raft term", status.term)
    yield gauge("raft_commit_index", "Last log index known to be committed", status.commit_index)
    yield gauge("raft_applied_index", "Last log index applied here", status.applied_index)
    yield gauge("raft_last_index", "Last log index here", status.last_index)
    yield gauge("raft_first_index", "First log index still here", status.first_index)
    yield gauge("raft_snapshot_index", "Log index of the newest snapshot", status.snapshot_index)
    yield gauge("raft_abstains", "1 while this node may not vote", status.abstains)
    yield gauge("raft_quorum_heard_seconds", "Since a quorum was heard", status.quorum_heard_s)
    yield gauge("proposals_pending", "Proposals of this node without an outcome", status.pending)
    yield gauge("cluster_nodes", "Members, as this node knows them", 1 + len(status.peers))
    yield counter(
        "invariant_violations", "Commands that broke an invariant of the state", status.violations
    )
    for name, (field, text) in _PEER_GAUGES.items():
        yield gauges(name, text, "peer", _of_peers(status, field))
    for name, (field, text) in _PEER_COUNTERS.items():
        yield counters(name, text, "peer", _of_peers(status, field))


_PEER_GAUGES = {
    "peer_connected": ("connected", "1 while the link to the peer is up"),
    "peer_last_heard_seconds": ("last_heard_s", "Since the peer was heard"),
    "peer_match_index": ("match_index", "Last log index known to be on the peer's disk"),
    "peer_queued_bytes": ("queued_bytes", "Bytes that wait to be sent to the peer"),
}
_PEER_COUNTERS = {
    "peer_dropped_frames": ("dropped_total", "Frames for the peer that were dropped"),
    "peer_connects": ("connects_total", "Times the link to the peer came up"),
}


def _of_peers(status: ReplicaStatus, field: str) -> dict[str, float]:
    found = {peer: figures.get(field) for peer, figures in status.peers.items()}
    return {peer: float(value) for peer, value in found.items() if isinstance(value, int | float)}


def of_figures(figures: ReplicaFigures) -> Iterator[Metric]:
    """Yield how long agreement took, what was healed, and what others say of themselves."""
    yield histogram("commit_seconds", "From proposing here to applied here", figures.commit)
    yield histogram("apply_seconds", "Applying one entry", figures.apply)
    yield histogram(
        "dispatch_plan_seconds", "One look of the leader's dispatcher", figures.dispatch_plan
    )
    yield histogram(
        "dispatch_wait_seconds",
        "From waiting to offered, told by the leader",
        figures.dispatch_wait,
    )
    changes = figures.leader_changes
    yield counter("raft_leader_changes", "Times that a leader was found", changes)
    yield gauge("commands_level", "Level of commands that the cluster uses", figures.level)
    yield gauge("commands_level_known", "Level of commands that this release knows", LEVEL)
    yield from _heal(figures)
    yield from _vitals(figures)


def _heal(figures: ReplicaFigures) -> Iterator[Metric]:
    """Yield a line for every rule and outcome, so that the first one shows as a rise."""
    family = CounterMetricFamily(
        "unidesk_heal_actions", "What this node healed", labels=["rule", "outcome"]
    )
    names = [rule.name for rule in RULES.values()]
    rows = (
        ((rule, outcome), float(figures.heal.get(rule, {}).get(outcome, 0)))
        for rule, outcome in product(names, get_args(HealOutcome))
    )
    yield labelled(family, rows)


def _vitals(figures: ReplicaFigures) -> Iterator[Metric]:
    told = figures.vitals
    ages = {peer: one.age_s for peer, one in told.items()}
    yield gauges("peer_vitals_age_seconds", "Since the peer said how it is", "peer", ages)
    ahead = {peer: one.ahead_s for peer, one in told.items()}
    text = "The peer's clock against ours, with the message's way in it"
    yield gauges("peer_clock_ahead_seconds", text, "peer", ahead)
    levels = {peer: float(one.level) for peer, one in told.items()}
    yield gauges("peer_level", "Level of commands that the peer's release knows", "peer", levels)
    family = GaugeMetricFamily(
        "unidesk_peer_info", "What the peer says it is", labels=["peer", "version", "zone"]
    )
    rows = (((peer, one.version, one.zone), 1.0) for peer, one in told.items())
    yield labelled(family, rows)
