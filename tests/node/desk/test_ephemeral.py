"""Typing and receipts: told at once to the others, here and elsewhere, and never stored."""

import trio
from trio.testing import MockClock

from node.protocol import catalogue as ops
from node.protocol.catalogue import Receipt, TypingPush
from tests.node.desk.office import Client, Office, office


async def pair(desk: Office) -> tuple[Client, Client, str]:
    """A visitor at one node and their agent at the other."""
    visitor, agent = await desk.visitor(node="n1"), await desk.agent(node="n2")
    cv = await desk.opened(visitor)
    await desk.assigned(cv, agent)
    return visitor, agent, cv


async def test_typing_reaches_the_other_side_at_another_node_and_not_its_author() -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        entries = len(desk.cluster.entries)
        agent.say(ops.Typing(cv=cv, on=True))
        agent.say(ops.Typing(cv=cv, on=False))
        assert [(push.who, push.kind, push.on) for push in visitor.heard(TypingPush)] == [
            ("a1", "agent", True),
            ("a1", "agent", False),
        ]
        assert agent.heard(TypingPush) == []
        assert len(desk.cluster.entries) == entries


async def test_what_a_visitor_types_is_shown_to_agents_and_not_the_other_way() -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        visitor.say(ops.Typing(cv=cv, on=True, text="I am ang"))
        agent.say(ops.Typing(cv=cv, on=True, text="what a"))
        assert [push.text for push in agent.heard(TypingPush)] == ["I am ang"]
        assert [push.text for push in visitor.heard(TypingPush)] == [""]


async def test_typing_is_passed_on_once_a_second(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        for _ in range(5):
            visitor.say(ops.Typing(cv=cv, on=True))
        assert len(agent.heard(TypingPush)) == 1
        await trio.sleep(1.1)
        visitor.say(ops.Typing(cv=cv, on=True))
        assert len(agent.heard(TypingPush)) == 2


async def test_receipts_are_passed_on_only_when_they_rise_and_never_beyond_what_was_sent() -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        last = visitor.seqs(cv)[-1]
        for request in (
            ops.Ack(cv=cv, seq=2),
            ops.Ack(cv=cv, seq=1),
            ops.Read(cv=cv, seq=2),
            ops.Read(cv=cv, seq=2),
            ops.Read(cv=cv, seq=10_000),
        ):
            visitor.say(request)
        assert [(push.recv, push.read) for push in agent.heard(Receipt)] == [
            (2, 0),
            (2, 2),
            (last, last),
        ]


async def test_a_supervisor_watches_unseen() -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        boss = await desk.staff("supervisor")
        await boss.ok(ops.CvSub(cv=cv))
        boss.say(ops.Typing(cv=cv, on=True), ops.Read(cv=cv, seq=2), ops.Ack(cv=cv, seq=2))
        for client in (visitor, agent):
            assert client.heard(TypingPush) == []
            assert client.heard(Receipt) == []
        visitor.say(ops.Typing(cv=cv, on=True))
        assert len(boss.heard(TypingPush)) == 1


async def test_a_stranger_cannot_type_into_a_conversation() -> None:
    async with office() as desk:
        visitor, agent, cv = await pair(desk)
        stranger = await desk.visitor("v2")
        stranger.say(ops.Typing(cv=cv, on=True), ops.Read(cv=cv, seq=1))
        for client in (visitor, agent):
            assert client.heard(TypingPush) == []
            assert client.heard(Receipt) == []


async def test_a_whisper_that_is_none_is_ignored() -> None:
    async with office() as desk:
        visitor, _, cv = await pair(desk)
        visitor.forget()
        for payload in (b"", b"\xc1", b"\x91\xa5typed", b"\x80" * 100, b"\x91" * 5000):
            desk.port("n2").whisper(payload)
        assert visitor.all() == []
        assert (await visitor.ok(ops.CvGet(cv=cv)))["conv"]["cv"] == cv
