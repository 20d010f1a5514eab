"""Nobody asks faster than allowed, and nobody else notices who tries."""

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.auth import Principal
from node.config import LimitsConfig
from node.desk.rates import BURST_S, Rates
from node.desk.requests import EXCESS_MAX
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Err, Ok
from tests.node.desk.office import office, settle
from tests.node.desk.test_calls import Caller
from tests.node.desk.test_over_sockets import listening

VERA = Principal("visitor", "v1", 0)
VISITOR_BURST = int(LimitsConfig().visitor_requests_per_s * BURST_S)


@given(st.integers(1, 50), st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=300))
def test_in_any_time_no_more_than_the_burst_and_the_rate_are_let_through(
    per_s: int, pauses: list[float]
) -> None:
    now = 100.0
    rates = Rates({"visitor": per_s}, lambda: now)
    let_through: list[float] = []
    for pause in pauses:
        now += pause
        wait_s = rates.wait_s(VERA)
        if not wait_s:
            let_through.append(now)
            since = [at for at in let_through if at > now - 1.0]
            assert len(since) <= per_s * (BURST_S + 1.0) + 1
        else:
            now += wait_s + 1e-9
            assert not rates.wait_s(VERA), "it was told how long to wait"
            let_through.append(now)


def test_principals_do_not_share_and_the_idle_are_forgotten() -> None:
    now = 0.0
    rates = Rates({"visitor": 1, "agent": 1}, lambda: now)
    for _ in range(5):
        assert not rates.wait_s(VERA)
    assert rates.wait_s(VERA) == pytest.approx(1.0)
    assert not rates.wait_s(Principal("visitor", "v2", 0))
    assert not rates.wait_s(Principal("agent", "v1", 0))
    rates.forget_idle()
    assert len(rates) == 3
    now = 2.0
    rates.forget_idle()
    assert len(rates) == 1
    now = 5.0
    rates.forget_idle()
    assert len(rates) == 0


def test_a_rate_of_nought_is_none() -> None:
    rates = Rates({"visitor": 0}, lambda: 0.0)
    assert not any(rates.wait_s(VERA) for _ in range(10_000))
    assert len(rates) == 0


async def test_a_flood_is_refused_with_how_long_to_wait_and_then_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor, other = await desk.visitor(), await desk.visitor("v2")
        cv, theirs = await desk.opened(visitor), await desk.opened(other)
        numbers = [visitor.ask(ops.CvGet(cv=cv)) for _ in range(VISITOR_BURST + 20)]
        await settle()
        answers = [visitor.answer(number) for number in numbers]
        refused = [answer for answer in answers if isinstance(answer, Err)]
        assert len(refused) in (20, 21)  # one was for the opening
        assert {(answer.code, answer.retry) for answer in refused} == {("rate_limited", True)}
        assert all(isinstance(one, Ok) for one in answers[: VISITOR_BURST - 1])
        assert visitor.wire.rests == len(refused)
        assert not other.wire.rests
        assert await other.ok(ops.CvGet(cv=theirs))
        assert refused[-1].after is not None
        await trio.sleep(refused[-1].after / 1000)
        assert await visitor.ok(ops.CvGet(cv=cv))


async def test_whoever_does_not_listen_is_sent_away_for_a_while(mock_clock: MockClock) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        many: list[Any] = [ops.Typing(cv="x", on=True)] * 64
        for _ in range(2 * (VISITOR_BURST + EXCESS_MAX) // 64):  # on a slow machine some may pass
            visitor.say(*many)
        (bye,) = visitor.heard(Bye)
        assert (bye.code, bye.resume) == (4004, True)


async def test_pongs_do_not_count() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        for _ in range(20):
            visitor.say(*[ops.Pong()] * 64)
        assert await visitor.ok(ops.CvGet(cv=cv))


async def test_calls_by_http_have_the_same_rate(mock_clock: MockClock) -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor()
        caller = Caller(port, "visitor", "v1")
        for _ in range(VISITOR_BURST):
            visitor.say(ops.CvGet(id=0, cv="x"))
        heard = await caller.call("cv.get", {"cv": "x"})
        assert (heard.status, heard.body["code"]) == (429, "rate_limited")
        assert heard.headers["retry-after"] == "1"
