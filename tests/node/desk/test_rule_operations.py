"""What operators do with rules, and what everybody may ask about decisions."""

from typing import Any

import pytest
import trio
import trio.lowlevel
from msgspec.structs import replace

from cluster.routing.decide import decide
from cluster.routing.recorded import erred_in
from cluster.routing.ruleset import compile_rules
from cluster.state.commands import SYSTEM, RouteConversation
from cluster.state.events import Event
from cluster.state.routings import Routing
from node.desk.rule_views import happened_view
from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ok
from tests.node.desk.office import Client, Office, office
from tests.node.desk.test_rules import GOOD, patiently

DEARER = GOOD.replace("5000", "8000")


async def asked(client: Client, request: ops.Request) -> dict[str, Any]:
    reply = await patiently(client, request)
    assert isinstance(reply, Ok), reply
    return reply.r


async def refused(client: Client, request: ops.Request) -> Err:
    reply = await patiently(client, request)
    assert isinstance(reply, Err), reply
    return reply


async def opened(desk: Office, visitor: Client, **tags: Any) -> str:
    """Open a conversation and route it."""
    reply = await visitor.ok(ops.CvOpen(key=desk.key(), channel="web", tags=tags))
    decide_as_leader(desk, reply["cv"])
    return str(reply["cv"])


def decide_as_leader(desk: Office, cv: str) -> None:
    """Route a conversation by the rules in force."""
    state = desk.port().state
    record = state.rules
    assert record is not None
    rules = compile_rules(record.files)
    decision = decide(rules, state.conversations[cv], desk.cluster.now_ms)
    route = replace(decision.route, rev=record.rev)
    desk.cluster.do(RouteConversation(cv, route, erred=erred_in(decision)))


async def planned(client: Client, files: dict[str, str], **more: Any) -> dict[str, Any]:
    """A whole plan, part by part."""
    total: dict[str, Any] = {"looked": 0, "moved": 0, "moves": []}
    after = until = 0
    while True:
        part = await asked(client, ops.RulesPlan(files=files, after=after, until=until, **more))
        for name in total:
            total[name] += part[name]
        after, until = part["next"], part["until"]
        if not part["more"]:
            return part | total


async def test_a_plan_says_exactly_what_would_move() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        visitor = await desk.visitor()
        cvs = [await opened(desk, visitor, arpu=1_000 * number) for number in range(12)]
        await opened(desk, visitor)
        elsewhere = await desk.staff("operator", "n2")
        plan = await planned(elsewhere, {"main.toml": DEARER})
        assert (plan["looked"], plan["moved"], plan["of"]) == (13, 3, 13)
        assert plan["moves"] == [
            {
                "queue": "premium",
                "to": "general",
                "rule": "",
                "was": "vip",
                "count": 3,
                "examples": cvs[6:9],
            }
        ]
        assert plan["changes"] == {
            "added": [], "removed": [], "changed": ["rule.vip"], "moved": [], "more": 0,
        }  # fmt: skip
        assert plan["errs_now"] == plan["errs_then"] == {"vip": 1}
        assert desk.port().state.rules.rev == 1, "nothing changes"  # type: ignore[union-attr]
        newest = await planned(olga, {"main.toml": DEARER}, last=5)
        assert (newest["looked"], newest["moved"]) == (5, 1)


async def test_a_plan_ends_soon_after_its_client_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.desk.operations.planning.PART_S", 3600.0)
    async with office() as desk:
        olga, other = await desk.staff("operator"), await desk.staff("operator")
        state = desk.port().state
        for number in range(1, 10_001):
            state.put_routing(Routing(number, number, f"cv{number}", 1, "", "general"))
        rules = "".join(f"[rule.r{n:03}]\nwhen='tags.t{n} > 1'\nroute='q'\n" for n in range(200))
        olga.ask(ops.RulesPlan(files={"main.toml": rules}))
        while not state.applied_index or not olga.session.busy:
            await trio.lowlevel.checkpoint()
        await trio.sleep(0.2)
        olga.leave()
        with trio.fail_after(5):  # all of it takes some ten seconds
            part = await asked(other, ops.RulesPlan(files={"main.toml": GOOD}, last=1))
        assert part["looked"] == 1


