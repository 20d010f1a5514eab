"""Leadership moved on purpose: to whom it was asked for, and away from a drained node."""

import pytest
import trio

from cluster.port import HandOverRefused, NotLeading
from cluster.replica import Replica
from cluster.state.commands import By, DrainNode
from cluster.state.outcome import Done
from tests.cluster.three import NAMES, Cluster, talk, until

OPS = By("operator", "ops")


def others(cluster: Cluster) -> list[str]:
    leader = cluster.leader()
    return [name for name in NAMES if name != leader]


async def leading(cluster: Cluster) -> Replica:
    """The leader, once all nodes can have commands of this release."""
    await until(lambda: all(one.state.level >= 2 for one in cluster.replicas.values()))
    return cluster.replicas[cluster.leader()]


async def test_the_node_that_was_named_leads_and_nobody_is_thought_dead(cluster: Cluster) -> None:
    leader = await leading(cluster)
    for to in (others(cluster)[0], others(cluster)[1]):
        assert await cluster.replicas[cluster.leader()].hand_over(to) == to
        await talk(cluster.replicas[to], 1, 3)
    assert not any(info.lost_ms for info in leader.state.nodes.values())


async def test_who_cannot_lead_is_refused_and_the_leader_leads_on(cluster: Cluster) -> None:
    leader = await leading(cluster)
    one, two = others(cluster)
    with pytest.raises(NotLeading):
        await cluster.replicas[one].hand_over(two)
    for to, why in ((leader.node_id, "leads already"), ("n9", "no member")):
        with pytest.raises(HandOverRefused, match=why):
            await leader.hand_over(to)
    await cluster.stop(one)
    with trio.fail_after(20):
        with pytest.raises(HandOverRefused, match=r"heard|did not take over|behind|holds all"):
            await leader.hand_over(one)
        assert await leader.hand_over() == two


async def test_a_drained_leader_hands_over_and_stays_a_follower(cluster: Cluster) -> None:
    leader = await leading(cluster)
    name = leader.node_id
    assert isinstance(await leader.propose(DrainNode(name, OPS)), Done)
    await until(lambda: leader.status().standing == "draining" and not leader.is_leader)
    await until(lambda: leader.status().leader not in ("", name))
    with pytest.raises(HandOverRefused, match="drained"):
        await cluster.replicas[cluster.leader()].hand_over(name)
    await talk(leader, 1, 3)  # it carries on what it was asked, and votes
    await leader_goes_past(cluster, name)
    await leader.propose(DrainNode(name, OPS, drained=False))
    await until(lambda: leader.status().standing == "serving")


async def leader_goes_past(cluster: Cluster, drained: str) -> None:
    """Each process that goes hands over to the one node that takes clients, not to the drained."""
    for _ in range(2):
        before = cluster.leader()
        (heir,) = {*NAMES} - {before, drained}
        assert await cluster.replicas[before].hand_over_leadership(10)
        await until(lambda heir=heir: cluster.replicas[heir].is_leader)  # type: ignore[misc]
