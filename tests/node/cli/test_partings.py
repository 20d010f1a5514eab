"""Why somebody is sent away, at both seats and in both languages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from node.cli import seat as seat_module
from node.cli.messages import Lang, Words
from node.cli.problem import Problem
from node.cli.seat import Seat
from node.cli.visitor_seat import VisitorSeat
from node.protocol.codes import Close
from tests.node.client.loopback import Link, node

TECHNICAL = "no leader for 1.4 s: fewer than a majority of 3 voters can be reached"


def quiet_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def open_lines() -> AsyncIterator[AsyncIterator[str]]:
        async def typed() -> AsyncIterator[str]:
            while True:
                await trio.sleep(60)
                yield ""

        yield typed()

    monkeypatch.setattr(seat_module, "open_lines", open_lines)
    monkeypatch.setattr(seat_module, "TROUBLE_S", 0.05)


async def how_it_ends(seat: Seat, url: str) -> str:
    try:
        await seat.run((url,), "t")
    except Problem as problem:
        return str(problem)
    pytest.fail("it did not end")


@pytest.mark.parametrize(
    ("lang", "code", "told"),
    [
        ("en", Close.MOVED, "n1 sends us elsewhere: an operator wants you at another one"),
        ("zh", Close.MOVED, "n1 请我们换一个节点：管理员将您转到其他节点"),
        ("en", Close.MINORITY, "n1 sends us elsewhere: it is not serving"),
        ("zh", Close.MINORITY, "n1 请我们换一个节点：该节点暂不提供服务"),
        ("en", Close.DRAIN, "n1 sends us elsewhere: it is being taken out of service"),
        ("zh", Close.DRAIN, "n1 请我们换一个节点：该节点即将停止服务"),
    ],
)
async def test_who_is_sent_elsewhere_reads_why(
    lang: Lang,
    code: Close,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quiet_terminal(monkeypatch)

    async def send_away(link: Link) -> None:
        await link.welcome()
        await link.bye(code, reason=TECHNICAL)
        await link.stay()

    async def end(link: Link) -> None:
        await link.accept()
        await link.bye(Close.LOGGED_OUT)

    async with node(send_away, end) as one:
        await how_it_ends(VisitorSeat(Words(lang), "ada", {}), one.url)
    shown = capsys.readouterr().out
    assert told in shown
    assert "majority" not in shown


@pytest.mark.parametrize(
    ("lang", "told"), [("en", "No node takes us in now"), ("zh", "暂时没有节点可以为您服务")]
)
async def test_who_is_let_in_nowhere_reads_why(
    lang: Lang, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet_terminal(monkeypatch)

    async def refuse(link: Link) -> None:
        await link.accept()
        await link.bye(Close.MINORITY, reason=TECHNICAL)

    async with node(refuse) as one:
        with trio.move_on_after(1):
            await VisitorSeat(Words(lang), "ada", {}).run((one.url,), "t")
    shown = capsys.readouterr().out
    assert told in shown
    assert "majority" not in shown


@pytest.mark.parametrize(
    ("lang", "rule", "told"),
    [
        ("en", "session.ended", "an operator ended your session; log in again"),
        ("zh", "session.ended", "管理员已结束您的登录，请重新登录"),
        ("en", "token.revoked", "you were logged out; log in again"),
        ("zh", "token.revoked", "您已退出登录，请重新登录"),
    ],
)
async def test_whose_session_an_operator_closed_reads_that_and_not_of_another_node(
    lang: Lang,
    rule: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quiet_terminal(monkeypatch)

    async def end(link: Link) -> None:
        await link.welcome()
        await link.bye(Close.LOGGED_OUT, reason="an operator ended it", rule=rule)

    async with node(end) as one:
        assert await how_it_ends(VisitorSeat(Words(lang), "ada", {}), one.url) == told
    shown = capsys.readouterr().out
    assert "elsewhere" not in shown
    assert "换一个" not in shown
