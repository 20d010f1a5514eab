"""Complaints about who is there: shown online when gone, gone when online, flipped by a device."""

from functools import partial

import pytest
import trio

from node.protocol import catalogue as ops
from node.protocol.catalogue import Inbox
from tests.complaints.desk import Floor, until

pytestmark = pytest.mark.process


async def test_presence_after_a_killed_node_rocketchat_27468(floor: Floor) -> None:
    """An agent whose node is killed comes back elsewhere, online, with everything."""
    ann = await floor.seat("ann", "n3", capacity=2)
    caller = await floor.caller("visitor", "n1")
    first = await caller.open("hello")
    await until(partial(ann.fences.__contains__, first))
    before = ann.fences[first]
    await floor.cluster.kill("n3")
    second = await caller.open("and another thing")
    await until(partial(ann.fences.__contains__, second))
    await ann.answer(first, "still here")
    assert ann.fences[first] == before
    assert ann.pushes(Inbox)[-1].status == "online"


@pytest.mark.slow  # a node is given up after 5 s, a session after 15 s more
async def test_an_agent_of_a_killed_node_stays_online_for_ever_rocketchat_10634(
    floor: Floor,
) -> None:
    """Nobody writes a script that wipes sessions: whoever does not come back is offline soon, and
    what they had goes to colleagues, as old as ever."""
    gone = await floor.seat("gone", "n3", capacity=1, pinned=True)
    caller = await floor.caller("visitor", "n1")
    held = await caller.open("hello")
    await until(partial(gone.fences.__contains__, held))
    await floor.cluster.kill("n3")
    later = await caller.open("and another thing")
    ann = await floor.seat("ann", "n2", capacity=1, online=False)
    await ann.set("online")
    await until(partial(ann.fences.__contains__, later))
    await ann.close(later)
    await until(partial(ann.fences.__contains__, held), "what a lost agent held was not passed on")
    await ann.answer(held, "I have taken over")
    await until(lambda: "I have taken over" in caller.said(held))


async def test_another_device_flips_the_status_rocketchat_23563(floor: Floor) -> None:
    """An agent who is away opens the desk on a telephone: they stay away, on both."""
    desk = await floor.seat("ann", "n1")
    await desk.set("away")
    telephone = await floor.seat("ann", "n2", online=False)
    assert telephone.client.welcome is not None
    assert (telephone.client.welcome.snap or {})["status"] == "away"
    caller = await floor.caller("visitor", "n3")
    await caller.open("hello")
    await trio.sleep(0.5)  # for what must not come
    assert desk.offers == telephone.offers == []
    await telephone.set("online")
    await until(lambda: desk.fences or telephone.fences)
    assert desk.pushes(Inbox)[-1].status == "online"


async def test_a_telephone_that_fell_asleep_chatwoot_5436(floor: Floor) -> None:
    """The connection breaks without a word: the agent keeps everything, and is back at once."""
    ann = await floor.seat("ann", "n1", capacity=1)
    caller = await floor.caller("visitor", "n3")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    ann.leave_without_a_word()
    await caller.say(cv, "are you there?")
    again = await floor.seat("ann", "n2", capacity=1, online=False)
    await again.hears(cv, "are you there?")
    welcome = again.client.welcome
    assert welcome is not None
    assert (welcome.snap or {})["status"] == "online"
    await again.say(cv, "I am", fence=ann.fences[cv])
    await caller.hears(cv, "I am")


async def test_closing_the_telephone_sets_the_desk_offline_chatwoot_5160(floor: Floor) -> None:
    """One of two devices logs out: the agent is as online as before."""
    desk = await floor.seat("ann", "n1")
    telephone = await floor.seat("ann", "n2", online=False)
    await telephone.client.close()
    caller = await floor.caller("visitor", "n3")
    cv = await caller.open("hello")
    await until(partial(desk.fences.__contains__, cv))
    assert desk.pushes(Inbox)[-1].status == "online"


async def test_still_online_after_a_logout_zammad_4970(floor: Floor) -> None:
    """The last device logs out: the agent is offline at once, on every node."""
    ann = await floor.seat("ann", "n1")
    caller = await floor.caller("visitor", "n3")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    await ann.client.close()
    bo = await floor.seat("bo", "n2")
    await until(partial(bo.fences.__contains__, cv))
    refused = await bo.refusal(
        ops.CvTransfer(cv=cv, key=f"to-{ann.id}", to={"agent": ann.id}, fence=bo.fences[cv])
    )
    assert refused.code == "conflict"
    assert "not here" in refused.message
