"""Three replicas in one loop: real sockets, real files, the production loop."""

import secrets

import pytest
import trio

from cluster.participant import WHISPER_BYTES_MAX
from cluster.peer.frames import PeerRefused
from cluster.port import Answer, Unavailable
from cluster.state.commands import By, Command, OpenConversation, SendMessage
from cluster.state.entry import Batch, encode
from cluster.state.outcome import Appended, Done
from cluster.state.snapshot import digest
from tests.cluster.three import NAMES, Cluster, until

VISITOR = By("visitor", "ann")


def open_conversation(cv: str) -> Command:
    return OpenConversation(cv, VISITOR, key=f"open-{cv}")


def message(cv: str, key: str) -> Command:
    return SendMessage(cv, secrets.token_hex(8), VISITOR, key, "text", f"text of {key}")


def seq(answer: Answer) -> int:
    assert isinstance(answer, Done), answer
    number = answer.result["seq"]
    assert isinstance(number, int)
    return number


async def test_a_command_from_any_node_is_applied_on_all_and_answered_where_it_was_proposed(
    cluster: Cluster,
) -> None:
    for number, (name, replica) in enumerate(cluster.replicas.items()):
        answer = await replica.propose(open_conversation(f"cv-{name}"))
        assert seq(answer) == 1, number
    await until(lambda: all(len(r.state.conversations) == 3 for r in cluster.replicas.values()))
    index = max(r.state.applied_index for r in cluster.replicas.values())
    await until(lambda: all(r.state.applied_index >= index for r in cluster.replicas.values()))
    assert len({digest(r.state) for r in cluster.replicas.values()}) == 1


async def test_the_same_key_at_another_node_gets_the_same_seq(cluster: Cluster) -> None:
    one, two, three = cluster.replicas.values()
    await one.propose(open_conversation("cv"))
    first = await one.propose(message("cv", "k1"))
    for other in (two, three):
        again = await other.propose(message("cv", "k1"))
        assert seq(again) == seq(first)
        assert isinstance(again, Done)
        assert again.dup


async def test_watchers_see_every_event_once_and_in_order_on_every_node(cluster: Cluster) -> None:
    seen: dict[str, list[int]] = {name: [] for name in NAMES}

    def watch(name: str) -> None:
        cluster.replicas[name].watch(
            lambda applied: seen[name].extend(
                notice.event.seq for notice in applied.notices if isinstance(notice, Appended)
            )
        )

    for name in NAMES:
        watch(name)
    one = cluster.replicas["n1"]
    await one.propose(open_conversation("cv"))
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one.propose, message("cv", f"k{number}"))
    last = one.state.conversations["cv"].seq
    await until(lambda: all(len(events) >= last for events in seen.values()))
    assert all(events[:last] == list(range(1, last + 1)) for events in seen.values())


