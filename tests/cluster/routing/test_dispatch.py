"""What the leader proposes, from the state and the rules in force."""

from msgspec.structs import replace

from cluster.routing.dispatch import RECHECK_MS, TARGET_WAIT_MS, TARGETS_EVERY_MS
from cluster.state import commands as c
from cluster.state.events import Tail
from cluster.state.limits import CONVERSATION_RETENTION_MS, PURGE_MAX, SESSION_GRACE_MS
from cluster.state.model import Conversation
from cluster.state.route import Choice, Queue, Route, ServiceLevel, Step
from cluster.state.state import State
from tests.cluster.routing.dispatching import ACCEPT_MS, act, dispatcher, kinds, offers, planned
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk, routed


def test_nothing_is_proposed_where_nothing_is_due() -> None:
    desk, one = Desk(), dispatcher()
    assert planned(desk, one) == []
    desk.online()
    assert planned(desk, one) == []


def test_a_new_conversation_is_routed_and_then_offered() -> None:
    desk, one = Desk(), dispatcher()
    desk.online()
    desk.open("cv1")
    assert act(desk, one) == [routed("cv1", "general", 0, "", 0, ())]
    (offer,) = act(desk, one)
    assert isinstance(offer, c.MakeOffer)
    assert (offer.cv, offer.agent, offer.ttl_ms) == ("cv1", "bob", ACCEPT_MS)
    assert offer.choice == Choice(
        desk.now_ms - 1_000, "bob", 0, tie="nobody else fits", passed=(), counts={}
    )
    assert desk.conversation().state == "offered"
    assert act(desk, one) == []


def test_the_rules_in_force_decide_and_their_queue_says_how_long_to_accept() -> None:
    desk, one = Desk(), dispatcher()
    text = "[queue.vip]\naccept = '5s'\n[queue.general]\n[rule.r]\nwhen = 'tags.x == 1'\n"
    desk.done(c.ApplyRules(OPS, {"main.toml": text + "route = 'vip'"}, {"vip": Queue(5_000)}))
    desk.online()
    desk.open("cv1", tags={"x": 1})
    assert act(desk, one) == [routed("cv1", "vip", 0, "r", 1, ())]
    (offer,) = act(desk, one)
    assert isinstance(offer, c.MakeOffer)
    assert offer.ttl_ms == 5_000
    assert one.rules_problem == ""


def test_rules_that_cannot_be_read_leave_the_last_ones_in_force_and_say_so() -> None:
    desk, one = Desk(), dispatcher()
    desk.done(c.ApplyRules(OPS, {"main.toml": "[rule.r]\nroute = 'old'"}, {}))
    desk.open("cv1")
    assert act(desk, one) == [routed("cv1", "old", 0, "r", 1, ())]
    desk.done(c.ApplyRules(OPS, {"main.toml": "[newer]"}, {}))
    desk.open("cv2")
    assert act(desk, one) == [routed("cv2", "old", 0, "r", 1, ())]
    assert one.rules_problem.startswith("revision 2 cannot be read here: main.toml:1: unknown")
    desk.done(c.ApplyRules(OPS, {"main.toml": "[rule.n]\nroute = 'new'"}, {}))
    desk.open("cv3")
    assert act(desk, one) == [routed("cv3", "new", 0, "n", 3, ())]
    assert one.rules_problem == ""


def test_the_built_in_rules_hold_again_in_a_state_without_any() -> None:
    desk, one = Desk(), dispatcher()
    desk.done(c.ApplyRules(OPS, {"main.toml": "[rule.r]\nroute = 'q'"}, {}))
    one.router.follow(desk.state)
    assert [rule.name for rule in one.router.ruleset.rules] == ["r"]
    one.router.follow(State())
    assert one.router.ruleset.rules == ()


def test_offers_sessions_and_closed_conversations_end_in_time() -> None:
    desk, one = Desk(), dispatcher()
    desk.online(BOB)
    desk.online(LI)
    desk.waiting("cv1")
    oid = desk.offered("cv1", BOB)
    deadline_ms = desk.state.offers[oid].deadline_ms
    assert one.plan(desk.state, deadline_ms - 1) == []
    assert one.plan(desk.state, deadline_ms + RECHECK_MS) == [c.ExpireOffer(oid)]

    desk, one = Desk(), dispatcher()
    desk.online()
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    lost_ms = desk.state.sessions["sid-bob"].lost_ms
    assert one.plan(desk.state, lost_ms + SESSION_GRACE_MS - 1) == []
    late_ms = lost_ms + SESSION_GRACE_MS + RECHECK_MS
    assert one.plan(desk.state, late_ms) == [c.ExpireSession("sid-bob")]

    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.done(c.CloseConversation("cv1", SUE, desk.key()))
    closed_ms = desk.conversation().closed_ms
    assert one.plan(desk.state, closed_ms + CONVERSATION_RETENTION_MS - 1) == []
    late_ms = closed_ms + CONVERSATION_RETENTION_MS + RECHECK_MS
    assert one.plan(desk.state, late_ms) == [c.PurgeConversations(("cv1",))]


def test_closed_conversations_are_forgotten_by_the_batch() -> None:
    state = State()
    for number in range(PURGE_MAX + 5):
        cv = f"cv{number:04}"
        closed = Conversation(cv, "ann", "Ann", "web", "zh", "", {}, {}, 0, "closed", closed_ms=1)
        state.put_conversation(closed)
    (purge,) = dispatcher().plan(state, CONVERSATION_RETENTION_MS + 10)
    assert isinstance(purge, c.PurgeConversations)
    assert len(purge.cvs) == PURGE_MAX


