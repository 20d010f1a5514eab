"""`unidesk say` and `unidesk agent` as people use them, against nodes that are played."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
import trio

from node.cli import seat as seat_module
from node.cli.agent_seat import AgentSeat
from node.cli.messages import Words
from node.cli.seat import Seat
from node.cli.visitor_seat import VisitorSeat
from node.client import open_client
from node.protocol.catalogue import (
    CvClose,
    CvOpen,
    CvRate,
    Ev,
    Inbox,
    MsgSend,
    OfferAccept,
    OfferGonePush,
    OfferPush,
    StatusSet,
    Welcome,
)
from tests.node.client.loopback import Link, node

ADA = ["visitor", "ada", "Ada"]
BEN = ["agent", "ben", "Ben"]


def event(seq: int, kind: str, by: list[str], **data: Any) -> dict[str, Any]:
    return {"op": "ev", "cv": "C", "seq": seq, "type": kind, "by": by, "ts": 0, "data": data}


async def play(seat: Seat, url: str, *lines: str) -> None:
    """Let a person type `lines`; each waits until what it caused was shown."""
    async with open_client([url], "t") as client:
        seat.client = client
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seat._show, client)
            await client.wait_welcome()
            await trio.sleep(0.1)
            for line in lines:
                await seat.on_line(line)
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()


async def test_a_visitor_opens_with_the_first_line_and_talks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome()
        while True:
            request = await link.next()
            asked.append(request)
            if isinstance(request, CvOpen):
                await link.ok(request, cv="C", seq=1, state="new")
                await link.say(
                    event(1, "opened", ADA),
                    event(2, "queued", ["system", "unidesk"], queue="general"),
                    event(3, "assigned", BEN, agent="ben", fence=1),
                    event(4, "msg", BEN, body="Hello Ada"),
                    {"op": "ev", "cv": "C", "seq": 5, "type": "hidden", "ts": 0},
                )
            else:
                await link.ok(request, seq=6)

    async with node(serve) as one:
        seat = VisitorSeat(Words("en"), "ada", {"arpu": 7})
        await play(seat, one.url, "where is it?", "thanks", "/nonsense", "/close")

    told = capsys.readouterr().out
    assert [type(request) for request in asked] == [CvOpen, MsgSend, CvClose]
    assert asked[0].text == "where is it?"
    assert asked[0].tags == {"arpu": 7}
    assert (asked[1].cv, asked[1].body) == ("C", "thanks")
    for words in ("Connected to n1", "queue general", "Ben is with you", "Ben: Hello Ada"):
        assert words in told
    assert "/nonsense is not known" in told


async def test_a_visitor_is_told_that_nobody_is_there_and_asked_how_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome()
        while True:
            request = await link.next()
            asked.append(request)
            if isinstance(request, CvOpen):
                await link.ok(request, cv="C", seq=1, state="new")
                await link.say(
                    event(1, "opened", ADA),
                    event(2, "queued", ["system", "unidesk"], queue="general", offline=True),
                )
            elif isinstance(request, CvClose):
                await link.ok(request, seq=3)
                await link.say(event(3, "closed", ADA, reason="", rate_until=9))
            else:
                await link.ok(request, seq=4)
                await link.say(event(4, "rated", ADA, score=5, text="quick and kind", times=1))

    lines = "/rate 5", "你好", "/rate six", "/close", "/rate 5 quick and kind"
    async with node(serve) as one:
        await play(VisitorSeat(Words("zh"), "ada", {}), one.url, *lines)

    told = capsys.readouterr().out
    assert [type(request) for request in asked] == [CvOpen, CvClose, CvRate]
    assert (asked[2].cv, asked[2].score, asked[2].text) == ("C", 5, "quick and kind")
    for said in ("现在没有客服在线", "请输入 /rate", "您对本次服务满意吗", "感谢您的 5 分评价"):
        assert said in told


async def test_an_agent_is_offered_accepts_answers_and_closes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        snap = {"status": "offline", "load": 0, "capacity": 2, "cvs": []}
        await link.accept()
        await link.say(
            Welcome(
                sid="S",
                epoch="e",
                node="n2",
                you={"id": "ben", "role": "agent", "name": "Ben"},
                ping_ms=25_000,
                now=0,
                limits={},
                state="ok",
                snap=snap,
            )
        )
        while True:
            request = await link.next()
            asked.append(request)
            await link.ok(request)
            if isinstance(request, StatusSet):
                await link.say(
                    Inbox(status="online", load=0, capacity=2),
                    OfferPush(
                        oid="O",
                        cv="C",
                        queue="general",
                        prio=0,
                        exp=0,
                        ttl=20_000,
                        cust={"name": "Ada", "lang": "en", "tags": {}},
                        preview="where is it?",
                    ),
                )
            elif isinstance(request, OfferAccept):
                await link.say(
                    OfferGonePush(oid="O", why="accepted"),
                    event(1, "opened", ADA),
                    event(2, "msg", ADA, body="where is it?"),
                    event(3, "assigned", BEN, agent="ben", fence=7),
                )
            elif isinstance(request, CvClose):
                await link.say(event(4, "closed", BEN))

    async with node(serve) as one:
        seat = AgentSeat(Words("zh"))
        lines = ("/accept", "Let me look", "/note nice", "/list", "/close done", "hello?")
        await play(seat, one.url, *lines)

    told = capsys.readouterr().out
    assert [type(request) for request in asked] == [
        StatusSet,
        OfferAccept,
        MsgSend,
        MsgSend,
        CvClose,
    ]
    say, note = asked[2:4]
    assert (say.cv, say.body, say.fence, say.vis) == ("C", "Let me look", 7, "all")
    assert (note.body, note.vis) == ("nice", "agents")
    for words in ("邀请：Ada", "[1] 归您处理", "[1] Ada：where is it?", "您现在没有会话"):
        assert words in told


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
