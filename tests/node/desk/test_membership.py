"""Operators look at who takes part, and change it, at the node that leads."""

import pytest

from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ok
from tests.node.desk.office import office
from tests.node.desk.test_rules import patiently


def change(what: str, node: str, **more: str) -> ops.MembersChange:
    return ops.MembersChange(change=what, node=node, **more)  # type: ignore[arg-type]


def roles(reply: Ok | Err) -> dict[str, str]:
    assert isinstance(reply, Ok), reply
    return {row["id"]: row["role"] for row in reply.r["members"]}


async def test_members_and_who_waits_are_shown() -> None:
    async with office() as desk:
        desk.cluster.guests["n4"] = "10.0.0.4:7201"
        operator = await desk.staff("operator")
        found = await operator.ok(ops.MembersGet())
        assert found["members"][0] == {
            "id": "n1",
            "role": "voter",
            "address": "127.0.0.1:7201",
            "url": "ws://n1/v1/ws",
            "leads": True,
        }
        assert found["waiting"] == [{"id": "n4", "address": "10.0.0.4:7201"}]


async def test_a_node_that_calls_needs_no_address() -> None:
    async with office() as desk:
        desk.cluster.guests["n4"] = "10.0.0.4:7201"
        operator = await desk.staff("operator")
        reply = await patiently(operator, change("add", "n4"))
        assert roles(reply) == {"n1": "voter", "n2": "voter", "n4": "joining"}
        assert desk.cluster.members.by_id["n4"].address == "10.0.0.4:7201"


async def test_every_change_does_what_it_says() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        for request, role in (
            (change("add_learner", "n4", address="h:1"), {"n4": "learner"}),
            (change("promote", "n4"), {"n4": "joining"}),
            (change("remove", "n2"), {"n2": "leaving"}),
            (change("keep", "n2"), {"n2": "voter"}),
            (change("replace", "n2", new="n5", address="h:2"), {"n2": "leaving", "n5": "joining"}),
            (change("remove", "n5"), {"n2": "leaving"}),
        ):
            found = roles(await patiently(operator, request))
            assert {name: found.get(name) for name in role} == role
        assert "n5" not in found


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (change("add", "n9"), "conflict", "n9 has not called: start it"),
        (change("add", "n1"), "conflict", "n1 is a member already"),
        (
            change("add", "n9", address="nowhere"),
            "bad_request",
            "address: 'nowhere' is no host:port",
        ),
        (change("remove", "n9"), "conflict", "n9 is no member; there are n1, n2"),
        (change("remove", "n" * 400), "bad_request", "no node's id"),
        (change("replace", "n2", new="N 9!"), "bad_request", "new: 'N 9!' is no node"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    request_: ops.MembersChange, code: str, words: str
) -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        reply = await patiently(operator, request_)
        assert isinstance(reply, Err)
        assert reply.code == code
        assert words in reply.msg


async def test_who_does_not_lead_says_who_does() -> None:
    async with office() as desk:
        operator = await desk.staff("operator", "n2")
        reply = await patiently(operator, change("remove", "n1"))
        assert isinstance(reply, Err)
        assert (reply.code, reply.retry) == ("not_leader", False)
        assert "n1 leads" in reply.msg
