from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.matching import PASSED_PAUSE_MS, Budget, Matching, OverBudget
from cluster.state.model import Agent, Conversation, Session
from cluster.state.route import Route, Step
from cluster.state.state import State

NOW_MS = 1_000_000


def state_of(*agents: Agent) -> State:
    state = State()
    for agent in agents:
        state.put_session(Session(f"s-{agent.agent}", agent.agent, "n1", "b1", 0))
        state.put_agent(agent)
    return state


def agent(
    name: str, idle_ms: int = 0, *, capacity: int = 1, held: int = 0, skills: str = "", **more: str
) -> Agent:
    return Agent(
        name,
        name,
        dict.fromkeys(skills, 1),
        capacity,
        status=more.get("status", "online"),  # type: ignore[arg-type]
        sessions=(f"s-{name}",),
        idle_since_ms=idle_ms,
        conversations=tuple(f"held{n}" for n in range(held)),
        load=held,
    )


def waiting(
    cv: str = "cv", skills: str = "", target: str = "", passed: tuple[str, ...] = ()
) -> Conversation:
    return Conversation(
        cv,
        "ann",
        "Ann",
        "web",
        "zh",
        "",
        {},
        {},
        0,
        state="waiting",
        route=Route((Step("q", skills=dict.fromkeys(skills, 0)),)),
        target=target,
        passed=passed,
    )


def chosen(
    state: State,
    *conversations: Conversation,
    offered: dict[str, str] | None = None,
    looks: int = 10_000,
) -> list[str]:
    matching = Matching(state, offered or {}, NOW_MS, Budget(looks))
    found = [matching.choose(conversation) for conversation in conversations]
    return [one.agent if one else "-" for one in found]


def test_the_longest_idle_is_chosen_and_ties_go_by_id() -> None:
    state = state_of(agent("c", 5), agent("b", 3), agent("a", 5))
    assert chosen(state, *[waiting()] * 4) == ["b", "a", "c", "-"]


def test_whoever_was_chosen_goes_to_the_end_of_the_line() -> None:
    state = state_of(agent("a", 1, capacity=3), agent("b", 2, capacity=2))
    assert chosen(state, *[waiting()] * 6) == ["a", "b", "a", "b", "a", "-"]


def test_offers_that_are_proposed_count_against_capacity_and_idle_time() -> None:
    state = state_of(agent("a", 1, capacity=2), agent("b", 2), agent("c", 3, capacity=3, held=1))
    offered = {"x": "a", "y": "c", "z": "gone"}
    assert chosen(state, *[waiting()] * 4, offered=offered) == ["b", "a", "c", "-"]


def test_every_skill_is_needed() -> None:
    state = state_of(agent("a", 1, skills="r"), agent("b", 2, skills="rz"), agent("c", 3))
    assert chosen(state, waiting(skills="rz"), waiting(skills="r"), waiting(skills="z")) == [
        *["b", "a", "-"]
    ]
    assert chosen(state, waiting(skills="q"), waiting(skills="q"), waiting()) == ["-", "-", "a"]


def test_one_who_fits_nobody_earlier_is_found_for_a_later_need() -> None:
    state = state_of(*[agent(f"a{n}", n) for n in range(5)], agent("z", 9, skills="s", capacity=2))
    line = [waiting(skills="s"), waiting(), waiting(skills="s"), waiting(skills="s"), waiting()]
    assert chosen(state, *line) == ["z", "a0", "z", "-", "a1"]


def test_a_target_is_chosen_alone_or_nobody() -> None:
    state = state_of(
        agent("a", 1), agent("b", 2, capacity=2, skills="s"), agent("c", 3, status="away")
    )
    line = [waiting(target=name) for name in ("b", "b", "b", "c", "nobody")]
    assert chosen(state, *line) == ["b", "b", "-", "-", "-"]
    assert chosen(state, waiting(target="a", skills="s"), waiting(target="b", skills="s")) == [
        *["-", "b"]
    ]