async def test_a_plan_is_refused_with_every_mistake() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        bad = GOOD.replace('"premium"', '"premum"', 1).replace("tags.arpu", "tagz.arpu")
        error = await refused(olga, ops.RulesPlan(files={"main.toml": bad}))
        assert error.code == "bad_request"
        assert "did you mean 'tags'?" in error.msg
        assert "    ^" in error.msg


async def test_the_history_says_who_changed_what_and_a_rollback_is_a_new_revision() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        for text in (GOOD, DEARER):
            await asked(olga, ops.RulesApply(files={"main.toml": text}))
        reply = await asked(olga, ops.RulesRollback(rev=1, rev_expected=2))
        assert reply["rev"] == 3
        for node in ("n1", "n2"):
            record = desk.port(node).state.rules
            assert record is not None
            assert record.files == {"main.toml": GOOD}
        history = await asked(await desk.staff("supervisor"), ops.RulesHistory())
        assert history["rev"] == 3
        third, second, first = history["revisions"]
        assert (third["rev"], third["again"], third["digest"]) == (3, 1, first["digest"])
        assert second["changes"]["changed"] == ["rule.vip"]
        assert first["changes"]["added"] == [
            "fallback",
            "queue.general",
            "queue.premium",
            "rule.vip",
        ]
        assert third["by"][:2] == ["operator", "operator-1"]


async def test_who_waits_is_decided_about_anew_only_when_that_is_asked_for() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        await asked(olga, ops.RulesApply(files={"main.toml": DEARER}, reroute=True))
        await asked(olga, ops.RulesRollback(rev=1))
        await asked(olga, ops.RulesRollback(rev=2, reroute=True))
        records = desk.port("n2").state.rule_sets
        assert [record.reroute for record in records] == [False, True, False, True]


async def test_a_rollback_is_refused_for_what_is_not_kept_or_not_expected() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        error = await refused(olga, ops.RulesRollback(rev=4))
        assert (error.code, error.msg) == (
            "not_found",
            "revision 4 is not kept: no rules were applied yet",
        )
        for number in range(22):
            files = {"main.toml": f"# {number}\n{GOOD}"}
            await asked(olga, ops.RulesApply(files=files))
        error = await refused(olga, ops.RulesRollback(rev=2))
        assert error.msg == "revision 2 is not kept: there are 3 to 22"
        error = await refused(olga, ops.RulesRollback(rev=3, rev_expected=20))
        assert error.code == "conflict"
        assert (await asked(olga, ops.RulesGet(rev=3)))["files"] == {"main.toml": f"# 2\n{GOOD}"}
        oldest = (await asked(olga, ops.RulesHistory()))["revisions"][-1]
        assert oldest["changes"] is None


async def test_a_contact_is_simulated_with_the_whole_trace() -> None:
    async with office() as desk:
        sue = await desk.staff("supervisor")
        contact = ops.Contact(tags={"arpu": 6200})
        found = await asked(sue, ops.RulesSimulate(contact=contact, files={"main.toml": GOOD}))
        (one,) = found["decisions"]
        assert (one["queue"], one["rule"], found["rev"]) == ("premium", "vip", 0)
        (rule,) = one["rules"]
        assert rule["when"] == "tags.arpu > 5000"
        assert [(part["depth"], part["says"]) for part in rule["parts"]] == [
            (0, "true"),
            (1, "6200"),
        ]
        deep: Any = {"a": {"b": 1}}
        error = await refused(sue, ops.RulesSimulate(contact=ops.Contact(tags=deep)))
        assert error.code in ("bad_request", "too_large")
        error = await refused(sue, ops.RulesSimulate())
        assert error.msg == "name one of contact, cv and since"


async def test_a_contact_is_in_no_canarys_share() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        rules = GOOD.replace("route =", 'mode = "canary:99"\nroute =', 1)
        contact = ops.Contact(tags={"arpu": 9_000})
        request = ops.RulesSimulate(contact=contact, files={"main.toml": rules})
        (one,) = (await asked(olga, request))["decisions"]
        assert one["queue"] == "general"
        assert (one["rules"][0]["mode"], one["rules"][0]["says"]) == ("canary:99", "canary out")