# -- order


def test_the_highest_priority_is_offered_first_then_the_oldest_over_all_queues() -> None:
    desk, one = Desk(), dispatcher()
    for cv, queue, priority in [("a", "q1", 0), ("b", "q2", 5), ("c", "q1", 5), ("d", "q3", 0)]:
        desk.open(cv)
        desk.done(routed(cv, queue, priority, "", 0))
    desk.online(BOB, capacity=3)
    assert offers(planned(desk, one)) == [("b", "bob"), ("c", "bob"), ("a", "bob")]


def test_a_conversation_that_comes_back_keeps_its_place() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("old")
    desk.waiting("new")
    desk.online(BOB, capacity=1)
    desk.done(c.DeclineOffer(desk.offered("old", BOB), BOB))
    desk.online(LI, capacity=1)
    assert offers(planned(desk, one)) == [("old", "li"), ("new", "bob")]


def test_those_whom_nobody_can_serve_do_not_hold_up_the_others() -> None:
    desk, one = Desk(), dispatcher()
    for number in range(300):
        desk.waiting(f"x{number:03}", priority=9, skills=("none",))
    desk.waiting("last")
    desk.online()
    assert offers(planned(desk, one)) == [("last", "bob")]


def away_target() -> Desk:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned("cv1", BOB)
    desk.done(c.TransferConversation("cv1", BOB, desk.key(), to_agent="li", note="please"))
    desk.done(c.SetStatus(LI, "li", "away"))
    return desk


def test_a_transfer_is_offered_to_the_agent_it_names_and_to_nobody_else() -> None:
    desk, one = away_target(), dispatcher()
    assert act(desk, one) == []
    desk.done(c.SetStatus(LI, "li", "online"))
    assert offers(act(desk, one)) == [("cv1", "li")]


def test_a_transfer_does_not_wait_forever_for_an_agent_who_is_away() -> None:
    desk, one = away_target(), dispatcher()
    passed_on_ms = next(e.ts for e in desk.conversation().tail if e.type == "transferred")
    assert one.plan(desk.state, passed_on_ms + TARGET_WAIT_MS - 1) == []
    desk.now_ms = passed_on_ms + TARGET_WAIT_MS + TARGETS_EVERY_MS
    assert kinds(act(desk, one)) == ["TransferConversation"]
    assert (desk.conversation().target, desk.conversation().queue) == ("", "general")
    assert offers(act(desk, one)) == [("cv1", "bob")]


def test_a_transfer_whose_event_is_no_longer_kept_waits_from_the_oldest_that_is() -> None:
    desk, one = away_target(), dispatcher()
    for _ in range(3):
        desk.done(desk.say(ANN))
    old = desk.conversation()
    desk.state.put_conversation(replace(old, tail=Tail.of(old.tail[-3:])))
    first_ms = desk.conversation().tail[0].ts
    assert one.plan(desk.state, first_ms + TARGET_WAIT_MS - 1) == []
    late_ms = first_ms + TARGET_WAIT_MS + TARGETS_EVERY_MS
    assert kinds(one.plan(desk.state, late_ms)) == ["TransferConversation"]
    desk.state.put_conversation(replace(old, tail=Tail()))
    late_ms = old.opened_ms + TARGET_WAIT_MS + TARGETS_EVERY_MS
    assert kinds(dispatcher().plan(desk.state, late_ms)) == ["TransferConversation"]


def test_a_transfer_that_is_offered_is_left_alone() -> None:
    desk, one = away_target(), dispatcher()
    desk.done(c.SetStatus(LI, "li", "online"))
    desk.done(c.MakeOffer("o1", "cv1", "li", 3_600_000))
    assert one.plan(desk.state, desk.now_ms + 2 * TARGET_WAIT_MS) == []


# -- service


def test_what_clocks_have_to_tell_is_proposed_when_it_is_due_and_by_the_next_leader_once() -> None:
    desk, one = Desk(), dispatcher()
    levels = {"gold": ServiceLevel(first_response_ms=60_000)}
    desk.done(c.ApplyRules(OPS, {"main.toml": ""}, {"general": Queue()}, slas=levels))
    desk.open("cv1")
    desk.done(c.RouteConversation("cv1", Route((Step("general"),), "r", 1, sla="gold")))
    assert c.SlaDue("cv1") not in planned(desk, one)
    desk.wait(48_000)
    assert planned(desk, one) == [c.SlaDue("cv1")]
    assert planned(desk, one) == [], "it is on its way"
    other = dispatcher()  # the first one died before that came to anything
    assert act(desk, other) == [c.SlaDue("cv1")]
    assert desk.refused(c.SlaDue("cv1")).code == "conflict", "the first one's comes late"
    assert planned(desk, other) == []
    desk.wait(12_000)
    assert act(desk, other) == [c.SlaDue("cv1")]
    assert [event.data["level"] for event in desk.conversation().tail if event.type == "sla"] == [
        "warning",
        "breach",
    ]


NIGHT = """\
[hours.never]
tz = "UTC"
week = {}

[queue.general]
hours = "never"

[queue.vip]

[fallback]
route = "general"
"""


def test_supervisors_are_alerted_of_queues_in_their_hours_alone() -> None:
    desk, one = Desk(), dispatcher()
    queues = {"general": Queue(), "vip": Queue()}
    desk.done(c.ApplyRules(OPS, {"main.toml": NIGHT}, queues))
    desk.online()
    desk.done(c.CloseSession("sid-bob"))
    assert act(desk, one) == [c.QueueAlert("vip")]
    assert planned(desk, one) == []
