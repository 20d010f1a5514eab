"""A replica that goes on where another one of its node stopped: the same life, nothing twice."""

import pytest
import trio

from cluster.port import Answer
from cluster.raft.boot import HistoryBroken
from cluster.state.commands import By, OpenConversation, OpenSession, SendMessage
from cluster.state.outcome import Done
from cluster.state.snapshot import digest
from tests.cluster.three import NAMES, Cluster, talk, until

VISITOR = By("visitor", "ann")


async def test_a_node_goes_on_with_its_boot_its_numbers_and_its_sessions(cluster: Cluster) -> None:
    for name in (cluster.leader(), *NAMES):  # the leader first, then one after the other
        old = cluster.replicas[name]
        opening = OpenSession(
            f"s-{name}", By("agent", f"a-{name}"), name, old.boot, skills={}, capacity=1
        )
        assert isinstance(await old.propose(opening), Done)
        new = await cluster.succeed(name)
        assert (new.boot, new.state) == (old.boot, old.state)
        await cluster.serving()
        said = OpenConversation(f"cv-{name}-{len(new.state.conversations)}", VISITOR, key=name)
        assert isinstance(await new.propose(said), Done)
        assert not new.state.sessions[f"s-{name}"].lost_ms
    index = max(one.state.applied_index for one in cluster.replicas.values())
    await until(lambda: all(r.state.applied_index >= index for r in cluster.replicas.values()))
    assert len({digest(one.state) for one in cluster.replicas.values()}) == 1


async def test_leadership_is_handed_over_before(cluster: Cluster) -> None:
    leader = cluster.leader()
    replica = cluster.replicas[leader]
    assert await replica.hand_over_leadership(10)
    assert not replica.is_leader
    assert cluster.leader() != leader
    assert await replica.hand_over_leadership(10), "who does not lead has nothing to hand over"


async def test_a_proposal_without_an_outcome_is_not_doubled(cluster: Cluster) -> None:
    name = next(one for one in NAMES if one != cluster.leader())
    old = cluster.replicas[name]
    await talk(old, 1, 3)
    answers: list[Answer] = []
    for number in range(20):
        said = SendMessage("cv", f"x{number}", VISITOR, f"x{number}", "text", "under way")
        old.submit(said, answers.append)
    new = await cluster.succeed(name)
    await cluster.serving()
    for number in range(20):  # as clients do: again, with the same keys
        said = SendMessage("cv", f"y{number}", VISITOR, f"x{number}", "text", "under way")
        assert isinstance(await new.propose(said), Done)
    texts = [one.data.get("body") for one in new.state.conversations["cv"].tail[:]]
    assert texts.count("under way") == 20


async def test_many_successions_with_snapshots_between_them(cluster: Cluster) -> None:
    name = cluster.leader()
    first = 1
    for _ in range(4):
        replica = await cluster.succeed(name)
        await cluster.serving()
        await talk(replica, first, first + 14)
        first += 15
    await trio.sleep(0.1)
    await cluster.stop(name)
    again = await cluster.start(name)  # from the disk alone
    await cluster.serving()
    bodies = [one.data.get("body") for one in again.state.conversations["cv"].tail[:]]
    assert [one for one in bodies if one] == [f"text {number}" for number in range(1, first)]


async def test_a_state_that_is_ahead_of_the_log_is_refused(cluster: Cluster) -> None:
    with pytest.raises(HistoryBroken, match="it is not the log of this state"):
        await cluster.succeed(NAMES[0], behind=1_000)
