"""`unidesk say` as visitors use it, against nodes that are played."""

from typing import Any, Literal

import pytest

from node.cli.messages import Words
from node.cli.visitor_seat import VisitorSeat
from node.protocol.catalogue import (
    CvClose,
    CvOpen,
    CvRate,
    CvReopen,
    MsgDel,
    MsgEdit,
    MsgSend,
    QueuePush,
)
from tests.node.cli.played import ADA, BEN, SUE, answering, event, play
from tests.node.client.loopback import Link, node


async def test_a_visitor_opens_with_the_first_line_and_talks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def answer(link: Link, request: Any) -> None:
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

    async with node(answering(asked, answer)) as one:
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

    async def answer(link: Link, request: Any) -> None:
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
    async with node(answering(asked, answer)) as one:
        await play(VisitorSeat(Words("zh"), "ada", {}), one.url, *lines)

    told = capsys.readouterr().out
    assert [type(request) for request in asked] == [CvOpen, CvClose, CvRate]
    assert (asked[2].cv, asked[2].score, asked[2].text) == ("C", 5, "quick and kind")
    for said in ("现在没有客服在线", "请输入 /rate", "您对本次服务满意吗", "感谢您的 5 分评价"):
        assert said in told


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


async def test_a_visitor_corrects_what_they_said_and_reopens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []

    async def answer(link: Link, request: Any) -> None:
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

    async with node(answering(asked, answer)) as one:
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


async def test_a_visitor_who_asks_for_help_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    seat = VisitorSeat(Words("en"), "ada", {})
    await seat.on_line("/help")
    await seat.on_line("/nonsense")
    told = capsys.readouterr().out
    assert "/reopen lets it go on" in told
    assert "/help is not known" not in told
    assert "/nonsense is not known; /help lists what is" in told
