"""What agents and visitors see of how conversations are given out."""

from cluster.state import commands as c
from cluster.state.commands import SYSTEM
from cluster.state.route import Overflow, Queue, Route, Step
from node.protocol import catalogue as ops
from node.protocol.catalogue import Inbox, OfferPush
from tests.node.desk.office import Office, office


def rules(desk: Office, **settings: object) -> None:
    queue = Queue(**settings)  # type: ignore[arg-type]
    desk.cluster.do(c.ApplyRules(SYSTEM, {"main.toml": "1"}, {"general": queue}))


async def test_an_agent_helps_themselves_and_follows_what_they_took() -> None:
    async with office() as desk:
        visitor, agent, other = await desk.visitor(), await desk.agent("a1"), await desk.agent("a2")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        result = await agent.ok(ops.CvTake(cv=cv, key="k"))
        assert result["fence"] == 1
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="hello?"))
        assert agent.events(cv)[-1].type == "msg"
        assert (await other.err(ops.CvTake(cv=cv, key="k"))).code == "conflict"
        assert (await other.err(ops.CvTake(cv="x", key="k"))).code == "not_found"


async def test_an_agent_of_an_auto_queue_is_asked_nothing_and_has_it() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        rules(desk, mode="auto")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        desk.offered(cv)
        assert agent.heard(OfferPush) == []
        assert agent.events(cv)[-1].type == "assigned"
        assert agent.heard(Inbox)[-1].load == 1


async def test_an_agent_is_busy_with_a_wrap_up_until_they_say_so() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        rules(desk, wrap_up_ms=30_000)
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        await agent.ok(ops.CvClose(cv=cv, key="c"))
        assert agent.heard(Inbox)[-1].load == 1
        await agent.ok(ops.WrapDone(cv=cv))
        assert agent.heard(Inbox)[-1].load == 0
        assert (await agent.err(ops.WrapDone(cv=cv))).code == "not_found"


async def test_the_visitor_reads_what_an_overflow_says_and_not_why_it_came() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        route = Route((Step("general"),), overflow=Overflow(0, "message", "Leave a message."))
        desk.cluster.do(c.RouteConversation(cv, route))
        desk.cluster.do(c.OverflowConversation(cv))
        event = visitor.events(cv)[-1]
        assert (event.type, event.data) == (
            "overflow",
            {"do": "message", "text": "Leave a message."},
        )


async def test_an_offer_says_which_rule_and_step_or_person_brought_it() -> None:
    async with office() as desk:
        visitor, agent, other = await desk.visitor(), await desk.agent("a1"), await desk.agent("a2")
        cv = await desk.opened(visitor)
        route = Route((Step("vip", for_ms=1_000), Step("general")), rule="vip_user", rev=3)
        desk.cluster.do(c.RouteConversation(cv, route))
        await desk.assigned(cv, agent)
        told = agent.heard(OfferPush)[-1].why
        assert told == {"rule": "vip_user", "rev": 3, "step": 1, "steps": 2}
        await agent.ok(ops.CvTransfer(cv=cv, key="t", to={"agent": "a2"}))
        desk.offered(cv, "a2")
        assert other.heard(OfferPush)[-1].why == {"rule": "vip_user", "rev": 3, "by_hand": True}
