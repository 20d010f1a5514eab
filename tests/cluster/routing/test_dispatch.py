import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.routing.dispatch import (
    PENDING_MAX,
    PLAN_MAX,
    PROPOSAL_WAIT_MS,
    RECHECK_MS,
    REFUSED_PAUSE_MS,
    TARGET_WAIT_MS,
    TARGETS_EVERY_MS,
    Dispatcher,
)
from cluster.routing.router import COMPILED_MAX, TRIED_MAX
from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.events import Tail
from cluster.state.limits import CONVERSATION_RETENTION_MS, PURGE_MAX, SESSION_GRACE_MS
from cluster.state.model import Agent, Conversation, Session
from cluster.state.outcome import Refused
from cluster.state.route import Choice, Queue, Route, ServiceLevel, Step
from cluster.state.state import State
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk, routed

ACCEPT_MS = 20_000
NOW_MS = 1_000_000


def dispatcher() -> Dispatcher:
    numbers = itertools.count(1)
    return Dispatcher(lambda: f"id{next(numbers):06}", ACCEPT_MS)


def planned(desk: Desk, one: Dispatcher) -> list[Command]:
    return one.plan(desk.state, desk.now_ms)


def act(desk: Desk, one: Dispatcher) -> list[Command]:
    """Plan, apply all of it, and say what it was."""
    plan = planned(desk, one)
    for command in plan:
        outcome = desk.run(command)
        one.settled(command, refused=isinstance(outcome, Refused))
    return plan


def kinds(plan: list[Command]) -> list[str]:
    return [type(command).__name__ for command in plan]


def offers(plan: list[Command]) -> list[tuple[str, str]]:
    return [(one.cv, one.agent) for one in plan if isinstance(one, c.MakeOffer)]


def big_state(waiting: int, free: int, *, needs: int = 1, skills: str = "") -> State:
    """Build a state of `waiting` conversations in need of `needs` kinds of skill."""
    state = State()
    state.applied_index = 1
    for number in range(waiting):
        skill = f"s{number % needs}"
        cv = f"cv{number:06}"
        state.put_conversation(
            Conversation(
                *(cv, "ann", "Ann", "web", "zh", "", {}, {}, number),
                state="waiting",
                route=Route((Step(f"q{number % 7}", skills={skill: 0}),)),
            )
        )
    for number in range(free):
        name = f"a{number:04}"
        state.put_session(Session(f"s{number}", name, "n1", "b1", 0))
        held = dict.fromkeys([skills], 1)
        state.put_agent(
            Agent(name, name, held, 3, status="online", sessions=(f"s{number}",), idle_since_ms=1)
        )
    return state


# -- what is proposed


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


# -- what is proposed and not answered


def test_what_is_proposed_is_not_proposed_again_before_its_answer() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.open("new")
    desk.online(BOB)
    desk.online(LI)
    plan = planned(desk, one)
    assert kinds(plan) == ["RouteConversation", "MakeOffer"]
    desk.state.applied_index += 1
    assert planned(desk, one) == []
    for command in plan:
        one.settled(command)
    assert kinds(planned(desk, one)) == ["RouteConversation", "MakeOffer"]


def test_an_offer_on_its_way_takes_room() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.online(BOB, capacity=1)
    assert offers(planned(desk, one)) == [("cv1", "bob")]
    desk.waiting("cv2")
    assert planned(desk, one) == []
    desk.online(LI, capacity=1)
    assert offers(planned(desk, one)) == [("cv2", "li")]


def test_what_stays_unanswered_is_proposed_again_in_time() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.open("cv2")
    desk.online(BOB, capacity=1)
    assert len(planned(desk, one)) == 2
    assert one.plan(desk.state, desk.now_ms + PROPOSAL_WAIT_MS - 1) == []
    again = one.plan(desk.state, desk.now_ms + PROPOSAL_WAIT_MS + RECHECK_MS)
    assert kinds(again) == ["RouteConversation", "MakeOffer"]


def test_an_expiry_is_proposed_once_and_again_only_without_an_answer() -> None:
    desk, one = Desk(), dispatcher()
    desk.online()
    desk.waiting("cv1")
    oid = desk.offered()
    desk.wait(2 * ACCEPT_MS)
    assert planned(desk, one) == [c.ExpireOffer(oid)]
    desk.state.applied_index += 1
    assert planned(desk, one) == []
    desk.wait(PROPOSAL_WAIT_MS)
    assert planned(desk, one) == [c.ExpireOffer(oid)]


