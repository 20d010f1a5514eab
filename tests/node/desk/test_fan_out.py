"""Telling those who follow: once encoded, to everybody, each in their own view."""

import itertools

from cluster.state import commands
from cluster.state.route import Queue
from node.protocol import catalogue as ops
from node.protocol.catalogue import Caught, Ev, Inbox, RulesPush
from tests.node.desk.office import JSON, MSGPACK, office


async def test_an_event_is_encoded_once_for_each_encoding_however_many_hear_it() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        crowd = []
        for number in range(20):
            boss = desk.client("n1", MSGPACK if number % 2 else JSON)
            await boss.hello("supervisor", f"s{number}")
            await boss.ok(ops.CvSub(cv=cv))
            crowd.append(boss)
        before = desk.desks["n1"].statistics().encoded_total
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="x"))
        assert desk.desks["n1"].statistics().encoded_total == before + 2
        assert all(boss.seqs(cv)[-1] == 3 for boss in crowd)
        frames = {boss.wire.frames[-1] for boss in crowd if boss.wire.subprotocol == JSON}
        assert len(frames) == 1


async def test_a_hidden_event_is_encoded_once_for_each_audience() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        tab = await desk.visitor()
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        before = desk.desks["n1"].statistics().encoded_total
        await agent.ok(ops.MsgSend(cv=cv, key="n", body="rude", vis="agents", fence=fence))
        assert desk.desks["n1"].statistics().encoded_total == before + 2
        assert visitor.wire.frames[-1] == tab.wire.frames[-1]


async def test_a_note_among_agents_reaches_visitors_as_a_number_only() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent(node="n2")
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        note = ops.MsgSend(cv=cv, key="n", body="he is rude", vis="agents", fence=fence)
        seq = (await agent.ok(note))["seq"]
        seen, full = visitor.events(cv)[-1], agent.events(cv)[-1]
        assert seen == Ev(cv=cv, seq=seq, type="hidden", ts=seen.ts)
        assert full.data["body"] == "he is rude"
        assert not any(b"rude" in frame for frame in visitor.wire.frames)
        page = await visitor.ok(ops.CvHistory(cv=cv))
        assert not any(b"rude" in frame for frame in visitor.wire.frames)
        assert [event["type"] for event in page["events"]][-1] == "hidden"
        again = await desk.visitor(node="n2")
        assert again.events(cv)[-1].type == "hidden"


async def test_all_devices_of_a_visitor_follow_what_one_of_them_opened() -> None:
    async with office() as desk:
        phone, laptop = await desk.visitor(), await desk.visitor(node="n2")
        stranger = await desk.visitor("v2")
        cv = await desk.opened(phone)
        assert laptop.seqs(cv) == phone.seqs(cv) == [1, 2]
        assert stranger.heard(Ev) == []


async def test_an_agents_inbox_is_told_when_it_changes_and_only_then() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        told = [(inbox.status, inbox.load) for inbox in agent.heard(Inbox)]
        assert told[-1] == ("online", 0)
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        await agent.ok(ops.StatusSet(status="online"))
        told = [(inbox.status, inbox.load) for inbox in agent.heard(Inbox)]
        assert told[-1] == ("online", 1)
        assert all(one != other for one, other in itertools.pairwise(told))


async def test_new_rules_are_told_to_those_who_are_responsible() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        boss, operator = await desk.staff("supervisor"), await desk.staff("operator", "n2")
        by = commands.By("operator", "o1", "Olga")
        desk.cluster.do(commands.ApplyRules(by, {"main.toml": ""}, {"general": Queue(20_000)}))
        for client in (boss, operator):
            assert [(push.rev, push.by) for push in client.heard(RulesPush)] == [(1, "Olga")]
        for client in (visitor, agent):
            assert client.heard(RulesPush) == []


async def test_whoever_left_is_told_nothing_and_remembered_nowhere() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        agent.leave()
        visitor.leave()
        heard = len(visitor.wire.frames)
        elsewhere = await desk.visitor(node="n2")
        await elsewhere.ok(ops.MsgSend(cv=cv, key="m", body="x"))
        assert len(visitor.wire.frames) == heard
        statistics = desk.desks["n1"].statistics()
        assert (statistics.connections, statistics.subscriptions) == (0, 0)
        assert statistics.sessions == {}


async def test_a_forgotten_conversation_is_followed_by_nobody() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        await visitor.ok(ops.CvClose(cv=cv, key="c"))
        desk.cluster.pass_ms(30 * 24 * 3600 * 1000)
        desk.cluster.do(commands.PurgeConversations((cv,)))
        assert cv not in desk.port().state.conversations
        assert desk.desks["n1"].statistics().subscriptions == 0
        assert (await visitor.err(ops.CvGet(cv=cv))).code == "not_found"


async def test_an_assignment_brings_the_whole_conversation_to_the_agent() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent(node="n2")
        cv = await desk.opened(visitor, "first words")
        await desk.assigned(cv, agent)
        assert agent.seqs(cv) == visitor.seqs(cv)
        assert agent.heard(Caught)[-1].cv == cv


async def test_visitors_learn_who_serves_them_and_not_how_that_was_decided() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        tried = await desk.agent("a2")
        cv = await desk.opened(visitor)
        desk.routed(cv, "vip")
        await tried.ok(ops.OfferDecline(oid=desk.offered(cv, "a2")))
        await desk.assigned(cv, agent)
        seen = {event.type: event.data for event in visitor.events(cv)}
        assert seen["queued"] == {"queue": "vip"}
        assert seen["offered"] == {}
        assert seen["assigned"] == {"agent": "a1", "name": "Ann"}
        full = {event.type: event.data for event in agent.events(cv)}
        assert full["queued"]["reason"] == "declined"
        assert full["assigned"]["fence"] == 1
        again = await desk.visitor(node="n2")
        assert [event.data for event in again.events(cv)] == [
            event.data for event in visitor.events(cv)
        ]


async def test_what_was_taken_and_given_away_in_one_entry_is_not_followed() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        desk.routed(cv)
        oid = desk.offered(cv)
        by = commands.By("agent", "a1", "Ann")
        desk.cluster.do_together(
            commands.AcceptOffer(oid, by, "accept"),
            commands.TransferConversation(cv, by, "transfer", to_queue="vip"),
            commands.SendMessage(cv, "m", commands.By("visitor", "v1"), "k", "text", "not for a1"),
        )
        assert agent.events(cv) == []
        assert visitor.seqs(cv) == list(range(1, desk.port().state.conversations[cv].seq + 1))


async def test_a_service_and_a_visitor_of_one_id_are_two() -> None:
    async with office() as desk:
        service = desk.client()
        await service.hello("service", "x1")
        visitor = await desk.visitor("x1")
        cv = await desk.opened(service)
        assert service.seqs(cv) == [1, 2]
        assert visitor.heard(Ev) == []
        assert (await visitor.err(ops.CvGet(cv=cv))).code == "forbidden"
        back, again = desk.client("n2"), await desk.visitor("x1", "n2")
        await back.hello("service", "x1")
        assert back.seqs(cv) == [1, 2]
        assert again.heard(Ev) == []
