"""Nodes that take no clients, by an operator's word."""

from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.drains import drained
from cluster.state.levels import LEVEL
from tests.cluster.state.desk import OPS, SUE, Desk


def desk_of_two() -> Desk:
    desk = Desk()
    desk.done(c.RaiseLevel(LEVEL))
    desk.done(c.BootNode("n2", "b2", "ws://n2"))
    return desk


def test_a_node_is_drained_and_takes_clients_again() -> None:
    desk = desk_of_two()
    assert desk.done(c.DrainNode("n2", OPS)) == {"node": "n2", "draining": True}
    assert drained(desk.state) == {"n2"}
    assert desk.done(c.DrainNode("n2", OPS)) == {"node": "n2", "draining": True}
    desk.done(c.DrainNode("n2", OPS, drained=False))
    assert not drained(desk.state)
    assert [line.what for line in desk.state.audit][-2:] == ["node.drain", "node.undrain"]


def test_the_last_node_that_takes_clients_is_not_drained() -> None:
    desk = desk_of_two()
    desk.done(c.DrainNode("n2", OPS))
    assert "last node" in desk.refused(c.DrainNode("n1", OPS)).message
    desk.done(c.DrainNode("n2", OPS, drained=False))
    desk.done(c.LoseNode("n2", "b2"))
    assert "last node" in desk.refused(c.DrainNode("n1", OPS)).message


def test_a_node_that_begins_anew_takes_clients() -> None:
    desk = desk_of_two()
    desk.done(c.DrainNode("n2", OPS))
    desk.done(c.BootNode("n2", "b3", "ws://n2"))
    assert not drained(desk.state)


def test_only_operators_drain_and_only_nodes_that_are_known() -> None:
    desk = desk_of_two()
    assert desk.refused(c.DrainNode("n2", SUE)).code == "forbidden"
    refused = desk.refused(c.DrainNode("n9", OPS))
    assert (refused.code, "n1, n2" in refused.message) == ("not_found", True)
    assert not drained(desk.state)


def test_who_is_drained_is_in_a_snapshot_and_only_then() -> None:
    desk = desk_of_two()
    assert b"drained_ms" not in b"".join(snapshot.dump(desk.state))
    desk.done(c.DrainNode("n2", OPS))
    assert drained(snapshot.load(snapshot.dump(desk.state))) == {"n2"}