def test_what_was_refused_is_proposed_again_at_once_and_then_rests() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.online(BOB)
    for _ in range(2):
        (offer,) = planned(desk, one)
        one.settled(offer, refused=True)
    assert planned(desk, one) == []
    again_ms = desk.now_ms + REFUSED_PAUSE_MS + RECHECK_MS
    assert offers(one.plan(desk.state, again_ms)) == [("cv1", "bob")]


def test_another_leadership_and_a_clock_set_back_forget_what_was_proposed() -> None:
    desk, one = Desk(), dispatcher()
    desk.waiting("cv1")
    desk.online(BOB)
    assert len(planned(desk, one)) == 1
    one.reset()
    assert len(planned(desk, one)) == 1
    assert one.plan(desk.state, desk.now_ms - 500) == []
    assert len(one.plan(desk.state, desk.now_ms - 3_600_000)) == 1


def test_a_plan_is_bounded_and_the_next_goes_on() -> None:
    desk, one = Desk(), dispatcher()
    state = desk.state
    for number in range(PENDING_MAX + PLAN_MAX):
        cv = f"cv{number:06}"
        fields: tuple[Any, ...] = (cv, "ann", "Ann", "web", "zh", "", {}, {}, 0)
        state.put_conversation(Conversation(*fields))
    seen: set[str] = set()
    for _ in range(PENDING_MAX // PLAN_MAX):
        state.applied_index += 1
        plan = planned(desk, one)
        assert len(plan) == PLAN_MAX
        seen |= {command.cv for command in plan if isinstance(command, c.RouteConversation)}
    assert len(seen) == PENDING_MAX
    state.applied_index += 1
    assert planned(desk, one) == []


def test_many_rules_make_plans_short_and_the_next_turn_goes_on() -> None:
    desk, one = Desk(), dispatcher()
    text = "".join(f"[rule.r{n}]\nwhen='lang == \"{n}\"'\nroute='q'\n" for n in range(900))
    desk.done(c.ApplyRules(OPS, {"main.toml": text}, {}))
    for number in range(60):
        desk.open(f"cv{number:02}")
    compiling = 0
    while not (plan := planned(desk, one)):
        compiling += 1
        assert one.has_more
        assert compiling < 100
    assert compiling > len(text) // COMPILED_MAX
    sizes = [len(plan), *(len(planned(desk, one)) for _ in range(9))]
    assert max(sizes) <= TRIED_MAX // (900 * len('lang == "1"')) + 1
    assert sum(sizes) == 60


def test_long_conditions_and_large_contacts_make_plans_of_one_decision() -> None:
    desk, one = Desk(), dispatcher()
    condition = " || ".join(["tags != tags"] * 250)
    text = "".join(f"[rule.r{n}]\nwhen='{condition}'\nroute='q'\n" for n in range(31))
    desk.done(c.ApplyRules(OPS, {"main.toml": text}, {}))
    tags = {f"k{n}": "x" * 4_000 for n in range(60)}
    for number in range(9):
        desk.open(f"cv{number:02}", tags=tags)
    while not (plan := planned(desk, one)):
        assert one.has_more
    assert len(plan) == 1


def test_the_leader_does_not_run_the_table_tests_again() -> None:
    desk, one = Desk(), dispatcher()
    text = "[rule.r]\nroute = 'q'\ntest = [{ in = {}, queue = 'elsewhere' }]"
    desk.done(c.ApplyRules(OPS, {"main.toml": text}, {}))
    desk.open("cv1")
    assert act(desk, one) == [routed("cv1", "q", 0, "r", 1, ())]


def test_the_state_is_looked_at_again_only_when_it_or_the_time_changed() -> None:
    desk, one = Desk(), dispatcher()
    assert planned(desk, one) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one, "_due", lambda *_: pytest.fail("looked again"))
        assert one.plan(desk.state, desk.now_ms + RECHECK_MS - 1) == []


def test_a_command_of_somebody_else_is_none_of_the_dispatchers() -> None:
    with pytest.raises(AssertionError, match="CloseSession"):
        dispatcher().settled(c.CloseSession("s"))


# -- what it costs


def looks_of(one: Dispatcher, state: State) -> int:
    """Lines, buckets and agents that one more plan looks at."""
    state.applied_index += 1
    one.plan(state, NOW_MS)
    return one._matching._chooser.looks