async def test_what_one_says_stays_in_order_when_a_batch_is_lost_on_its_way(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that breaks takes what is in it along; what comes after must not overtake it."""
    speaker = cluster.replicas[next(n for n in NAMES if n != cluster.leader())]
    await speaker.propose(open_conversation("cv"))
    send, lost = speaker._links.send, 0

    def losing(peer: str, frame: bytes) -> None:
        nonlocal lost
        if lost == 0 and b"the first" in frame:
            lost += 1
        else:
            send(peer, frame)

    monkeypatch.setattr(speaker._links, "send", losing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speaker.propose, message("cv", "the first"))
        await until(lambda: lost == 1)
        nursery.start_soon(speaker.propose, message("cv", "the second"))
    events = speaker.state.conversations["cv"].tail
    bodies = [event.data["body"] for event in events if "body" in event.data]
    assert bodies == ["text of the first", "text of the second"]


async def test_what_was_acknowledged_is_there_after_the_leader_dies(cluster: Cluster) -> None:
    survivor = next(n for n in NAMES if n != cluster.leader())
    replica = cluster.replicas[survivor]
    await replica.propose(open_conversation("cv"))
    acknowledged = [seq(await replica.propose(message("cv", f"a{i}"))) for i in range(20)]
    dead = cluster.leader()
    await cluster.stop(dead)
    acknowledged += [seq(await replica.propose(message("cv", f"b{i}"))) for i in range(20)]
    assert acknowledged == sorted(set(acknowledged))
    back = await cluster.start(dead)
    await cluster.serving()
    assert await back.barrier() is None
    assert back.state.conversations["cv"].seq >= acknowledged[-1]


async def test_all_nodes_stopped_at_once_come_back_with_everything(cluster: Cluster) -> None:
    one = cluster.replicas["n1"]
    await one.propose(open_conversation("cv"))
    last = [seq(await one.propose(message("cv", f"a{i}"))) for i in range(20)][-1]
    for name in NAMES:
        await cluster.stop(name)
    for name in NAMES:
        await cluster.start(name)
    await cluster.serving()
    for replica in cluster.replicas.values():
        assert await replica.barrier() is None
        assert replica.state.conversations["cv"].seq == last
        assert seq(await replica.propose(message("cv", "a19"))) == last


async def test_a_node_alone_acknowledges_nothing_and_says_why(cluster: Cluster) -> None:
    alone = cluster.replicas["n1"]
    await alone.propose(open_conversation("cv"))
    for name in ("n2", "n3"):
        await cluster.stop(name)
    answer = await alone.propose(message("cv", "k"))
    assert isinstance(answer, Unavailable)
    await until(lambda: alone.status().standing == "fenced")
    assert "majority of 3 voters" in alone.status().why
    refused = await alone.propose(message("cv", "k2"))
    assert isinstance(refused, Unavailable)
    assert refused.code == "minority"
    assert isinstance(await alone.barrier(), Unavailable)
    await cluster.start("n2")
    await cluster.serving()
    assert seq(await alone.propose(message("cv", "k3"))) > 1


async def test_a_node_that_finds_no_leader_waits_quietly(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("n2", "n3"):
        await cluster.stop(name)
    alone, turns = cluster.replicas["n1"], 0
    loop = alone._turns
    turn = loop._turn

    async def counting(nursery: trio.Nursery) -> None:
        nonlocal turns
        turns += 1
        await turn(nursery)

    monkeypatch.setattr(loop, "_turn", counting)
    with trio.move_on_after(0.5):
        await alone.propose(open_conversation("cv"))
    assert turns < 100


async def test_a_follower_whose_leader_died_last_fences_itself(cluster: Cluster) -> None:
    leader = cluster.leader()
    alone, other = (name for name in NAMES if name != leader)
    await cluster.stop(other)
    await cluster.stop(leader)
    replica = cluster.replicas[alone]
    await until(lambda: replica.status().standing == "fenced")
    assert replica.status().leader == ""
    refused = await replica.propose(open_conversation("cv"))
    assert isinstance(refused, Unavailable)
    assert refused.code == "minority"


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("batch", b"\xc1", "a batch that is none"),
        ("batch", b"\x94\xa2n2\xa1b\x01\x91\x92\x01" + b"\x91" * 20_000 + b"\xc0", "none"),
        ("batch", encode(Batch("n3", "b", 1, ())), "in the name of 'n3'"),
        ("batch", "text", "not ours"),
        ("raft", b"bytes", "not ours"),
        ("whisper", bytes(WHISPER_BYTES_MAX + 1), "not ours"),
        ("gossip", {}, "not ours"),
    ],
)
async def test_a_peer_that_says_what_no_node_says_is_hung_up_on(
    cluster: Cluster, kind: str, body: object, why: str
) -> None:
    with pytest.raises(PeerRefused, match=why):
        cluster.replicas["n1"]._on_frame("n2", kind, body)


async def test_whispers_reach_the_other_nodes(cluster: Cluster) -> None:
    heard: list[tuple[str, bytes]] = []
    for name in ("n2", "n3"):
        cluster.replicas[name].watch_whispers(lambda who, what: heard.append((who, what)))
    cluster.replicas["n1"].whisper(b"typing")
    await until(lambda: len(heard) == 2)
    assert heard == [("n1", b"typing")] * 2


async def test_a_node_behind_the_log_start_gets_the_snapshot_and_serves(cluster: Cluster) -> None:
    await cluster.stop("n3")
    one = cluster.replicas["n1"]
    await one.propose(open_conversation("cv"))
    for number in range(20):
        await one.propose(message("cv", f"k{number}"))
    await until(lambda: all(r.status().snapshot_index > 1 for r in cluster.replicas.values()))
    await one.propose(message("cv", "after"))
    back = await cluster.start("n3")
    await cluster.serving()
    assert await back.barrier() is None
    assert back.state.conversations["cv"].tail[-1].data["body"] == "text of after"
    assert back.status().snapshot_index > 1
