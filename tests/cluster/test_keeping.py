"""Twins, states that differ and lost majorities, with real sockets, files and the real loop."""

import time
from pathlib import Path

import trio

from cluster.heal import rules
from cluster.heal.ending import MustEnd, StartAgain
from cluster.recovery.carrying_out import carry_out, consent
from cluster.recovery.plan import make_plan
from cluster.recovery.survivor import read_survivor
from cluster.replica import Replica
from cluster.state.snapshot import digest
from tests.cluster.flipping import change_a_value
from tests.cluster.three import NAMES, Cluster, talk, until
from wal.disk import FileDisk


def noted(cluster: Cluster, rule: int) -> list[str]:
    """Return who did what by `rule`, as the cluster's log says."""
    state = next(iter(cluster.replicas.values())).state
    return [f"{one.node}: {one.seen}" for one in state.heal_log if one.rule == rule]


def caught_up(one: Replica, other: Replica) -> bool:
    return one.state.applied_index >= other.state.applied_index


async def test_of_two_processes_with_one_id_the_one_that_lives_stays(cluster: Cluster) -> None:
    name = next(n for n in cluster.replicas if n != cluster.leader())
    await talk(cluster.replicas[name], 1, 5)
    twin = await cluster.copy(name)
    await until(lambda: twin in cluster.ended, 5)
    ended = cluster.ended[twin]
    assert isinstance(ended, MustEnd)
    assert "is this data folder a copy?" in str(ended)
    await talk(cluster.replicas[name], 6, 10)
    await until(lambda: bool(noted(cluster, rules.TWIN)))
    assert all(f"two processes of {name}" in line for line in noted(cluster, rules.TWIN))
    assert cluster.replicas[name].status().standing == "serving"


async def test_a_twin_of_the_leader_ends_too(cluster: Cluster) -> None:
    leader = cluster.leader()
    twin = await cluster.copy(leader)
    await until(lambda: twin in cluster.ended)
    assert cluster.replicas[leader] not in cluster.ended
    await talk(cluster.replicas[leader], 1, 2)  # whether it still leads, or was too busy to


async def test_a_state_that_differs_is_set_aside_and_built_anew(
    cluster: Cluster, tmp_path: Path
) -> None:
    name = next(n for n in cluster.replicas if n != cluster.leader())
    await talk(cluster.replicas[name], 1, 15)
    await cluster.stop(name)
    change_a_value(tmp_path / name)
    odd = await cluster.start(name)
    other = next(replica for n, replica in cluster.replicas.items() if n != name)
    number = 15
    with trio.fail_after(60):
        while odd not in cluster.ended:
            number += 1
            await talk(other, number, number)
            # Who falls behind is sent a snapshot, and what was wrong is gone.
            await until(lambda: odd in cluster.ended or caught_up(odd, other))
    assert isinstance(cluster.ended[odd], StartAgain)
    replica = await cluster.start(name)
    await until(lambda: replica.status().standing == "serving" and not replica.status().abstains)
    await talk(replica, number + 1, number + 1)
    await until(lambda: len({digest(r.state) for r in cluster.replicas.values()}) == 1)
    assert (tmp_path / name / "aside.json.damaged").exists()
    await until(lambda: bool(noted(cluster, rules.DIVERGENCE)))
    assert all(line.startswith(f"{name}: ") for line in noted(cluster, rules.DIVERGENCE))


async def test_an_old_folder_ends_its_node_and_an_empty_one_moves_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    await talk(cluster.replicas["n1"], 1, 5)
    configured = cluster.replicas["n1"].members()
    await until(lambda: len({r.state.applied_index for r in cluster.replicas.values()}) == 1)
    for name in NAMES:
        await cluster.stop(name)
    survivor = read_survivor("n1", tmp_path / "n1", configured)
    disk = FileDisk(tmp_path / "n1")
    plan = consent(make_plan([survivor]))
    carry_out(plan, {"n1": disk}, now_ms=time.time_ns() // 1_000_000)
    disk.close()

    one = await cluster.start("n1")
    await until(lambda: one.is_leader and one.status().standing == "serving")
    await talk(one, 6, 7)
    old = await cluster.start("n2")
    await until(lambda: old in cluster.ended, 5)
    assert "the cluster went on without this node" in str(cluster.ended[old])

    (tmp_path / "n3").rename(tmp_path / "n3-old")
    three = await cluster.start("n3")
    await until(lambda: three.cluster_id == one.cluster_id == plan.cluster_id)
    await until(lambda: "n3" in one.guests())
    address = one.guests()["n3"]
    assert await one.change_members(lambda members: members.add("n3", address)) is None
    await until(lambda: one.members().voters == ("n1", "n3"))
    await until(lambda: three.status().standing == "serving")
    await until(lambda: digest(three.state) == digest(one.state))
    await until(lambda: bool(noted(cluster, rules.QUORUM_LOST)))
