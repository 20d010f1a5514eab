"""`unidesk say` and `unidesk agent` as people use them, against nodes that are played."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import pytest
import trio

from node.cli import seat as seat_module
from node.cli.agent_seat import AgentSeat
from node.cli.messages import Words
from node.cli.problem import USAGE, explain
from node.cli.seat import Seat
from node.cli.visitor_seat import VisitorSeat
from node.client import open_client
from node.protocol.catalogue import (
    CannedFind,
    CvClose,
    CvInvite,
    CvLeave,
    CvList,
    CvOpen,
    CvRate,
    CvReopen,
    CvTag,
    CvTake,
    CvTransfer,
    Ev,
    Inbox,
    MsgDel,
    MsgEdit,
    MsgSend,
    OfferAccept,
    OfferGonePush,
    OfferPush,
    PresencePush,
    QueuePush,
    StatusSet,
    Viewer,
    ViewersPush,
    Welcome,
    WrapDone,
)
from tests.node.client.loopback import Link, node

ADA = ["visitor", "ada", "Ada"]
BEN = ["agent", "ben", "Ben"]
LI = ["agent", "li", "Li"]
SUE = ["supervisor", "sue"]


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


@pytest.mark.parametrize(
    ("lang", "place", "told"),
    [
        ("en", {"pos": 1, "of": 3}, "You are next."),
        (
            "en",
            {"pos": 4, "of": 9, "eta_s": 240, "conf": "high"},
            "3 before you. Usually that takes 4 minutes.",
        ),
        (
            "zh",
            {"pos": 4, "of": 9, "eta_s": 45, "conf": "low"},
            "您前面还有 3 位。大约需要等待 45 秒。",
        ),
        (
            "en",
            {"pos": 2, "of": 2, "eta_s": 7_500, "conf": "low"},
            "1 before you. It may take 3 hours or so.",
        ),
    ],
)
async def test_a_visitor_who_waits_reads_their_place(
    lang: Literal["en", "zh"],
    place: dict[str, Any],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await VisitorSeat(Words(lang), "ada", {}).on_push(QueuePush(cv="C", **place))
    assert capsys.readouterr().out == f"{told}\n"


async def test_an_agent_asks_colleagues_in_hands_over_warm_and_corrects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
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
                snap={"cvs": [{"cv": "C", "seq": 3, "fence": 7}], "helps": []},
            )
        )
        while True:
            request = await link.next()
            asked.append(request)
            await link.ok(request)
            if isinstance(request, MsgSend):
                said = event(4, "msg", BEN, body=request.body)
                await link.say({**said, "mid": "M"})
            elif isinstance(request, CvInvite):
                await link.say(
                    event(5, "joined", LI, agent="li", name="Li"),
                    event(6, "whisper", SUE, body="offer ten percent"),
                    PresencePush(who="li", name="Li", status="busy", since=0, src="user"),
                    ViewersPush(cv="C", list_=[Viewer(kind="agent", id="li", name="Li")]),
                )
            elif isinstance(request, MsgDel):
                await link.say({**event(7, "del", BEN), "mid": "M"})
            elif isinstance(request, CvTransfer) and request.warm:
                await link.say(
                    event(8, "joined", BEN, agent="ben", name="Ben"),
                    event(9, "transferred", BEN, to={"agent": "li"}, warm=True),
                    event(10, "assigned", LI, agent="li", fence=8),
                )
            elif isinstance(request, CvLeave):
                await link.say(event(11, "left", BEN, agent="ben", name="Ben"))

    async with node(serve) as one:
        lines = (
            "one moment",
            "/invite li you know tariffs",
            "/who",
            "/tag topic=refund -old",
            "/edit one minute",
            "/undo",
            "/undo",
            "/transfer",
            "/warm-stay @li she is nice",
            "/leave",
            "/status away lunch 30m",
            "/status gone",
            "/reopen 7",
        )
        await play(AgentSeat(Words("en")), one.url, *lines)

    told = capsys.readouterr().out
    kinds = [StatusSet, MsgSend, CvInvite, CvTag, MsgEdit, MsgDel, CvTransfer, CvLeave, StatusSet]
    assert [type(request) for request in asked] == kinds
    assert (asked[1].after, asked[2].note) == (0, "you know tariffs")
    assert (asked[3].set, asked[3].unset) == ({"topic": "refund"}, ["old"])
    assert (asked[4].mid, asked[4].body) == ("M", "one minute")
    assert (asked[6].to, asked[6].keep, asked[6].fence) == ({"agent": "li"}, True, 7)
    assert asked[8].until > 0
    for words in (
        "[1] Li joined",
        "[1] sue whispers: offer ten percent",
        "Li: busy",
        "[1] is open at: Li",
        "[1] a message was taken back",
        "You have said nothing here",
        "Not understood: -;",
        "[1] is a colleague's now; you still take part.",
        "[1] You take part no more.",
        "Not understood: gone;",
        "There is no conversation 7.",
    ):
        assert words in told, words
    assert "is not yours any more" not in told


async def test_an_agent_is_asked_in_and_to_take_over(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome(you={"id": "ben", "role": "agent", "name": "Ben"})
        await link.ok(await link.next())
        for oid, asks in (("I", "join"), ("W", "take")):
            push = OfferPush(
                oid=oid,
                cv=oid,
                queue="q",
                prio=0,
                exp=0,
                ttl=30_000,
                why={"by": "Li"},
                cust={"name": "Ada"},
                note="tariffs",
                asks=asks,  # type: ignore[arg-type]
            )
            await link.say(push)
        while True:
            asked.append(await link.next())
            await link.ok(asked[-1])

    async with node(serve) as one:
        await play(AgentSeat(Words("en")), one.url, "/accept")

    told = capsys.readouterr().out
    assert [request.oid for request in asked] == ["W"]
    assert "Li asks you to join them and Ada: tariffs" in told
    assert "Li asks you to take Ada over: tariffs" in told


async def test_a_visitor_corrects_what_they_said_and_reopens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.welcome()
        while True:
            request = await link.next()
            asked.append(request)
            match request:
                case CvOpen():
                    await link.ok(request, cv="C", seq=1, state="new")
                    await link.say(
                        event(1, "opened", ADA),
                        {**event(2, "msg", ADA, body="my card"), "mid": "M"},
                        event(3, "joined", SUE, supervisor="sue", name="Sue"),
                        event(4, "left", SUE, supervisor="sue", name="Sue"),
                    )
                case MsgEdit():
                    await link.ok(request, seq=5)
                    await link.say({**event(5, "edit", ADA, body="card"), "mid": "M"})
                case MsgDel():
                    await link.ok(request, seq=6)
                    await link.say({**event(6, "del", ADA), "mid": "M"})
                case CvClose():
                    await link.ok(request, seq=7)
                    await link.say(event(7, "closed", ADA))
                case _:
                    await link.ok(request, seq=8)
                    await link.say(event(8, "reopened", ADA))

    async with node(serve) as one:
        seat = VisitorSeat(Words("zh"), "ada", {})
        lines = ("hello", "/edit card", "/undo", "/undo", "/close", "/reopen", "again")
        await play(seat, one.url, *lines)

    told = capsys.readouterr().out
    kinds = [CvOpen, MsgEdit, MsgDel, CvClose, CvReopen, MsgSend]
    assert [type(request) for request in asked] == kinds
    assert (asked[4].cv, asked[5].cv) == ("C", "C")
    for words in (
        "Sue 已加入",
        "Sue 已离开",
        "改为：card",
        "已撤回",
        "没有您可以修改的",
        "会话继续",
    ):
        assert words in told, words


@pytest.mark.parametrize(
    ("lang", "why", "told"),
    [
        ("en", {"rule": "vip_user", "rev": 1}, "Ada in q by vip_user (en): hi - 20 s to /accept"),
        ("en", {"rule": "", "rev": 1}, "Ada in q (en): hi - 20 s to /accept"),
        (
            "en",
            {"rule": "vip", "rev": 1, "step": 2, "steps": 4},
            "Ada in q by vip, step 2 of 4 (en): hi",
        ),
        ("en", {"rule": "vip", "rev": 1, "by_hand": True}, "Ada in q, handed over (en): hi"),
        (
            "zh",
            {"rule": "vip", "rev": 1, "step": 2, "steps": 4},
            "邀请：Ada，队列 q，规则 vip，第 2 步（共 4 步）（en）：hi",
        ),
    ],
)
async def test_an_offer_says_why_it_came(
    lang: Literal["en", "zh"], why: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cust = {"name": "Ada", "lang": "en"}
    push = OfferPush(
        oid="O", cv="C", queue="q", prio=0, exp=0, ttl=20_000, why=why, cust=cust, preview="hi"
    )
    await AgentSeat(Words(lang)).on_push(push)
    assert told in capsys.readouterr().out


async def test_an_agent_sends_what_is_canned_takes_what_waits_and_wraps_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []
    hits = [
        {"shortcut": "hello", "title": "", "lang": "en", "text": "Hello Ada", "rev": 1},
        {"shortcut": "hello/back", "title": "", "lang": "en", "text": "Hi again", "rev": 1},
    ]
    unknown = {**hits[0], "text": "Dear {{tags.name}}", "missing": ["tags.name"]}
    waiting = {"cv": "D", "opened": 0, "queue": "q", "visitor": {"kind": "visitor", "name": "Bo"}}

    async def serve(link: Link) -> None:
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
                snap={"cvs": [{"cv": "C", "seq": 3, "fence": 7}], "helps": []},
            )
        )
        while True:
            request = await link.next()
            asked.append(request)
            match request:
                case CannedFind(q="none"):
                    await link.ok(request, items=[])
                case CannedFind(q="hell" | ""):
                    await link.ok(request, items=hits)
                case CannedFind(q="hello"):
                    await link.ok(request, items=hits)
                case CannedFind():
                    await link.ok(request, items=[{**unknown, "shortcut": request.q}])
                case CvList():
                    await link.ok(request, items=[waiting], cursor="", more=False, complete=True)
                case CvClose():
                    await link.ok(request)
                    await link.say(event(4, "closed", BEN))
                case WrapDone():
                    await link.err(request, "not_found", retry=False)
                case _:
                    await link.ok(request)

    lines = (
        *("/canned none", "/canned hell", "/canned hello", "/canned dear"),
        *("/take", "/take 2", "/take 9", "/done", "/close", "/canned hello", "/done 7"),
        *("/done 1", "/done"),
    )
    async with node(serve) as one:
        await play(AgentSeat(Words("zh")), one.url, *lines)

    told = capsys.readouterr().out
    kinds = [StatusSet, *[CannedFind] * 3, MsgSend, CannedFind, CvList, CvTake, CvClose, WrapDone]
    assert [type(request) for request in asked] == kinds
    assert (asked[1].cv, asked[4].body, asked[4].fence) == ("C", "Hello Ada", 7)
    assert (asked[6].filter.state, asked[7].cv, asked[9].cv) == ("waiting", "D", "C")
    for words in (
        "没有与 none 匹配的快捷回复",
        "hello/back：Hi again",
        "未发送，tags.name 未知：Dear {{tags.name}}",
        "[2] Bo 在队列 q 中等待",
        "没有会话 9",
        "没有会话 7",
        "未完成：不存在，或已不再保留（it is not_found）",
    ):
        assert words in told, words
    assert told.count("没有需要收尾的会话") == 2


async def test_a_visitor_who_asks_for_help_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    seat = VisitorSeat(Words("en"), "ada", {})
    await seat.on_line("/help")
    await seat.on_line("/nonsense")
    told = capsys.readouterr().out
    assert "/reopen lets it go on" in told
    assert "/help is not known" not in told
    assert "/nonsense is not known; /help lists what is" in told


async def test_a_seat_is_not_taken_with_the_token_of_another_role(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    async def serve(link: Link) -> None:
        await link.accept()
        await link.say(
            Welcome(
                sid="S",
                epoch="e",
                node="n1",
                you={"id": "robo", "role": "visitor", "name": "Robo"},
                ping_ms=25_000,
                now=0,
                limits={},
                state="ok",
            )
        )
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
