"""Complaints about the queue: there is none, it is jumped, it knows no skills, nobody is there."""

from functools import partial

import pytest
import trio

from node.client import RequestFailed
from node.client.client import new_key
from node.protocol import catalogue as ops
from node.protocol.catalogue import QueuePush
from tests.complaints.desk import Floor, together, until

pytestmark = pytest.mark.process

NODES = ("n1", "n2", "n3")


async def test_without_a_queue_chats_are_effectively_lost_chatwoot_13050(floor: Floor) -> None:
    """All agents are busy: who waits is told their place, keeps it, and is served."""
    ann = await floor.seat("ann", "n1", capacity=1)
    callers = [await floor.caller(f"visitor{n}", at) for n, at in enumerate(NODES)]
    cvs = [await caller.open("hello") for caller in callers]
    await until(partial(ann.fences.__contains__, cvs[0]))
    for place, caller in enumerate(callers[1:], start=1):
        await until(partial(caller.pushes, QueuePush), f"{caller.id} was told no place")
        told = caller.pushes(QueuePush)[-1]
        assert (told.pos, told.of) == (place, 2)
    await ann.close(cvs[0])
    await until(partial(ann.fences.__contains__, cvs[1]))
    last = callers[2]
    await until(lambda: [(push.pos, push.of) for push in last.pushes(QueuePush)][-1] == (1, 1))
    await ann.close(cvs[1])
    await until(partial(ann.fences.__contains__, cvs[2]))


async def test_two_take_the_same_chat_out_of_the_queue_rocketchat_22206(floor: Floor) -> None:
    """What waits is shown to all, and everybody reaches for it in the same instant."""
    caller = await floor.caller("visitor", "n1")
    seats = [await floor.seat(f"agent{n}", NODES[n % 3], online=False) for n in range(9)]
    cv = await caller.open()
    await until(lambda: "queued" in [event.type for event in caller.events(cv)])
    takes = [partial(seat.ask, ops.CvTake(cv=cv, key=new_key())) for seat in seats]
    for seat in seats:
        await seat.set("transfer_only")
    came = await together(*takes)
    got = [seat for seat, one in zip(seats, came, strict=True) if isinstance(one, dict)]
    assert len(got) == 1
    assert {one.code for one in came if isinstance(one, RequestFailed)} <= {"conflict", "not_owner"}
    assigned = [event for event in await got[0].history(cv) if event["type"] == "assigned"]
    assert [event["data"]["fence"] for event in assigned] == [1]


async def test_agents_bypass_the_queue_by_opening_pending_chats_livehelperchat_1337(
    floor: Floor,
) -> None:
    """Looking into what waits assigns nothing; speaking there is refused; its turn comes."""
    ann = await floor.seat("ann", "n1", capacity=1)
    bo = await floor.seat("bo", "n2", capacity=1, online=False)
    caller = await floor.caller("visitor", "n3")
    first, second, third = [await caller.open(f"hello {n}") for n in range(3)]
    await until(partial(ann.fences.__contains__, first))
    speak = ops.MsgSend(cv=third, key=new_key(), body="I take this one")
    assert (await bo.refusal(speak)).code == "not_owner"
    assert (await ann.refusal(ops.CvTake(cv=third, key=new_key()))).code == "at_capacity"
    await ann.close(first)
    await until(partial(ann.fences.__contains__, second))
    assert [offer.cv for offer in ann.offers] == [first, second]


async def test_a_chat_goes_to_somebody_without_the_skill_rocketchat_233(floor: Floor) -> None:
    """Whoever lacks what the queue asks for is offered nothing of it, however idle they are."""
    idle = await floor.seat("idle", "n1", skills={"cooking": 9})
    able = await floor.seat("able", "n2", capacity=2)
    caller = await floor.caller("visitor", "n3")
    cvs = [await caller.open() for _ in range(3)]
    await until(lambda: len(able.fences) == 2)
    await trio.sleep(0.5)  # for what must not come
    assert idle.offers == []
    given = ops.CvTake(cv=cvs[2], key=new_key())
    assert (await idle.refusal(given)).code == "conflict"


async def test_the_widget_offers_a_chat_with_nobody_there_rocketchat_20899(floor: Floor) -> None:
    """The visitor is told that nobody is there and that the message waits; somebody answers it."""
    ann = await floor.seat("ann", "n1")
    await ann.set("offline")
    caller = await floor.caller("visitor", "n2")
    cv = await caller.open("is anybody there?")
    await until(lambda: any(event.type == "queued" for event in caller.events(cv)))
    (queued,) = (event for event in caller.events(cv) if event.type == "queued")
    assert queued.data.get("offline") is True
    await ann.set("online")
    await until(partial(ann.fences.__contains__, cv))
    await ann.answer(cv, "now I am")
    await caller.hears(cv, "now I am")
