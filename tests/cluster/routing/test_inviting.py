"""What the leader proposes for warm transfers to a queue, and for statuses that end."""

from cluster.routing.decide import decide
from cluster.routing.ruleset import compile_rules
from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.route import Queue
from tests.cluster.routing.dispatching import act, dispatcher, kinds, planned
from tests.cluster.state.desk import BOB, LI, SUE, Desk

KIM = By("agent", "kim")
RULES = """
[ruleset]
version = 1
[queue.desk]
[queue.night]
priority = 7
[rule.always]
when = 'true'
priority = 10
route = "desk"
[rule.night]
when = 'lang == "never"'
route = "night"
[fallback]
route = "desk"
"""


def warm(desk: Desk, queue: str = "general") -> None:
    desk.online(BOB)
    desk.assigned("cv1", BOB)
    desk.done(
        c.TransferConversation("cv1", BOB, "w", to_queue=queue, warm=True, keep=True, iid="i1")
    )


def test_of_the_queue_the_longest_idle_is_asked_and_never_the_owner() -> None:
    desk, one = Desk(), dispatcher()
    desk.online(KIM)
    desk.online(LI)
    warm(desk)
    assert act(desk, one) == [c.AskColleague("i1", "kim", 20_000)]
    assert planned(desk, one) == []
    desk.done(c.DeclineOffer("i1", KIM))
    assert act(desk, one) == [c.AskColleague("i1", "li", 20_000)]
    desk.done(c.AcceptOffer("i1", LI, "a"))
    assert desk.conversation().owner == "li"
    assert [one.agent for one in desk.conversation().members] == ["bob"]


def test_one_without_the_queues_skills_is_not_asked() -> None:
    desk, one = Desk(), dispatcher()
    desk.done(c.ApplyRules(By("operator", "o"), {"a": ""}, {"vip": Queue(skills={"gold": 1})}))
    desk.online(LI)
    warm(desk, "vip")
    assert planned(desk, one) == []


def test_what_nobody_answers_ends_by_the_leader_and_so_does_a_status() -> None:
    desk, one = Desk(), dispatcher()
    warm(desk)
    desk.online(LI)
    desk.done(c.SetStatus(LI, "li", "away", "lunch", desk.now_ms + 60_000))
    desk.wait(60_001)
    assert kinds(act(desk, one)) == ["EndStatus"]
    desk.wait(1_000)
    assert kinds(act(desk, one)) == ["AskColleague"]
    desk.wait(20_001)
    assert kinds(act(desk, one)) == ["ExpireOffer"]
    desk.wait(120_000)
    assert kinds(act(desk, one)) == ["ExpireOffer"]
    assert desk.state.invitations == {}
    assert desk.conversation().owner == "bob"


def test_what_is_reopened_waits_for_its_last_agent_however_old_it_is() -> None:
    desk, one = Desk(), dispatcher()
    desk.online(LI)
    desk.online(BOB)
    desk.assigned("cv1", BOB)
    desk.wait(3_600_000)
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    desk.done(c.ReopenConversation("cv1", SUE, "r"))
    (offer,) = act(desk, one)
    assert isinstance(offer, c.MakeOffer)
    assert offer.agent == "bob"


def test_a_rule_that_was_named_decides_whether_it_matches_or_not() -> None:
    ruleset = compile_rules({"main.toml": RULES})
    desk = Desk()
    desk.waiting()
    assert decide(ruleset, desk.conversation(), desk.now_ms).rule == "always"
    desk.done(c.TransferConversation("cv1", SUE, "t", to_rule="night"))
    decision = decide(ruleset, desk.conversation(), desk.now_ms)
    assert (decision.rule, decision.queue, decision.priority) == ("night", "night", 7)
    desk.done(c.TransferConversation("cv1", SUE, "t2", to_rule="gone"))
    assert decide(ruleset, desk.conversation(), desk.now_ms).rule == "always"
