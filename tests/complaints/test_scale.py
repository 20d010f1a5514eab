"""Complaints about many: agents, messages, and everybody coming back at once.

The machine is as quick as it is: what many do is held against what few do in the same run.
"""

import statistics
from functools import partial

import pytest
import trio

from node.protocol.catalogue import Gap
from tests.complaints.desk import Caller, Floor, together, until

pytestmark = pytest.mark.process

NODES = ("n1", "n2", "n3")


async def _send_ms(caller: Caller, cv: str, count: int) -> float:
    """Return how long a message takes until it is acknowledged: the median of `count`."""
    took: list[float] = []
    for number in range(count):
        began = trio.current_time()
        await caller.say(cv, f"message {number}")
        took.append(trio.current_time() - began)
    return statistics.median(took) * 1000


async def test_fifty_agents_make_it_slow_chatwoot_12874(floor: Floor) -> None:
    """With 60 agents at work a message takes about as long as with one."""
    caller = await floor.caller("visitor", "n1")
    first = await floor.seat("agent0", "n1", capacity=1)
    cv = await caller.open("hello")
    await until(partial(first.fences.__contains__, cv))
    alone_ms = await _send_ms(caller, cv, 40)
    seats = [await floor.seat(f"agent{n}", NODES[n % 3], capacity=1) for n in range(1, 61)]
    callers = [await floor.caller(f"visitor{n}", NODES[n % 3]) for n in range(6)]
    await together(*(partial(callers[n % 6].open, "hello") for n in range(60)))
    await until(lambda: all(len(seat.fences) == 1 for seat in seats))
    assert await _send_ms(caller, cv, 40) < 5 * alone_ms


async def test_messages_come_minutes_late_chatwoot_15204(floor: Floor) -> None:
    """While 20 conversations are as busy as they can, a word in another is heard in between."""
    ann = await floor.seat("ann", "n3", capacity=30)
    callers = [await floor.caller(f"visitor{n}", NODES[n % 3]) for n in range(20)]
    cvs = [str(cv) for cv in await together(*(partial(one.open, "hello") for one in callers))]
    await until(lambda: len(ann.fences) == len(cvs))
    quiet = await floor.caller("quiet", "n1")
    cv = await quiet.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    told = 0

    async def chatter(caller: Caller, cv: str) -> None:
        nonlocal told
        for number in range(25):
            await caller.say(cv, f"message {number}")
            told += 1

    behind: list[int] = []
    async with trio.open_nursery() as nursery:
        for caller, busy in zip(callers, cvs, strict=True):
            nursery.start_soon(chatter, caller, busy)
        for number in range(5):
            said = told
            await quiet.say(cv, f"word {number}")
            await ann.hears(cv, f"word {number}")
            behind.append(told - said)
    # Heard within a few rounds of all the others, not behind everything that they say.
    assert max(behind) < len(cvs) * 25 / 2
    for caller, busy in zip(callers, cvs, strict=True):
        await caller.hears(busy, "message 24")
        assert len(caller.said(busy)) == 26
        await ann.hears(busy, "message 24")
        assert ann.said(busy) == ["hello", *(f"message {number}" for number in range(25))]


@pytest.mark.slow
async def test_a_mass_reconnect_brings_it_down_rocketchat_21182(floor: Floor) -> None:
    """A node dies with 120 visitors on it: all are back elsewhere, and nobody misses a word."""
    ann = await floor.seat("ann", "n1", capacity=200)
    callers = [await floor.caller(f"visitor{n}", "n3") for n in range(120)]
    cvs = [str(cv) for cv in await together(*(partial(one.open, "hello") for one in callers))]
    await until(lambda: len(ann.fences) == len(cvs))
    await floor.cluster.kill("n3")
    await together(*(partial(ann.answer, cv, "one moment") for cv in cvs))
    for caller, cv in zip(callers, cvs, strict=True):
        await caller.hears(cv, "one moment")
        assert caller.said(cv) == ["hello", "one moment"]
        assert caller.pushes(Gap) == []
        assert caller.client.jumps == []
