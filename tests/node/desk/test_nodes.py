"""What operators do to nodes and to the clients at them."""

import trio

from cluster.state.commands import DrainNode, RaiseLevel
from cluster.state.levels import LEVEL
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, ClusterPush
from node.protocol.codes import Close
from tests.node.desk.office import office


async def test_a_client_is_moved_and_another_is_sent_away_for_good() -> None:
    async with office() as desk:
        desk.port().submit(RaiseLevel(LEVEL), lambda _: None)
        operator, ann, ada = desk.client(), desk.client(), desk.client()
        await operator.hello("operator", "ops")
        await ann.hello("visitor", "ann")
        await ada.hello("agent", "ada")
        listed = await operator.ok(ops.SessionList())
        assert [row["agent"] for row in listed["sessions"]] == ["ada"]
        assert {row["id"] for row in listed["here"]} == {"ops", "ann", "ada"}
        await operator.ok(ops.SessionDismiss(do="move", kind="visitor", who="ann"))
        (bye,) = ann.heard(Bye)
        assert (bye.code, bye.resume) == (Close.MOVED, True)
        sid = listed["sessions"][0]["sid"]
        closed = await operator.ok(ops.SessionDismiss(do="close", sid=sid))
        assert closed["sids"] == [sid]
        (bye,) = ada.heard(Bye)
        assert (bye.code, bye.resume, bye.rule) == (Close.LOGGED_OUT, False, "session.ended")
        assert not desk.port().state.sessions
        assert not operator.heard(Bye)


async def test_everybody_hears_which_nodes_are_drained_and_is_not_sent_there() -> None:
    async with office() as desk:
        port = desk.port()
        port.submit(RaiseLevel(LEVEL), lambda _: None)
        operator, ann = desk.client(), desk.client()
        await operator.hello("operator", "ops")
        await ann.hello("visitor", "ann")
        await operator.ok(ops.NodeDrain(node="n2"))
        assert isinstance(port.submitted[-1], DrainNode)
        await trio.sleep(1.2)
        push = ann.heard(ClusterPush)[-1]
        assert push.draining == ["n2"]
        assert "n2" not in {node.id for node in push.nodes}


async def test_leadership_goes_where_it_is_asked_to_and_the_answer_says_so() -> None:
    async with office() as desk:
        operator = desk.client()
        await operator.hello("operator", "ops")
        moved = await operator.ok(ops.LeaderTransfer(node="n2"))
        assert (moved["before"], moved["leader"]) == ("n1", "n2")
        again = await operator.err(ops.LeaderTransfer(node="n3"))
        assert again.code == "not_leader"
