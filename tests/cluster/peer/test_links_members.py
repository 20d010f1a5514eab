"""Who is linked, and who no more: members, guests, twins, earlier releases, other histories."""

from typing import Any

import pytest
import trio

from cluster.peer import handshake, incoming, links
from cluster.peer.address import Address
from cluster.peer.frames import encode
from cluster.state.levels import FIRST, LEVEL
from tests.cluster.peer.linked import Node, free_address, until


async def test_a_guest_is_dialled_back_while_it_stays(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {})
    await nursery.start(one.links.run)
    async with trio.open_nursery() as life:
        guest = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
        await life.start(guest.links.run)
        await until(lambda: one.links.connected("n2"))
        assert one.links.guests == {"n2": f"{addresses['n2'][0]}:{addresses['n2'][1]}"}
        one.links.send("n2", encode("raft", {}))
        await until(lambda: guest.frames)
        one.links.set_peers({})  # a change of members does not concern it
        await trio.sleep(0.05)
        assert one.links.connected("n2")
        life.cancel_scope.cancel()
    await until(lambda: not one.links.guests)
    assert "n2" not in one.links.statistics()
    one.links.send("n2", encode("raft", {}))  # unknown: dropped
    assert not one.links.connected("n2")


async def test_who_is_removed_and_stays_is_a_guest_that_can_be_told(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    async with trio.open_nursery() as life:
        await life.start(two.links.run)
        await until(lambda: one.links.connected("n2") and two.links.connected("n1"))
        await until(lambda: one.links._incoming.has("n2"))
        one.links.set_peers({})
        assert list(one.links.guests) == ["n2"]
        one.links.send("n2", encode("raft", {"you": "are no member"}))
        await until(lambda: two.frames)
        life.cancel_scope.cancel()
    await until(lambda: not one.links.guests)
    assert not one.links.statistics()


async def test_only_so_many_guests_come_in(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "GUESTS_MAX", 0)
    one = Node("n1", addresses["n1"], {})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await trio.sleep(0.1)
    assert not one.links.guests


async def test_links_follow_the_members(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Node("n1", addresses["n1"], {})
    two = Node("n2", addresses["n2"], {})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    one.links.set_peers({"n2": free_address()})
    one.links.set_peers({"n2": addresses["n2"]})  # it moved
    await until(lambda: one.links.connected("n2"))
    assert not one.links.guests
    monkeypatch.setattr(links, "REMOVED_S", 0.2)
    one.links.set_peers({})
    await until(lambda: not two.links.guests)
    await until(lambda: one.links.statistics() == {})


async def test_a_second_process_of_a_node_is_refused_while_the_first_one_speaks(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    await nursery.start(one.links.run)
    async with trio.open_nursery() as life:
        two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
        await life.start(two.links.run)
        await until(lambda: two.links.connected("n1"))
        clone = Node("n2", free_address(), {"n1": addresses["n1"]}, boot="boot-of-a-copy")
        await nursery.start(clone.links.run)
        await until(lambda: "another process of node 'n2'" in refusal(clone))
        assert not clone.links.connected("n1")
        assert two.links.connected("n1")
        life.cancel_scope.cancel()
    await until(lambda: clone.links.connected("n1"))  # there is only one now


async def test_a_node_comes_back_though_its_old_link_was_never_closed(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "CLONE_S", 0.2)
    one = Node("n1", addresses["n1"], {})
    await nursery.start(one.links.run)
    for boot in ("first", "second"):
        node = Node("n2", free_address(), {"n1": addresses["n1"]}, boot=boot)
        await nursery.start(node.links.run)
        await until(lambda node=node: node.links.connected("n1"))


def refusal(node: Node) -> str:
    return node.links.statistics()["n1"].refused


async def test_a_level_that_rises_ends_the_links_of_earlier_releases_both_ways(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test has one release: what n2 says of itself on the wire is made smaller."""
    used = FIRST

    def earlier(body: dict[str, Any], field: str = "level") -> int:
        return FIRST if body.get("node") == "n2" and field == "level" else int(body[field])

    monkeypatch.setattr(handshake, "_level", earlier)
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]}, uses=lambda: used)
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2") and two.links.connected("n1"))
    assert one.links.level("n2") == FIRST
    used = LEVEL
    for node, other in ((one, "n2"), (two, "n1")):
        node.links.send(other, encode("raft", {}))
    for node, other in ((one, "n2"), (two, "n1")):
        await until(lambda: "upgrade 'n2'" in node.links.statistics()[other].refused)  # noqa: B023
        assert not node.links.connected(other)
    assert not one.frames
    assert not two.frames


async def test_a_node_that_is_filled_ends_its_links_to_another_history_both_ways(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    holds = {"n1": "", "n2": "a-backup"}
    one, two = (
        Node(name, addresses[name], {other: addresses[other]}, origin=lambda of=name: holds[of])
        for name, other in (("n1", "n2"), ("n2", "n1"))
    )
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2") and two.links.connected("n1"))
    holds["n1"] = "another-backup"
    heard = len(two.frames), len(one.frames)
    one.links.send("n2", encode("raft", {}))
    two.links.send("n1", encode("raft", {}))
    await until(lambda: not one.links.connected("n2") and not two.links.connected("n1"))
    assert (len(two.frames), len(one.frames)) == heard
    await until(lambda: "another backup" in one.links.statistics()["n2"].refused)
