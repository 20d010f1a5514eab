"""Nodes join and leave a cluster that goes on: real sockets, real files, the production loop."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from cluster.port import NotLeading
from cluster.raft.members import Members, MembersRefused
from cluster.replica import Replica
from cluster.state.snapshot import digest
from tests.cluster.three import Cluster, talk, until


async def change(cluster: Cluster, ask: Callable[[Members], Members]) -> None:
    with trio.fail_after(30):
        while True:
            try:
                await cluster.replicas[cluster.leader()].change_members(ask)
            except (NotLeading, MembersRefused, StopIteration):
                await trio.sleep(0.05)  # another change is under way, or an election
            else:
                return


def voters(replica: Replica) -> list[str]:
    return list(replica.members().voters)


async def test_a_fourth_node_joins_and_a_dead_one_leaves(cluster: Cluster) -> None:
    one = cluster.replicas["n1"]
    await talk(one, 1, 20)
    await cluster.add("n4")
    four = cluster.replicas["n4"]
    await until(lambda: all("n4" in r.guests() for n, r in cluster.replicas.items() if n != "n4"))
    await until(lambda: "no member" in four.status().why)
    await change(cluster, lambda members: members.add("n4", one.guests()["n4"]))
    await until(lambda: voters(one) == ["n1", "n2", "n3", "n4"])
    await until(lambda: four.status().standing == "serving")
    await cluster.stop("n3")
    await change(cluster, lambda members: members.remove("n3"))
    await until(lambda: voters(four) == ["n1", "n2", "n4"])
    await talk(four, 21, 25)
    await until(lambda: len({digest(r.state) for r in cluster.replicas.values()}) == 1)
    await until(lambda: four.state.nodes["n3"].lost_ms > 0)

    await cluster.start("n3")  # it does not know yet that it was removed
    gone = cluster.replicas["n3"]
    await until(lambda: "no member of this cluster" in gone.status().why)
    await trio.sleep(0.5)
    assert gone.status().standing != "serving"
    assert voters(four) == ["n1", "n2", "n4"]


async def test_the_leader_itself_can_be_replaced(cluster: Cluster) -> None:
    leader = cluster.leader()
    await talk(cluster.replicas[leader], 1, 5)
    await cluster.add("n4")
    address = cluster.replicas["n4"].reached_at
    await change(cluster, lambda members: members.replace(leader, "n4", address))
    four = cluster.replicas["n4"]
    await until(lambda: "n4" in voters(four) and leader not in voters(four))
    await talk(four, 6, 9)


async def test_a_learner_serves_and_does_not_vote(cluster: Cluster) -> None:
    await cluster.add("n4")
    four = cluster.replicas["n4"]
    await change(cluster, lambda members: members.add("n4", four.reached_at, role="learner"))
    await until(lambda: four.status().standing == "serving")
    await talk(four, 1, 3)
    assert "n4" not in voters(four)
    follower = next(n for n, r in cluster.replicas.items() if n != "n4" and not r.is_leader)
    await cluster.stop(follower)
    await talk(four, 4, 6)


async def test_who_does_not_lead_says_who_does(cluster: Cluster) -> None:
    leader = cluster.leader()
    follower = next(r for r in cluster.replicas.values() if not r.is_leader)
    with pytest.raises(NotLeading, match=f"{leader} leads"):
        await follower.change_members(lambda members: members)


async def test_the_members_in_the_log_count_after_a_start(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.add("n4")
    four = cluster.replicas["n4"]
    await change(cluster, lambda members: members.add("n4", four.reached_at))
    await until(lambda: all("n4" in voters(r) for r in cluster.replicas.values()))
    for name in ("n1", "n2", "n3", "n4"):
        await cluster.stop(name)
    for name in ("n1", "n2", "n4"):  # n1 and n2 were told three nodes
        await cluster.start(name)
    await cluster.serving()
    assert voters(cluster.replicas["n1"]) == ["n1", "n2", "n3", "n4"]
