"""What a plan does not do: propose twice, too much, for too long, or above anybody's capacity."""

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
    Dispatcher,
)
from cluster.routing.router import COMPILED_MAX, TRIED_MAX
from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.model import Conversation
from cluster.state.outcome import Refused
from cluster.state.state import State
from tests.cluster.routing.dispatching import (
    ACCEPT_MS,
    NOW_MS,
    act,
    big_state,
    dispatcher,
    kinds,
    offers,
    planned,
)
from tests.cluster.state.desk import BOB, LI, OPS, Desk, routed


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
