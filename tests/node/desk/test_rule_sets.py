"""Rules in threads: rests between bursts, an end when nobody waits, compiled once."""

import time
from collections.abc import Iterator

import pytest
import trio

from node.desk.plain import NotAllowed
from node.desk.rule_sets import BURST_S, KEPT_MAX, Breath, Cancelled, RuleSets, paced
from tests.node.desk.test_rules import BAD, GOOD


class Clock:
    """Time that passes by working and by resting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rested = 0.0

    def __call__(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        self.now += seconds
        self.rested += seconds

    def work(self, steps: int, each_s: float) -> Iterator[int]:
        for step in range(steps):
            self.now += each_s
            yield step


def never() -> bool:
    return False


def test_no_burst_is_long_and_half_of_the_time_is_rest() -> None:
    clock = Clock()
    assert paced(clock.work(1_000, BURST_S / 4), 60.0, never, clock, clock.rest) == 999
    assert clock.rested == pytest.approx(clock.now / 2, rel=0.01)


def test_work_ends_in_time_and_says_where() -> None:
    clock = Clock()
    last = paced(clock.work(10_000, BURST_S), 1.0, never, clock, clock.rest)
    assert last is not None
    assert last < 10_000
    assert 1.0 <= clock.now < 1.0 + 3 * BURST_S


def test_at_least_one_step_is_taken_however_long_it_is() -> None:
    clock = Clock()
    assert paced(clock.work(5, 10.0), 1.0, never, clock, clock.rest) == 0
    assert paced(iter(()), 1.0, never, clock, clock.rest) is None


def test_a_breath_is_no_longer_than_the_work_before() -> None:
    clock = Clock()
    breath = Breath(clock, clock.rest)
    clock.now += BURST_S / 2
    breath()
    assert clock.rested == 0
    clock.now += BURST_S
    breath()
    assert clock.rested == pytest.approx(1.5 * BURST_S)


async def test_work_ends_soon_after_nobody_waits_for_it() -> None:
    sets, begun, ended = RuleSets(), trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def work(cancelled: Cancelled) -> None:
        trio.from_thread.run_sync(begun.set, trio_token=token)
        while not cancelled():
            time.sleep(0.001)
        trio.from_thread.run_sync(ended.set, trio_token=token)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sets.run, work)
        await begun.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(30):
        await ended.wait()
        assert await sets.run(lambda _: 7) == 7, "the next has its turn"


async def test_a_rule_set_is_compiled_once_and_the_last_few_are_kept() -> None:
    sets = RuleSets()
    first = await sets.compiled({"main.toml": GOOD})
    assert await sets.compiled({"main.toml": GOOD}) is first
    for number in range(KEPT_MAX):
        await sets.compiled({"main.toml": f"# {number}\n{GOOD}"})
    assert await sets.compiled({"main.toml": GOOD}) is not first
    with pytest.raises(NotAllowed, match=r"main\.toml:4"):
        await sets.compiled({"main.toml": BAD})
