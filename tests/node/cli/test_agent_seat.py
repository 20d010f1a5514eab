"""`unidesk agent` as agents use it, against nodes that are played."""

from typing import Any, Literal

import pytest

from node.cli.agent_seat import AgentSeat
from node.cli.messages import Words
from node.protocol.catalogue import (
    CannedFind,
    CvClose,
    CvInvite,
    CvLeave,
    CvList,
    CvTag,
    CvTake,
    CvTransfer,
    Inbox,
    MsgDel,
    MsgEdit,
    MsgSend,
    OfferAccept,
    OfferGonePush,
    OfferPush,
    PresencePush,
    StatusSet,
    Viewer,
    ViewersPush,
    WrapDone,
)
from tests.node.cli.played import ADA, BEN, BENS_SEAT, LI, ONE_OF_BENS, SUE, answering, event, play
from tests.node.client.loopback import Link, node


async def test_an_agent_is_offered_accepts_answers_and_closes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []
    snap = {"status": "offline", "load": 0, "capacity": 2, "cvs": []}

    async def answer(link: Link, request: Any) -> None:
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

    async with node(answering(asked, answer, you=BENS_SEAT, snap=snap)) as one:
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


async def test_an_agent_asks_colleagues_in_hands_over_warm_and_corrects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def answer(link: Link, request: Any) -> None:
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

    async with node(answering(asked, answer, you=BENS_SEAT, snap=ONE_OF_BENS)) as one:
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
        await link.welcome(you=BENS_SEAT)
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

    async def answer(link: Link, request: Any) -> None:
        match request:
            case CannedFind(q="none"):
                await link.ok(request, items=[])
            case CannedFind(q="hell" | "hello" | ""):
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
    async with node(answering(asked, answer, you=BENS_SEAT, snap=ONE_OF_BENS)) as one:
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
