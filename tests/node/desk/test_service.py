"""How visitors were served, as clients see it: service levels, ratings, what nobody answered."""

import time

from cluster.state import commands as c
from cluster.state.commands import SYSTEM
from cluster.state.route import Queue, Route, ServiceLevel, Step
from node.edge.http import Request, Response
from node.protocol import catalogue as ops
from node.protocol.catalogue import Ev, QueueAlertPush
from tests.node.desk.office import Client, Office, office, settle

GOLD = ServiceLevel(first_response_ms=60_000, resolution_ms=600_000)


def under_level(desk: Office, cv: str) -> None:
    queues = {"general": Queue()}
    desk.cluster.do(c.ApplyRules(SYSTEM, {"main.toml": ""}, queues, slas={"gold": GOLD}))
    route = Route((Step("general"),), "r", 1, sla="gold")
    desk.cluster.do(c.RouteConversation(cv, route))


async def closed(desk: Office, visitor: Client, agent: Client) -> str:
    """Let an agent answer and close; return the conversation."""
    cv = await desk.opened(visitor)
    fence = await desk.assigned(cv, agent)
    await agent.ok(ops.MsgSend(cv=cv, key=desk.key(), body="done", fence=fence))
    await agent.ok(ops.CvClose(cv=cv, key=desk.key()))
    return cv


# -- service levels


async def test_staff_see_a_breach_and_visitors_see_that_something_happened() -> None:
    async with office() as desk:
        visitor, supervisor = await desk.visitor(), await desk.staff("supervisor")
        cv = await desk.opened(visitor)
        under_level(desk, cv)
        await supervisor.ok(ops.CvSub(cv=cv))
        desk.cluster.now_ms += 61_000
        desk.cluster.do(c.SlaDue(cv))
        await settle()
        event = supervisor.events(cv)[-1]
        assert event.type == "sla"
        assert event.data["level"] == "breach"
        assert visitor.events(cv)[-1].type == "hidden"
        assert visitor.events(cv)[-1].data == {}
        sla = (await supervisor.ok(ops.CvGet(cv=cv)))["conv"]["sla"]
        assert (sla["name"], sla["breaches"]) == ("gold", {"first_response": 1})
        told = {clock["name"]: clock["told"] for clock in sla["clocks"]}
        assert told == {"first_response": "breach", "resolution": ""}
        assert "sla" not in (await visitor.ok(ops.CvGet(cv=cv)))["conv"]


async def test_a_conversation_without_a_level_shows_none() -> None:
    async with office() as desk:
        visitor, supervisor = await desk.visitor(), await desk.staff("supervisor")
        cv = await desk.opened(visitor)
        assert "sla" not in (await supervisor.ok(ops.CvGet(cv=cv)))["conv"]


# -- ratings


async def test_the_close_asks_for_a_rating_and_it_is_summed_up() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        supervisor = await desk.staff("supervisor", "n2")
        desk.cluster.now_ms = int(time.time() * 1000)  # the days are counted back from now
        cv = await closed(desk, visitor, agent)
        assert visitor.heard(Ev)[-1].data["rate_until"] > desk.cluster.now_ms
        await visitor.ok(ops.CvRate(cv=cv, key="r1", score=2))
        await visitor.ok(ops.CvRate(cv=cv, key="r2", score=5, text="sorry, I meant five"))
        conv = (await visitor.ok(ops.CvGet(cv=cv)))["conv"]
        assert conv["rating"]["score"] == 5
        other = await closed(desk, visitor, agent)
        await visitor.ok(ops.CvRate(cv=other, key="r3", score=4))
        found = await supervisor.ok(ops.CvRatings(rows="owner"))
        assert (found["count"], found["average"], found["scores"]) == (2, 4.5, [0, 0, 0, 1, 1])
        (row,) = found["rows"]
        assert (row["of"], row["count"]) == ("a1", 2)
        assert (await supervisor.ok(ops.CvRatings(queue="vip")))["count"] == 0
        (day,) = (await supervisor.ok(ops.CvRatings(rows="day", days=1)))["rows"]
        assert day["of"] == found["until"]


async def test_ratings_that_are_none_and_days_that_are_not_kept_are_refused() -> None:
    async with office() as desk:
        visitor, stranger = await desk.visitor(), await desk.visitor("v2")
        supervisor = await desk.staff("supervisor")
        cv = await desk.opened(visitor)
        for score in (0, 6):
            assert (
                await visitor.err(ops.CvRate(cv=cv, key="k", score=score))
            ).code == "bad_request"
        long = ops.CvRate(cv=cv, key="k", score=3, text="x" * 3_000)
        assert (await visitor.err(long)).code == "too_large"
        error = await stranger.err(ops.CvRate(cv=cv, key="k", score=3))
        assert (error.code, error.data["rule"]) == ("forbidden", "conversation.not_yours")
        for days in (0, 91):
            assert (await supervisor.err(ops.CvRatings(days=days))).code == "bad_request"


# -- what nobody answered


