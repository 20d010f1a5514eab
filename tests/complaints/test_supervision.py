"""Complaints about seeing what goes on: who views, who listens, whether anybody is there at all."""

from functools import partial

import pytest
import trio

from node.client.client import new_key
from node.protocol import catalogue as ops
from node.protocol.catalogue import QueueAlertPush, ViewersPush
from tests.complaints.desk import Floor, Person, until

pytestmark = pytest.mark.process


async def test_who_is_viewing_the_same_chat_chatwoot_11062(floor: Floor) -> None:
    """The owner sees at once that a colleague has the conversation open, at another node."""
    ann = await floor.seat("ann", "n1")
    bo = await floor.seat("bo", "n2", online=False)
    await bo.set("transfer_only")
    caller = await floor.caller("visitor", "n3")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    await ann.ask(ops.CvInvite(cv=cv, agent=bo.id))
    await until(lambda: bo.types(cv) and bo.id in _viewers(ann, cv))
    await bo.client.close()
    await until(lambda: bo.id not in _viewers(ann, cv))
    assert caller.pushes(ViewersPush) == []


def _viewers(person: Person, cv: str) -> list[str]:
    told = [push for push in person.pushes(ViewersPush) if push.cv == cv]
    return [viewer.id for viewer in told[-1].list_] if told else []


async def test_a_silent_view_is_seen_by_those_it_watches_chatwoot_20(floor: Floor) -> None:
    """A supervisor who monitors sees everything and is seen by nobody; it is on record."""
    ann = await floor.seat("ann", "n1")
    caller = await floor.caller("visitor", "n2")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    boss = await floor.supervisor("n3")
    await boss.ask(ops.SupJoin(cv=cv, mode="monitor"))
    await ann.answer(cv, "what can I do for you?")
    await boss.hears(cv, "what can I do for you?")
    await trio.sleep(0.5)  # for what must not come
    for person in (ann, caller):
        assert "joined" not in person.types(cv)
    assert boss.id not in _viewers(ann, cv)
    operator = Person(floor, "operator", "op", "n1")
    floor.nursery.start_soon(operator.run)
    lines = (await operator.ask(ops.AuditList(limit=500)))["lines"]
    assert any(line["by"][1] == boss.id and line["detail"].get("cv") == cv for line in lines)


async def test_a_whisper_reaches_the_visitor_chatwoot_20(floor: Floor) -> None:
    """What a supervisor whispers the agent reads, and the visitor never."""
    ann = await floor.seat("ann", "n1")
    caller = await floor.caller("visitor", "n2")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    boss = await floor.supervisor("n3")
    await boss.ask(ops.SupJoin(cv=cv, mode="whisper"))
    whisper = ops.MsgSend(cv=cv, key=new_key(), body="offer a refund", vis="agents")
    await boss.ask(whisper)
    await until(lambda: "whisper" in ann.types(cv))
    await ann.answer(cv, "you get your money back")
    await caller.hears(cv, "you get your money back")
    assert "hidden" in caller.types(cv)
    assert "offer a refund" not in str(caller.told)
    assert "offer a refund" not in str(await caller.history(cv))


async def test_nobody_says_that_all_agents_are_offline_rocketchat_22183(floor: Floor) -> None:
    """The last agent of a queue goes: supervisors are told once, and again when somebody comes."""
    boss = await floor.supervisor("n3")
    ann = await floor.seat("ann", "n1")
    bo = await floor.seat("bo", "n2")
    await ann.set("offline")
    await trio.sleep(0.5)  # for what must not come
    assert _alerts(floor, boss) == []
    await bo.set("offline")
    await until(lambda: _alerts(floor, boss) == [False])
    await ann.set("online")
    await until(lambda: _alerts(floor, boss) == [False, True])


def _alerts(floor: Floor, person: Person) -> list[bool]:
    told = person.pushes(QueueAlertPush)
    return [push.staffed for push in told if push.queue == floor.queue]
