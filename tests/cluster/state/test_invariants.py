"""A check that cannot fail is none: every invariant is broken here, and seen."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.events import Tail
from cluster.state.invariants import InvariantViolated, check, check_touched
from cluster.state.machine import Machine
from cluster.state.model import NO_ROUTE, Agent, Conversation, Offer, Session
from cluster.state.outcome import AgentChanged, Appended, ConversationPurged, Done, OfferMade
from cluster.state.sorted_set import SortedSet
from cluster.state.state import State
from tests.cluster.state.damage import agent, conversation
from tests.cluster.state.desk import ANN, BOB, LI, OPS, Desk, entry


def sound() -> State:
    """cv1 is Bob's, cv2 is offered to Li, cv3 waits, cv4 is new, cv5 closed."""
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned("cv1", BOB)
    desk.waiting("cv2")
    desk.offered("cv2", LI, "o2")
    desk.waiting("cv3")
    desk.open("cv4")
    desk.open("cv5")
    desk.done(c.CloseConversation("cv5", ANN, "k"))
    desk.done(c.ApplyRules(OPS, {}, {}))
    check(desk.state)
    return desk.state


def touched(state: State) -> list[Appended | AgentChanged | OfferMade]:
    return [
        *(Appended(cv.cv, cv.tail[-1]) for cv in state.conversations.values()),
        *(AgentChanged(name) for name in state.agents),
        *(OfferMade(offer) for offer in state.offers.values()),
    ]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("I2", conversation("cv1", seq=99)),
        ("I3", conversation("cv1", owner="")),
        ("I3", conversation("cv1", owner="li")),
        ("I3", conversation("cv1", owner="nobody")),
        ("I3", conversation("cv1", fence=0)),
        ("I3", conversation("cv3", owner="bob")),
        ("I3", agent("li", conversations=("cv1",))),
        ("I3", agent("li", conversations=("cv9",))),
        ("I4", conversation("cv2", offer="")),
        ("I4", conversation("cv2", offer="o9")),
        ("I4", agent("li", offers=("o9",))),
        ("I4", agent("bob", offers=("o2",))),
        ("I4", agent("bob", conversations=("cv1", "cv1"))),
        ("I4", agent("li", offers=())),
        ("state", conversation("cv1", target="li")),
        ("state", conversation("cv4", passed=("li",))),
        ("state", conversation("cv3", passed=tuple(map(str, range(101))))),
        ("state", conversation("cv3", closed_ms=5)),
        ("state", conversation("cv3", route=NO_ROUTE)),
        ("state", conversation("cv3", target="nobody")),
        ("presence", agent("bob", sessions=())),
        ("presence", agent("li", sessions=("sid-li", "sid-bob"))),
        ("presence", agent("li", sessions=("sid-li", "s9"))),
    ],
)
def test_damage_is_seen_by_both_checks(name: str, damage: Callable[[State], None]) -> None:
    state = sound()
    damage(state)
    for looked in (check, lambda state: check_touched(state, touched(state))):
        with pytest.raises(InvariantViolated) as violated:
            looked(state)
        assert violated.value.name == name
        assert str(violated.value).startswith(f"{name}: ")


def forget_offer(state: State) -> None:
    state.drop_offer("o2")


def add_offer(state: State) -> None:
    state.put_offer(Offer("o9", "cv3", "bob", 1, 2))


def add_session(state: State) -> None:
    state.put_session(Session("s9", "nobody", "n1", "b1", 1))


def double_revision(state: State) -> None:
    state.rule_sets.append(state.rule_sets[-1])


def no_number(state: State) -> None:
    state.proposers["n1"].next_number = 0


def retired_boot(state: State) -> None:
    state.proposers["n1"].retired = (state.proposers["n1"].boot,)


def lose_line(state: State) -> None:
    state.waiting.clear()


def lose_free(state: State) -> None:
    state.free = SortedSet()


def gap(state: State) -> None:
    found = state.conversations["cv1"]
    state.put_conversation(replace(found, tail=Tail.of(found.tail[:1] + found.tail[2:])))