async def test_missed_conversations_are_listed_in_pages_the_newest_first() -> None:
    async with office() as desk:
        visitor, supervisor = await desk.visitor(), await desk.staff("supervisor")
        cvs = []
        for number in range(3):
            cvs.append(await desk.opened(visitor, f"help {number}"))
            await visitor.ok(ops.CvClose(cv=cvs[-1], key=desk.key()))
        page = await supervisor.ok(ops.CvMissed(limit=2))
        assert [row["cv"] for row in page["items"]] == cvs[:0:-1]
        assert (page["more"], page["total"]) == (True, 3)
        assert (page["items"][0]["why"], page["items"][0]["preview"]) == ("abandoned", "help 2")
        rest = await supervisor.ok(ops.CvMissed(limit=2, after=page["next"]))
        assert [row["cv"] for row in rest["items"]] == cvs[:1]
        assert not rest["more"]
        assert (await supervisor.ok(ops.CvMissed(why="overflow")))["items"] == []
        assert (await supervisor.err(ops.CvMissed(after="nonsense"))).code == "bad_request"
        conv = (await supervisor.ok(ops.CvGet(cv=cvs[0])))["conv"]
        assert conv["missed"] == "abandoned"


async def test_a_page_of_missed_conversations_fits_into_a_frame() -> None:
    async with office() as desk:
        boss = await desk.staff("supervisor")
        robot = await desk.staff("service")
        opened = [
            str(
                (await robot.ok(ops.CvOpen(key=f"o{n}", attrs={"callback_contact": "x" * 4_000})))[
                    "cv"
                ]
            )
            for n in range(40)
        ]
        found, after, more = [], "", True
        while more:
            boss.forget()
            page = await boss.ok(ops.CvMissed(list="callback", after=after))
            assert len(boss.wire.frames[-1]) < 80_000
            found += [row["cv"] for row in page["items"]]
            after, more = page["next"], page["more"]
        assert found == opened
        for forged in ("1.x", "9" * 17 + "." + opened[0], "x" * 5_000, f"1.{opened[0]} "):
            refused = await boss.err(ops.CvMissed(after=forged))
            assert (refused.code, len(refused.msg) < 200) == ("bad_request", True)


async def test_who_writes_while_nobody_is_there_is_told_listed_and_answered_later() -> None:
    async with office() as desk:
        visitor, supervisor = await desk.visitor(), await desk.staff("supervisor")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        await settle()
        assert visitor.events(cv)[-1].data == {"queue": "general", "offline": True}
        (row,) = (await supervisor.ok(ops.CvMissed(list="offline")))["items"]
        assert (row["cv"], row["queue"]) == (cv, "general")
        agent = await desk.agent()
        fence = await desk.assigned(cv, agent)
        await agent.ok(ops.MsgSend(cv=cv, key="m", body="Good morning", fence=fence))
        assert (await supervisor.ok(ops.CvMissed(list="offline")))["items"] == []


async def test_a_wish_to_be_called_is_listed_with_its_times() -> None:
    async with office() as desk:
        visitor, supervisor = await desk.visitor(), await desk.staff("supervisor")
        attrs = {
            "callback_contact": "+49 30 1",
            "callback_from": "14:00",
            "callback_until": "16:00",
        }
        await visitor.ok(ops.CvOpen(key="o", attrs=attrs))
        (row,) = (await supervisor.ok(ops.CvMissed(list="callback")))["items"]
        assert row["callback"] == {"contact": "+49 30 1", "earliest": "14:00", "latest": "16:00"}


# -- alerts


async def test_supervisors_are_told_that_nobody_is_there_once_also_who_comes_later() -> None:
    async with office() as desk:
        first, agent = await desk.staff("supervisor"), await desk.agent("a1", "n2")
        await agent.ok(ops.StatusSet(status="offline"))
        desk.cluster.do(c.QueueAlert("general"))
        await settle()
        (alert,) = first.heard(QueueAlertPush)
        assert (alert.queue, alert.staffed) == ("general", False)
        later = await desk.staff("operator", "n2")
        assert [one.staffed for one in later.heard(QueueAlertPush)] == [False]
        assert agent.heard(QueueAlertPush) == []
        await agent.ok(ops.StatusSet(status="online"))
        await settle()
        for client in (first, later):
            assert [one.staffed for one in client.heard(QueueAlertPush)] == [False, True]
        assert (await desk.staff("operator")).heard(QueueAlertPush) == []


async def test_metrics_say_how_visitors_were_served_at_every_node() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        under_level(desk, cv)
        desk.cluster.now_ms += 61_000
        desk.cluster.do(c.SlaDue(cv))
        await visitor.ok(ops.CvRate(cv=cv, key="r", score=1))
        await visitor.ok(ops.CvClose(cv=cv, key="c"))
        await agent.ok(ops.StatusSet(status="offline"))
        desk.cluster.do(c.QueueAlert("general"))
        for one in desk.desks.values():
            answer = one.pages.answer(Request("GET", "/metrics", "", (), b"", "x:1"))
            assert isinstance(answer, Response)
            page = answer.body.decode()
            for line in (
                'unidesk_sla_breaches_total{clock="first_response"} 1.0',
                'unidesk_sla_warnings_total{clock="resolution"} 0.0',
                'unidesk_ratings_total{score="1"} 1.0',
                'unidesk_missed_total{why="abandoned"} 1.0',
                'unidesk_unserved{list="missed"} 1.0',
                "unidesk_queue_alerts_total 1.0",
                'unidesk_queue_unstaffed{queue="general"} 1.0',
            ):
                assert line in page, line
