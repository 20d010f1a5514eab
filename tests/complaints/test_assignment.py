"""Complaints about who got what: two agents, too many, the wrong one, nobody."""

from functools import partial

import pytest
import trio

from node.client import RequestFailed
from node.client.client import new_key
from node.protocol import catalogue as ops
from node.protocol.catalogue import OfferGonePush
from tests.complaints.desk import Floor, together, until

pytestmark = pytest.mark.process

NODES = ("n1", "n2", "n3")


async def test_one_chat_two_agents_rocketchat_22206(floor: Floor) -> None:
    """ "Single Inquiry Taken By Multiple Agents": whoever is quickest, at whatever node."""
    seats = [await floor.seat(f"agent{n}", NODES[n % 3], capacity=10) for n in range(6)]
    callers = [await floor.caller(f"visitor{n}", NODES[n % 3]) for n in range(3)]
    opened = await together(*(partial(callers[n % 3].open, f"help {n}") for n in range(24)))
    cvs = [str(cv) for cv in opened]
    await until(lambda: sum(len(seat.fences) for seat in seats) == len(cvs))
    owners = {cv: [seat for seat in seats if cv in seat.fences] for cv in cvs}
    assert all(len(owner) == 1 for owner in owners.values())
    supervisor = await floor.supervisor("n2")
    for cv in cvs:
        assigned = [event for event in await supervisor.history(cv) if event["type"] == "assigned"]
        assert [event["data"]["fence"] for event in assigned] == [1]
    # And nobody speaks in a conversation that a colleague has.
    other = next(seat for seat in seats if cvs[0] not in seat.fences)
    message = ops.MsgSend(cv=cvs[0], key=new_key(), body="I am here too")
    assert (await other.refusal(message)).code == "not_owner"


async def test_two_devices_take_the_same_offer_at_once_rocketchat_22206(floor: Floor) -> None:
    """One agent, three devices at three nodes, one click on each in the same instant."""
    seats = [await floor.seat("ann", at, accepts=False) for at in NODES]
    caller = await floor.caller("visitor", "n1")
    cv = await caller.open()
    await until(lambda: all(seat.offers for seat in seats))
    oid = seats[0].offers[0].oid
    clicks = [partial(seat.ask, ops.OfferAccept(oid=oid, key=new_key())) for seat in seats]
    came = await together(*clicks)
    assert sorted("gone" if isinstance(one, RequestFailed) else "mine" for one in came) == [
        "gone",
        "gone",
        "mine",
    ]
    assert {one.code for one in came if isinstance(one, RequestFailed)} == {"offer_gone"}
    await until(lambda: all(seat.fences.get(cv) == 1 for seat in seats))


async def test_a_limit_of_three_on_three_instances_rocketchat_37776(floor: Floor) -> None:
    """Three instances, a limit of three, and a fourth chat: it waits."""
    ann = await floor.seat("ann", "n1", capacity=3)
    callers = [await floor.caller(f"visitor{n}", at) for n, at in enumerate(NODES)]
    opened = await together(*(partial(callers[n % 3].open) for n in range(12)))
    cvs = sorted(str(cv) for cv in opened)
    while cvs:
        await until(lambda: len(ann.fences) == min(3, len(cvs)))
        done = min(ann.fences)
        cvs.remove(done)
        await ann.close(done)
    assert max(ann.loads) == 3
    assert len({offer.cv for offer in ann.offers}) == 12


async def test_a_race_for_the_last_place_rocketchat_19352(floor: Floor) -> None:
    """Two agents with one place each, ten chats at once from all sides: two are served."""
    seats = [await floor.seat(name, at, capacity=1) for name, at in (("ann", "n2"), ("bo", "n3"))]
    callers = [await floor.caller(f"visitor{n}", at) for n, at in enumerate(NODES)]
    await together(*(partial(callers[n % 3].open) for n in range(10)))
    await until(lambda: all(seat.fences for seat in seats))
    await trio.sleep(0.5)  # for what must not come
    assert [len(seat.fences) for seat in seats] == [1, 1]
    assert [max(seat.loads) for seat in seats] == [1, 1]


async def test_assigned_to_an_offline_agent_chatwoot_7204(floor: Floor) -> None:
    """Whoever went offline, or away, is offered nothing; what was offered goes to others."""
    gone = await floor.seat("gone", "n1", accepts=False)
    away = await floor.seat("away", "n3")
    await away.set("away")
    caller = await floor.caller("visitor", "n2")
    first = await caller.open()
    await until(lambda: gone.offers)
    await gone.set("offline")
    await until(lambda: gone.pushes(OfferGonePush))
    here = await floor.seat("here", "n2")
    second = await caller.open()
    await until(lambda: {first, second} == here.fences.keys())
    assert len(gone.offers) == 1
    assert away.offers == []


async def test_waiting_chat_never_assigned_when_someone_frees_up_chatwoot_10376(
    floor: Floor,
) -> None:
    """Every event that frees somebody is enough: a close, coming online, coming back."""
    caller = await floor.caller("visitor", "n2")
    ann = await floor.seat("ann", "n1", capacity=1)
    first = await caller.open()
    await until(lambda: first in ann.fences)
    waiting = [await caller.open() for _ in range(3)]
    await ann.close(first)
    await until(lambda: waiting[0] in ann.fences)
    bo = await floor.seat("bo", "n3", capacity=1, online=False)
    await bo.set("online")
    await until(lambda: waiting[1] in bo.fences)
    await bo.set("away")
    await bo.close(waiting[1])
    await bo.set("online")
    await until(lambda: waiting[2] in bo.fences)


async def test_a_newer_chat_overtakes_chatwoot_10583(floor: Floor) -> None:
    """Whoever frees up serves whoever has waited longest, wherever they were opened."""
    await _serve_in_order(floor, capacity=1)


async def test_chats_are_served_in_the_wrong_order_livehelperchat_1218(floor: Floor) -> None:
    """The same with an agent who takes four at a time."""
    await _serve_in_order(floor, capacity=4)


async def _serve_in_order(floor: Floor, *, capacity: int) -> None:
    callers = [await floor.caller(f"visitor{n}", at) for n, at in enumerate(NODES)]
    opened = [await callers[n % 3].open() for n in range(20)]
    ann = await floor.seat("ann", "n3", capacity=capacity)
    for cv in opened:
        await until(partial(ann.fences.__contains__, cv))
        await ann.close(cv)
    assert [offer.cv for offer in ann.offers] == opened


async def test_a_declined_chat_goes_to_the_end_of_the_line_livehelperchat_1260(
    floor: Floor,
) -> None:
    """What comes back is as old as ever: it is served before those who came later."""
    caller = await floor.caller("visitor", "n1")
    shy = await floor.seat("shy", "n1", accepts=False)
    oldest = await caller.open()
    await until(lambda: shy.offers)
    later = [await caller.open() for _ in range(3)]
    await shy.set("offline")
    ann = await floor.seat("ann", "n2", capacity=1)
    for cv in (oldest, *later):
        await until(partial(ann.fences.__contains__, cv))
        await ann.close(cv)
    assert [offer.cv for offer in ann.offers] == [oldest, *later]