async def test_what_came_is_simulated_newest_first_in_pages() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        visitor = await desk.visitor()
        cvs = [await opened(desk, visitor, arpu=9_000) for _ in range(3)]
        found = await asked(olga, ops.RulesSimulate(since=1))
        assert [one["cv"] for one in found["decisions"]] == cvs[::-1]
        assert not found["more"]
        rest = await asked(olga, ops.RulesSimulate(since=1, before=2))
        assert [one["cv"] for one in rest["decisions"]] == cvs[:1]
        (one,) = (await asked(olga, ops.RulesSimulate(cv=cvs[0])))["decisions"]
        assert one["rules"][0]["says"] == "matched"


async def test_an_agent_is_told_why_a_conversation_is_theirs() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        visitor = await desk.visitor()
        cv = await opened(desk, visitor, arpu=6_200, vip=True)
        agent, other = await desk.agent("a1"), await desk.agent("a2")
        await desk.assigned(cv, agent)
        await asked(olga, ops.RulesApply(files={"main.toml": DEARER}))
        found = await asked(agent, ops.Why(cv=cv))
        (reason,) = found["reasons"]
        assert reason["decided"]["rule"] == "vip"
        assert reason["values"]["tags"] == {"arpu": 6_200, "vip": True}
        assert (reason["values_of"], reason["kept"]) == ("then", True)
        assert reason["decided"]["rules"][0]["when"] == "tags.arpu > 5000", "by the rules of then"
        assert [one["type"] for one in reason["happened"]] == ["queued", "offered", "assigned"]
        sue = await desk.staff("supervisor")
        assert (await asked(sue, ops.Why(cv=cv)))["reasons"] == found["reasons"]
        looked = desk.port().state.audit[-1]
        assert (looked.by.kind, looked.detail["cv"]) == ("supervisor", cv), "it shows their values"
        error = await refused(other, ops.Why(cv=cv))
        assert (error.code, error.data) == ("forbidden", {"rule": "conversation.not_yours"})


async def test_each_decision_of_a_conversation_is_explained_or_the_one_at_an_event() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        visitor = await desk.visitor()
        cv = await opened(desk, visitor, arpu=6_200)
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="hello?"))
        await asked(olga, ops.RulesApply(files={"main.toml": DEARER}))
        decide_as_leader(desk, cv)
        reasons = (await asked(olga, ops.Why(cv=cv)))["reasons"]
        assert [one["decided"]["queue"] for one in reasons] == ["premium", "general"]
        assert [one["decided"]["rev"] for one in reasons] == [1, 2]
        seq = reasons[1]["happened"][0]["seq"]
        assert (await asked(olga, ops.Why(cv=cv, at=seq - 1)))["reasons"] == reasons[:1]
        assert (await asked(olga, ops.Why(cv=cv, at=seq)))["reasons"] == reasons[1:]
        assert (await refused(olga, ops.Why(cv=cv, at=seq + 9))).code == "not_found"


async def test_rules_that_are_no_longer_kept_are_not_made_up() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        cv = await opened(desk, await desk.visitor(), arpu=6_200)
        for number in range(21):
            await asked(olga, ops.RulesApply(files={"main.toml": f"# {number}\n{GOOD}"}))
        (reason,) = (await asked(olga, ops.Why(cv=cv)))["reasons"]
        assert not reason["kept"]
        assert (reason["decided"]["rule"], reason["decided"]["queue"]) == ("vip", "premium")
        assert reason["decided"]["rules"] == []


async def test_what_each_rule_did_is_counted_and_an_error_is_seen() -> None:
    async with office() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.RulesApply(files={"main.toml": GOOD}))
        visitor = await desk.visitor()
        for arpu in (9_000, 7_000, 100):
            await opened(desk, visitor, arpu=arpu)
        await opened(desk, visitor)
        found = await asked(olga, ops.RulesStats())
        assert (found["routings"], found["undecided"]) == (4, 2)
        assert found["rules"] == [{"rule": "vip", "matched": 2, "erred": 1, "shadow": 0}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"to": {"queue": "people"}}, "queue people"),
        ({"queue": "bot", "priority": 0, "rule": "", "rev": 6}, "queue bot priority 0 rev 6"),
        ({"reason": ""}, ""),
    ],
)
def test_what_happened_says_where_to_and_nothing_empty(data: dict[str, Any], says: str) -> None:
    assert happened_view(Event(1, "transferred", SYSTEM, 0, data=data)).says == says