def gone_and_online(state: State) -> None:
    state.put_agent(Agent("kim", "Kim", {}, 1, status="online"))


def waits_for_nobody(state: State) -> None:
    conversation("cv3", target="bob")(state)
    agent("bob", status="offline")(state)


def proposes_unknown(state: State) -> None:
    del state.nodes["n1"]


def time_runs_backwards(state: State) -> None:
    found = state.conversations["cv1"]
    late = replace(found.tail[0], ts=state.now_ms + 1)
    state.put_conversation(replace(found, tail=Tail.of((late, *found.tail[1:]))))


def keys_of_no_order(state: State) -> None:
    state.key_ages.rotate()


def too_many_rules(state: State) -> None:
    record = state.rule_sets[0]
    state.rule_sets = [replace(record, rev=rev) for rev in range(1, limits.RULE_SETS_KEPT + 2)]


def tail_cut(state: State) -> None:
    found = state.conversations["cv1"]
    state.put_conversation(replace(found, tail=Tail.of(found.tail[1:])))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("I2", conversation("cv1", tail=Tail(((),)))),
        ("I2", conversation("cv1", tail=Tail())),
        ("I4", forget_offer),
        ("I4", add_offer),
        ("presence", add_session),
        ("state", double_revision),
        ("I1", no_number),
        ("I1", retired_boot),
        ("indexes", lose_line),
        ("indexes", lose_free),
        ("I2", gap),
        ("I2", tail_cut),
        ("presence", gone_and_online),
        ("presence", waits_for_nobody),
        ("I1", proposes_unknown),
        ("state", time_runs_backwards),
        ("state", keys_of_no_order),
        ("bounds", too_many_rules),
    ],
)
def test_damage_is_seen_by_the_full_check(name: str, damage: Callable[[State], None]) -> None:
    state = sound()
    damage(state)
    with pytest.raises(InvariantViolated) as violated:
        check(state)
    assert violated.value.name == name


def test_an_offer_above_the_capacity_is_seen_when_it_is_made() -> None:
    state = sound()
    check_touched(state, touched(state))
    agent("li", capacity=0)(state)
    check(state)  # a capacity may have shrunk since
    with pytest.raises(InvariantViolated, match="I4: li: 1 of 0"):
        check_touched(state, [OfferMade(state.offers["o2"])])


def test_what_is_purged_is_not_looked_for() -> None:
    state = sound()
    event = state.conversations["cv5"].tail[-1]
    state.drop_conversation("cv5")
    check_touched(state, [Appended("cv5", event), ConversationPurged("cv5")])


def test_a_machine_checks_what_commands_touch_unless_told_not_to() -> None:
    message = c.SendMessage("cv1", "m", ANN, "unused", "text", "hi")
    for checked in (True, False):
        state = sound()
        conversation("cv1", fence=0)(state)
        machine = Machine(state, checked=checked)
        payload = entry(state.now_ms, (900, message), settled=900)
        if checked:
            with pytest.raises(InvariantViolated, match="without a fence"):
                machine.apply(state.applied_index + 1, payload)
        else:
            assert machine.apply(state.applied_index + 1, payload).outcomes


def test_a_machine_that_may_not_stop_reports_a_violation_and_goes_on() -> None:
    state = sound()
    conversation("cv1", fence=0)(state)
    found: list[InvariantViolated] = []
    machine = Machine(state, on_violation=found.append)
    message = c.SendMessage("cv1", "m", ANN, "unused", "text", "hi")
    payload = entry(state.now_ms, (900, message), settled=900)
    applied = machine.apply(state.applied_index + 1, payload)
    assert [type(outcome) for *_, outcome in applied.outcomes] == [Done]
    assert len(applied.notices) == 1
    assert len(found) == 1


def test_the_values_of_the_model_say_what_they_are_for() -> None:
    assert Agent("a", "A", {"s": 2}, 3).lacks({"s": 3, "t": 0}) == "s"
    assert Agent("a", "A", {"s": 2}, 3).lacks({"s": 2}) == ""
    assert Conversation.__doc__
