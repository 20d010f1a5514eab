"""Complaints about messages: lost while away, doubled on retry, not seen, gone with a server."""

from functools import partial

import pytest
import trio

from node.client.client import new_key
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Gap, OfferPush
from tests.complaints.desk import Caller, Floor, Seat, together, until

pytestmark = pytest.mark.process

NODES = ("n1", "n2", "n3")


async def _served(floor: Floor, agent: Seat, text: str = "hello") -> tuple[str, Caller]:
    """Return a conversation that `agent` holds, and its visitor."""
    caller = await floor.caller(f"of-{agent.id}", "n1")
    cv = await caller.open(text)
    await until(partial(agent.fences.__contains__, cv))
    return cv, caller


# -- lost


async def test_events_lost_while_disconnected_chatwoot_15723(floor: Floor) -> None:
    """The node that served both is killed while they talk: each goes on elsewhere, no gap."""
    ann = await floor.seat("ann", "n2")
    caller = await floor.caller("visitor", "n2")
    cv = await caller.open("hello")
    await until(partial(ann.fences.__contains__, cv))
    expected = ["hello"]

    async def talk() -> None:
        for number in range(20):
            for person in (caller, ann):
                text = f"{person.id} {number}"
                await person.say(cv, text)
                expected.append(text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await until(lambda: len(expected) > 10)
        await floor.cluster.kill("n2")
    await until(lambda: caller.said(cv) == ann.said(cv) == expected)
    for person in (caller, ann):
        seqs = [event.seq for event in person.events(cv)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert person.pushes(Gap) == []
        assert person.client.jumps == []


async def test_new_chats_not_shown_until_reload_rocketchat_22105(floor: Floor) -> None:
    """An offer made while the agent's socket was broken is there when they are back."""
    ann = await floor.seat("ann", "n3", accepts=False)
    caller = await floor.caller("visitor", "n1")
    await floor.cluster.kill("n3")
    cv = await caller.open("is anybody there?")
    await until(lambda: any(offer.cv == cv for offer in ann.pushes(OfferPush)))
    await ann.accept(ann.offers[-1].oid)
    await until(partial(ann.fences.__contains__, cv))


async def test_message_loss_on_register_again_rocketchat_32069(floor: Floor) -> None:
    """A visitor's page is loaded anew, at another node: all that was said is there, and goes on."""
    ann = await floor.seat("ann", "n1")
    cv, caller = await _served(floor, ann)
    await ann.answer(cv, "what can I do for you?")
    await caller.client.close()
    await ann.answer(cv, "are you there?")
    again = await floor.caller(f"of-{ann.id}", "n3")
    await until(lambda: again.said(cv) == ["hello", "what can I do for you?", "are you there?"])
    await again.say(cv, "yes")
    await until(lambda: ann.said(cv)[-1] == "yes")


async def test_topics_stuck_to_a_dead_node_tinode_28(floor: Floor) -> None:
    """A conversation belongs to no node: opened at one that dies for good, it is served on."""
    caller = await floor.caller("visitor", "n1")
    cv = await caller.open("hello")
    await floor.cluster.kill("n1")
    ann = await floor.seat("ann", "n2")
    await until(partial(ann.fences.__contains__, cv))
    await ann.answer(cv, "here I am")
    await until(lambda: caller.said(cv) == ["hello", "here I am"])


@pytest.mark.slow
async def test_a_broker_restart_breaks_realtime_chatwoot_14703(floor: Floor) -> None:
    """Every node is killed and started again, in turn; the conversation goes on."""
    ann = await floor.seat("ann", "n2")
    cv, caller = await _served(floor, ann)
    expected = ["hello"]
    for name in NODES:
        await floor.cluster.kill(name)
        await caller.say(cv, f"{name} is gone")
        await floor.restart(name)
        await ann.answer(cv, f"{name} is back")
        expected += [f"{name} is gone", f"{name} is back"]
    await until(lambda: caller.said(cv) == ann.said(cv) == expected)


async def test_a_partial_recovery_is_never_called_whole_centrifugo_798(floor: Floor) -> None:
    """A client that claims to have seen more than there is hears of a gap, not of success."""
    ann = await floor.seat("ann", "n1")
    cv, _ = await _served(floor, ann)
    supervisor = await floor.supervisor("n2")
    await supervisor.ask(ops.CvSub(cv=cv, from_=10_000))
    await until(lambda: any(gap.cv == cv and gap.have == 9_999 for gap in supervisor.pushes(Gap)))


async def test_all_are_disconnected_and_stay_away_centrifugo_56(floor: Floor) -> None:
    """A node that is stopped says so, and where to go; its clients go there, and stay."""
    ann = await floor.seat("ann", "n3")
    callers = [await floor.caller(f"visitor{n}", "n3") for n in range(5)]
    cvs = [await caller.open("hello") for caller in callers]
    await until(lambda: len(ann.fences) == len(cvs))
    before = {person: person.client.statistics().attempts for person in (ann, *callers)}
    await floor.cluster.process("n3").stop(timeout_s=10)
    for caller, cv in zip(callers, cvs, strict=True):
        await ann.answer(cv, "we go on")
        await caller.hears(cv, "we go on")
    for person, attempts in before.items():
        byes = person.pushes(Bye)
        assert len(byes) == 1, f"{person.id}: {byes}"
        bye = byes[0]
        assert (bye.resume, len(bye.nodes) >= 2) == (True, True)
        assert person.client.statistics().attempts <= attempts + 2  # no loop


# -- doubled


async def test_duplicate_conversations_papercups_83(floor: Floor) -> None:
    """The page sends its first request three times, to three nodes: one conversation."""
    callers = [await floor.caller("visitor", at, pinned=True) for at in NODES]
    key = new_key()
    opened = await together(*(partial(one.open, "hello", key=key) for one in callers))
    assert len(set(map(str, opened))) == 1
    first, second = [await one.history(str(opened[0])) for one in callers[:2]]
    known = min(len(first), len(second))  # it may be routed between the two questions
    assert first[:known] == second[:known] != []


async def test_a_retry_doubles_a_message_chatwoot_15743(floor: Floor) -> None:
    """The node dies before it answers; the retry at another one says the message once."""
    caller = await floor.caller("visitor", "n3")
    cv = await caller.open("hello")

    async def send(number: int) -> None:
        await caller.say(cv, f"message {number}", key=f"key-{cv}-{number}")

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(send, number)
        await floor.cluster.kill("n3")
    for number in range(60):  # and once more, as a page does that was not told of the first
        await caller.say(cv, f"message {number}", key=f"key-{cv}-{number}")
    said = [event["data"]["body"] for event in await caller.history(cv) if event["type"] == "msg"]
    assert sorted(said) == sorted(["hello", *(f"message {number}" for number in range(60))])


async def test_837_copies_of_one_message_evolution_api_2675(floor: Floor) -> None:
    """A webhook gone wild sends one message 837 times, to all nodes: it is there once."""
    pages = [await floor.caller("visitor", at, pinned=True) for at in NODES]
    cv = await pages[0].open("hello")
    key = new_key()
    limiter = trio.CapacityLimiter(30)

    async def send(number: int) -> int:
        async with limiter:
            return int((await pages[number % 3].say(cv, "buy now", key=key))["seq"])

    seqs = await together(*(partial(send, number) for number in range(837)))
    assert len(set(map(str, seqs))) == 1
    history = await pages[1].history(cv)
    assert [event["data"]["body"] for event in history if event["type"] == "msg"] == [
        "hello",
        "buy now",
    ]


# -- not seen


async def test_an_agent_answers_without_seeing_a_colleagues_answer_chatwoot_14934(
    floor: Floor,
) -> None:
    """The answer is refused with what was missed; once that was seen it is taken."""
    ann = await floor.seat("ann", "n1")
    cv, caller = await _served(floor, ann)
    seen = max(event.seq for event in ann.events(cv))
    boss = await floor.supervisor("n3")
    answered = await boss.say(cv, "we pay it back")
    blind = ops.MsgSend(
        cv=cv, key=new_key(), body="we cannot pay", fence=ann.fences[cv], after=seen
    )
    refused = await ann.refusal(blind)
    assert refused.code == "stale"
    assert [event["data"]["body"] for event in refused.data["events"]] == ["we pay it back"]
    await ann.answer(cv, "as my colleague said", after=answered["seq"])
    await until(lambda: caller.said(cv) == ["hello", "we pay it back", "as my colleague said"])
