"""What both seats, `unidesk say` and `unidesk agent`, do alike, against nodes that are played."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
import trio

from node.cli import seat as seat_module
from node.cli.agent_seat import AgentSeat
from node.cli.messages import Words
from node.cli.problem import USAGE, explain
from node.cli.visitor_seat import VisitorSeat
from node.protocol.catalogue import Ev, MsgSend
from tests.node.cli.played import ADA, event, play
from tests.node.client.loopback import Link, node


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Let these lines be what is typed."""

    @asynccontextmanager
    async def open_lines() -> AsyncIterator[AsyncIterator[str]]:
        async def typed() -> AsyncGenerator[str, None]:
            for line in lines:
                yield line

        async with aclosing(typed()) as made:
            yield made

    monkeypatch.setattr(seat_module, "open_lines", open_lines)


async def test_what_was_typed_before_the_end_is_delivered_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome()
        while True:
            asked.append(await link.next())
            await trio.sleep(0.05)
            await link.ok(asked[-1], cv="C", seq=1, state="new")

    type_in(monkeypatch, "one", " ", "two", "three", "/quit", "never")
    async with node(serve) as one:
        assert await VisitorSeat(Words("en"), "ada", {}).run((one.url,), "t") == 0
    assert [getattr(request, "body", None) or request.text for request in asked] == [
        "one",
        "two",
        "three",
    ]


async def test_what_nobody_took_is_told_when_the_person_leaves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seat_module, "QUIT_S", 0.2)

    async def serve(link: Link) -> None:
        await link.welcome()
        await link.stay()

    type_in(monkeypatch, "one", "two", "/quit")
    async with node(serve) as one:
        assert await VisitorSeat(Words("en"), "ada", {}).run((one.url,), "t") == 1
    told = capsys.readouterr().out
    assert "Perhaps not delivered: one\nPerhaps not delivered: two\nGoodbye." in told


async def test_a_conversation_whose_beginning_is_not_kept_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome()
        await link.say(
            {"op": "gap", "cv": "C", "have": 0, "first": 21, "last": 21},
            event(21, "msg", ADA, body="long ago"),
        )
        asked.append(await link.next())
        await link.ok(asked[-1], seq=22)
        await link.stay()

    async with node(serve) as one:
        await play(VisitorSeat(Words("en"), "ada", {}), one.url, "I go on")
    assert [(type(request), request.cv) for request in asked] == [(MsgSend, "C")]


async def test_a_refusal_is_told_and_nothing_ends(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(link: Link) -> None:
        await link.welcome()
        while True:
            await link.err(await link.next(), "too_large", retry=False)

    async with node(serve) as one:
        await play(VisitorSeat(Words("en"), "ada", {}), one.url, "x", "y")

    assert capsys.readouterr().out.count("Not done: it is too_large") == 2


def test_an_event_of_the_played_node_is_one_of_the_protocol() -> None:
    assert Ev(cv="C", seq=1, type="opened", ts=0).seq == event(1, "opened", ADA)["seq"]


async def test_a_seat_is_not_taken_with_the_token_of_another_role(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome(you={"id": "robo", "role": "visitor", "name": "Robo"})
        asked.append(await link.next())

    type_in(monkeypatch, "hello")
    async with node(serve) as one:
        with pytest.raises(BaseExceptionGroup) as failure:
            await AgentSeat(Words("en")).run((one.url,), "t")
    problem = explain(failure.value)
    assert problem is not None
    assert str(problem) == (
        "the token is of role visitor, not agent; give another --token, or unset UNIDESK_TOKEN"
    )
    assert problem.code == USAGE
    assert asked == []
    assert "Connected" not in capsys.readouterr().out