def test_who_passed_on_it_is_asked_last_and_after_a_rest() -> None:
    rested = NOW_MS - PASSED_PAUSE_MS
    state = state_of(agent("a", rested - 1), agent("b", rested), agent("c", rested + 1))
    assert chosen(state, waiting(passed=("a",))) == ["b"]
    assert chosen(state, waiting(passed=("a", "b"))) == ["c"]
    assert chosen(state, waiting(passed=("a", "b", "c"))) == ["a"]
    only = state_of(agent("c", rested + 1))
    assert chosen(only, waiting(passed=("c",)), waiting()) == ["-", "c"]


def test_one_who_was_chosen_by_name_is_passed_over_by_the_next() -> None:
    state = state_of(agent("a", 1), agent("b", 2), agent("c", 3), agent("d", 4))
    line = [waiting(passed=("a", "b")), waiting(target="b"), waiting(passed=("a",))]
    assert chosen(state, *line) == ["c", "b", "d"]


def test_nobody_with_room_is_known_to_be_nobody_for_all() -> None:
    matching = Matching(state_of(agent("a")), {}, NOW_MS, Budget(100))
    assert matching.choose(waiting(skills="s")) is None
    assert not matching.exhausted
    assert matching.choose(waiting()) is not None
    assert matching.choose(waiting(skills="t")) is None
    assert matching.exhausted


def test_looks_are_counted_for_agents_of_every_kind() -> None:
    state = state_of(*[agent(f"a{n}") for n in range(10)])
    with pytest.raises(OverBudget):
        chosen(state, waiting(skills="s"), looks=9)
    assert chosen(state, waiting(), looks=1) == ["a0"]
    assert chosen(state, *[waiting(skills="s")] * 50, looks=11) == ["-"] * 50


@dataclass
class Naive:
    """The rule, told without any cleverness: sort everybody for every conversation."""

    state: State
    offered: list[str]
    log: list[str] = field(default_factory=list)

    def choose(self, conversation: Conversation) -> str:
        order = self.offered + self.log
        fits = []
        for one in self.state.agents.values():
            count = order.count(one.agent)
            online = one.status == "online" and one.load < one.capacity
            room = one.load + count < one.capacity
            if online and room and set(conversation.skills) <= set(one.skills):
                last = max((n for n, name in enumerate(order) if name == one.agent), default=-1)
                fits.append(((last, one.idle_since_ms if last < 0 else 0, one.agent), one))
        line = [one for _, one in sorted(fits, key=lambda pair: pair[0])]
        if conversation.target:
            line = [one for one in line if one.agent == conversation.target]
            return self._take(line)
        new = [one for one in line if one.agent not in conversation.passed]
        rested = [one for one in line if NOW_MS - one.idle_since_ms >= PASSED_PAUSE_MS]
        return self._take(new or rested)

    def _take(self, line: list[Agent]) -> str:
        if not line:
            return "-"
        self.log.append(line[0].agent)
        return line[0].agent


names = st.sampled_from("abcde")
skills = st.text("rsz", max_size=2)
agents = st.builds(
    agent,
    names,
    st.sampled_from([1, 2, NOW_MS - PASSED_PAUSE_MS, NOW_MS - 1]),
    capacity=st.integers(1, 4),
    held=st.integers(0, 4),
    skills=skills,
    status=st.sampled_from(["online", "online", "online", "away"]),
)
lines = st.lists(
    st.builds(
        waiting,
        skills=skills,
        target=st.sampled_from(["", "", "", "a", "b", "x"]),
        passed=st.lists(names, max_size=4, unique=True).map(tuple),
    ),
    max_size=12,
)


@given(
    people=st.lists(agents, max_size=5, unique_by=lambda one: one.agent),
    line=lines,
    offered=st.lists(names, max_size=3),
)
@settings(max_examples=500, deadline=None)
def test_the_choice_is_that_of_the_naive_model(
    people: list[Agent], line: list[Conversation], offered: list[str]
) -> None:
    state = state_of(*people)
    naive = Naive(state, offered)
    proposed = {f"o{number}": name for number, name in enumerate(offered)}
    expected = [naive.choose(conversation) for conversation in line]
    assert chosen(state, *line, offered=proposed) == expected
