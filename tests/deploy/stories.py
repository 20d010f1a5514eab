"""For every alert series that make it fire, and ones like them that must not."""

from collections.abc import Mapping
from dataclasses import dataclass

Series = Mapping[str, str]
N1 = 'instance="n1"'


@dataclass(frozen=True)
class Story:
    """Values as promtool writes them: `1x20` is 1, twenty times more."""

    bad: Series
    good: Series
    after: str = "10m"
    times: int = 1
    """How many alerts of the name fire."""


def one(name: str, bad: str, good: str, labels: str = N1, after: str = "10m") -> Story:
    series = f"{name}{{{labels}}}"
    return Story({series: bad}, {series: good}, after)


def latency(name: str, slow: bool) -> Series:
    """A histogram whose values are all between 0.25 and 1 s, or all below 1 ms."""
    bounds = {"0.001": not slow, "0.25": not slow, "1.0": True, "+Inf": True}
    return {
        f'{name}_bucket{{{N1}, le="{le}"}}': "0+100x80" if counted else "0x80"
        for le, counted in bounds.items()
    }


def up(*values: int) -> Series:
    nodes = {f'up{{job="unidesk", instance="n{i}"}}': f"{v}x80" for i, v in enumerate(values, 1)}
    return nodes | {f"unidesk_cluster_nodes{{{N1}}}": f"{len(values)}x80"}


def requests(failed: str) -> Series:
    return {
        f'unidesk_desk_requests_total{{{N1}, op="msg.send"}}': "0+1000x80",
        f'unidesk_desk_errors_total{{{N1}, code="timeout"}}': failed,
        f'unidesk_desk_errors_total{{{N1}, code="bad_request"}}': "0+500x80",
    }


def disk(free: str) -> Series:
    return {
        f"unidesk_disk_free_bytes{{{N1}}}": free,
        f"unidesk_disk_size_bytes{{{N1}}}": "100x80",
    }


STORIES: Mapping[str, Story] = {
    "UnideskNodeDown": Story(up(1, 1, 0), up(1, 1, 1)),
    "UnideskNoLeader": Story(
        {f"unidesk_raft_leader_known{{{N1}}}": "0x80"},
        {
            f"unidesk_raft_leader_known{{{N1}}}": "0x80",
            'unidesk_raft_leader_known{instance="n2"}': "1x80",
        },
    ),
    "UnideskQuorumAtRisk": Story(up(1, 1, 0, 1, 0), up(1, 1, 0, 1, 1)),
    "UnideskNodeNotServing": one(
        "unidesk_node_standing", "0x80", "1x80", f'{N1}, standing="serving"'
    ),
    "UnideskPeerDisconnected": one("unidesk_peer_connected", "0x80", "1x80", f'{N1}, peer="n2"'),
    "UnideskNodeAbstains": one("unidesk_raft_abstains", "1x80", "1x10 0x70"),
    "UnideskLeaderChangesOften": one("unidesk_raft_leader_changes_total", "0+1x80", "0 1x79"),
    "UnideskFollowerLags": Story(
        {
            f"unidesk_raft_applied_index{{{N1}}}": "90000x80",
            'unidesk_raft_applied_index{instance="n2"}': "200000+100x80",
        },
        {
            f"unidesk_raft_applied_index{{{N1}}}": "200000+100x80",
            'unidesk_raft_applied_index{instance="n2"}': "200010+100x80",
        },
    ),
    "UnideskCommitSlow": Story(
        latency("unidesk_commit_seconds", True), latency("unidesk_commit_seconds", False), "15m"
    ),
    "UnideskDiskSlow": Story(
        latency("unidesk_wal_fsync_seconds", True),
        latency("unidesk_wal_fsync_seconds", False),
        "15m",
    ),
    "UnideskDiskFillsUp": Story(disk("39-0.1x80"), disk("39x80"), "15m"),
    "UnideskDiskAlmostFull": Story(disk("4x80"), disk("16x80")),
    "UnideskDiskFailed": one("unidesk_wal_poisoned", "1x80", "0x80"),
    "UnideskClocksApart": one(
        "unidesk_peer_clock_ahead_seconds", "-0.9x80", "0.02x80", f'{N1}, peer="n2"'
    ),
    "UnideskNodeUnderPressure": one("unidesk_edge_pressure", "1x80", "0x80"),
    "UnideskDescriptorsShort": Story(
        {
            f'process_open_fds{{{N1}, process="node"}}': "900x80",
            f'process_max_fds{{{N1}, process="node"}}': "1000x80",
        },
        {
            f'process_open_fds{{{N1}, process="node"}}': "100x80",
            f'process_max_fds{{{N1}, process="node"}}': "1000x80",
        },
    ),
    "UnideskCertificateExpires": one(
        "unidesk_certificate_not_after_timestamp_seconds",
        "1000000x400",
        "9000000x400",
        f'{N1}, use="peer"',
        "90m",
    ),
    "UnideskRequestsFail": Story(requests("0+50x80"), requests("0+1x80"), "15m"),
    "UnideskHealingFails": one(
        "unidesk_heal_actions_total",
        "0x10 1x70",
        "0x80",
        f'{N1}, rule="slow disk", outcome="failed"',
    ),
    "UnideskInvariantBroken": one("unidesk_invariant_violations_total", "0x10 1x70", "0x80"),
    "UnideskChaosActive": one("unidesk_chaos_faults", "1x80", "0x80"),
    "UnideskLevelWaits": Story(
        {
            f"unidesk_commands_level{{{N1}}}": "1x400",
            f"unidesk_commands_level_known{{{N1}}}": "2x400",
        },
        {
            f"unidesk_commands_level{{{N1}}}": "1x400",
            f"unidesk_commands_level_known{{{N1}}}": "2x400",
            'unidesk_commands_level_known{instance="n2"}': "1x400",
        },
        "90m",
    ),
    "UnideskVersionsDiffer": Story(
        {
            f'unidesk_build_info{{{N1}, version="1", level="2"}}': "1x600",
            'unidesk_build_info{instance="n2", version="2", level="2"}': "1x600",
        },
        {
            f'unidesk_build_info{{{N1}, version="2", level="2"}}': "1x600",
            'unidesk_build_info{instance="n2", version="2", level="2"}': "1x600",
        },
        "140m",
    ),
    "UnideskVisitorsWait": one("unidesk_waiting_oldest_seconds", "1000x80", "100x80"),
}