@pytest.mark.parametrize("needs", [1, 500])
def test_an_event_looks_at_no_more_with_ten_thousand_waiting_than_with_ten(needs: int) -> None:
    state, one = big_state(10_000, 1_000, needs=needs, skills="none of them"), dispatcher()
    looks_of(one, state)
    assert looks_of(one, state) == 0, "nothing changed"
    old = state.conversations["cv000000"]
    state.put_conversation(replace(old, cv="zz", opened_ms=10**6))
    assert looks_of(one, state) == 2, "one line changed, and all agents are of one kind"
    agent = state.agents["a0000"]
    state.put_agent(replace(agent, load=1))
    state.put_agent(replace(agent, load=0))
    assert looks_of(one, state) <= 2, "no line fits the agent who was freed"
    state.put_agent(replace(agent, skills={"s0": 1}))
    state.applied_index += 1
    assert len(offers(one.plan(state, NOW_MS))) == agent.capacity
    once_over = len(state.lines.lines)
    assert one._matching._chooser.looks < once_over + 5 * 3 * 7


# -- never too many

steps = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 3), st.sampled_from(["", "refund", "none"])),
        st.tuples(st.just("online"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("decline"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("accept"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("transfer"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(0, 200_000), st.just(0)),
        st.tuples(st.just("plan"), st.booleans(), st.just(0)),
    ),
    max_size=30,
)


def step(desk: Desk, kind: str, first: Any, second: Any) -> None:
    people = [By("agent", f"a{number}") for number in range(3)]
    pending = list(desk.state.offers.values())
    match kind:
        case "open":
            cv = f"cv{len(desk.state.conversations)}"
            desk.waiting(cv, priority=first, skills=(second,) if second else ())
        case "online":
            desk.online(people[first], capacity=second)
        case "decline" if pending:
            offer = pending[first % len(pending)]
            desk.done(c.DeclineOffer(offer.oid, By("agent", offer.agent)))
        case "accept" if pending:
            offer = pending[first % len(pending)]
            desk.done(c.AcceptOffer(offer.oid, By("agent", offer.agent), desk.key()))
        case "transfer":
            agent = desk.state.agents.get(people[first].id)
            to = people[second].id
            for cv in agent.conversations[:1] if agent else ():
                desk.run(c.TransferConversation(cv, people[first], desk.key(), to_agent=to))
        case "wait":
            desk.wait(first)


@given(script=steps)
@settings(max_examples=150, deadline=None)
def test_no_conversation_has_two_offers_and_no_agent_is_offered_above_capacity(
    script: list[tuple[str, Any, Any]],
) -> None:
    desk, one = Desk(), dispatcher()
    flying: list[tuple[int, Command]] = []
    for kind, first, second in script:
        step(desk, kind, first, second)
        lost_ms = desk.now_ms - PROPOSAL_WAIT_MS  # by then the proposer gave up on it
        flying = [(at_ms, command) for at_ms, command in flying if at_ms > lost_ms]
        plan = planned(desk, one)
        flying += [(desk.now_ms, command) for command in plan]
        made = offers([command for _, command in flying])
        assert len({cv for cv, _ in made}) == len(made)
        for name in {name for _, name in offers(plan)}:
            agent = desk.state.agents[name]
            assert agent.load + sum(name == other for _, other in made) <= agent.capacity
        if kind == "plan":
            for _, command in flying:
                outcome = desk.run(command)
                one.settled(command, refused=isinstance(outcome, Refused))
            flying = []


@given(script=steps)
@settings(max_examples=100, deadline=None)
def test_whoever_can_be_served_is_in_the_end(script: list[tuple[str, Any, Any]]) -> None:
    desk, one = Desk(), dispatcher()
    for kind, first, second in script:
        step(desk, kind, first, second)
        act(desk, one)
    for person in range(3):
        desk.online(By("agent", f"a{person}"), capacity=50)
    for _ in range(8):
        desk.wait(TARGET_WAIT_MS // 4)
        for oid, offer in list(desk.state.offers.items()):
            desk.run(c.AcceptOffer(oid, By("agent", offer.agent), desk.key()))
        act(desk, one)
        act(desk, one)
    left = [one for one in desk.state.conversations.values() if one.state in ("new", "waiting")]
    assert all("none" in one.skills for one in left)


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
