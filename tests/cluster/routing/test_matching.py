"""Lines and pool against a model that sorts everything, event by event."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.routing.choosing import PASSED_PAUSE_MS
from cluster.routing.matching import Match, Matching
from cluster.state.commands import SYSTEM
from cluster.state.model import Agent, Conversation, RuleSetRecord, Session
from cluster.state.route import Queue, Route, Step
from cluster.state.state import State
from tests.cluster.routing.naive import Naive

NOW_MS = 1_000_000
QUEUES = {
    "q": Queue(),
    "aged": Queue(aging_ms=10_000),
    "fair": Queue(by_age=True, agent_order="round_robin"),
    "even": Queue(agent_order="least_loaded"),
    "best": Queue(agent_order="proficiency:r"),
    "same": Queue(agent_order="sticky"),
}


class Judge:
    """Needs that are judged by what an agent is: `zh`, or, by the name, `name a`."""

    def fits(self, need: str, agent: Agent) -> bool:
        if need.startswith("name "):
            return agent.agent == need.removeprefix("name ")
        return not need or need in agent.langs

    def why_not(self, need: str, agent: Agent) -> str:
        return "" if self.fits(need, agent) else f"speaks no {need}"


class Office:
    """A state that changes as it does when commands are applied, and who is matched in it."""

    def __init__(self) -> None:
        self.state = State()
        self.state.put_rules(RuleSetRecord(1, "", SYSTEM, 0, {}, QUEUES))
        self.now_ms = NOW_MS
        self.busy: set[str] = set()
        self.proposed: list[Match] = []
        self.matching = Matching(Judge(), self.busy.__contains__, lambda _: False)

    def agent(self, name: str, idle_ms: int = 0, **fields: Any) -> None:
        if f"s-{name}" not in self.state.sessions:
            self.state.put_session(Session(f"s-{name}", name, "n1", "b1", 0))
        wanted: dict[str, Any] = {"skills": {}, "capacity": 1, "status": "online"} | fields
        known = self.state.agents.get(name)
        idle_ms = max(idle_ms, known.idle_since_ms if known is not None else 0)
        sessions = (f"s-{name}",)
        self.state.put_agent(Agent(name, name, sessions=sessions, idle_since_ms=idle_ms, **wanted))

    def waiting(self, cv: str, opened_ms: int = 0, queue: str = "q", **fields: Any) -> None:
        names = ("priority", "skills", "need")
        step = Step(queue, **{name: fields.pop(name) for name in names if name in fields})
        route = Route((step,), weight=fields.pop("weight", 1))
        visitor = fields.pop("visitor", "ann")
        fields |= {"state": "waiting", "route": route, "waiting_since_ms": 1}
        values: tuple[Any, ...] = (cv, visitor, "", "web", "zh", "", {}, {}, opened_ms)
        self.state.put_conversation(Conversation(*values, **fields))

    def matches(self, most: int = 500) -> list[tuple[str, str]]:
        self.matching.sync(self.state, self.now_ms)
        found = self.matching.matches(most)
        self.proposed += found
        self.busy.update(match.conversation.cv for match in found)
        return [(match.conversation.cv, match.agent) for match in found]

    def expected(self) -> list[tuple[str, str]]:
        proposed = [(match.agent, match.conversation.weight) for match in self.proposed]
        return Naive(self.state, self.now_ms, proposed, Judge().fits).matches(self.busy)

    def answer(self, number: int, *, applied: bool) -> None:
        """The outcome of one proposal is known."""
        match = self.proposed.pop(number)
        cv, agent = match.conversation.cv, self.state.agents[match.agent]
        self.busy.discard(cv)
        if applied:
            conversation = self.state.conversations[cv]
            self.state.put_conversation(replace(conversation, state="offered", offer="o"))
            load = agent.load + conversation.weight
            times = {"idle_since_ms": self.now_ms, "offered_ms": self.now_ms}
            self.state.put_agent(replace(agent, load=load, **times))
        self.matching.try_again(cv)
        self.matching.settle(cv, match.agent)


def test_the_longest_idle_is_chosen_and_ties_go_by_id() -> None:
    office = Office()
    for name, idle_ms in (("c", 5), ("b", 3), ("a", 5)):
        office.agent(name, idle_ms)
    for number in range(4):
        office.waiting(f"cv{number}", number)
    assert office.matches() == [("cv0", "b"), ("cv1", "a"), ("cv2", "c")]


def test_whoever_was_chosen_goes_to_the_end_of_the_line() -> None:
    office = Office()
    office.agent("a", 1, capacity=3)
    office.agent("b", 2, capacity=2)
    for number in range(6):
        office.waiting(f"cv{number}", number)
    assert [name for _, name in office.matches()] == ["a", "b", "a", "b", "a"]


def test_a_heavy_conversation_waits_for_room_and_does_not_hold_up_a_light_one() -> None:
    office = Office()
    office.agent("a", capacity=5, load=3)
    office.waiting("voice", 1, weight=5)
    office.waiting("chat", 2, weight=2)
    assert office.matches() == [("chat", "a")]
    office.answer(0, applied=True)
    office.agent("a", capacity=5)
    assert office.matches() == [("voice", "a")]


def test_skills_have_least_levels_and_needs_are_judged() -> None:
    office = Office()
    office.agent("a", 1, skills={"r": 2})
    office.agent("b", 2, skills={"r": 4})
    office.agent("c", 3, langs=("zh",))
    office.waiting("cv1", 1, skills={"r": 3})
    office.waiting("cv2", 2, need="zh")
    office.waiting("cv3", 3, need="name a")
    assert office.matches() == [("cv1", "b"), ("cv2", "c"), ("cv3", "a")]
    choice = office.proposed[0].choice
    assert choice.tie == "nobody else fits"
    assert dict(choice.passed) == {"a": "r is 2, at least 3 is asked for", "c": "lacks r"}
    assert choice.counts == {"unfit": 2}
    assert dict(office.proposed[1].choice.passed) == {"a": "speaks no zh"}


def test_transferred_only_is_offered_what_was_transferred_and_nothing_else() -> None:
    office = Office()
    office.agent("a", status="transfer_only", capacity=3)
    office.waiting("cv1", 1)
    office.waiting("cv2", 2, target="a")
    office.waiting("cv3", 3, preferred="a")
    assert office.matches() == [("cv2", "a")]
    assert office.proposed[0].choice.tie == "transferred to them"
    office.agent("b")
    assert office.matches() == [("cv1", "b")]
    assert office.proposed[1].choice.counts == {"transfer_only": 1}


def test_who_passed_on_it_is_asked_last_and_after_a_rest() -> None:
    office = Office()
    office.agent("a", NOW_MS)
    office.waiting("cv1", passed=("a",))
    assert office.matches() == []
    office.now_ms += PASSED_PAUSE_MS - 1
    assert office.matches() == []
    office.now_ms += 1
    assert office.matches() == [("cv1", "a")], "nothing changed but the time"
    assert office.proposed[0].choice.tie == "all others passed on it too"


def test_with_ageing_who_waits_long_overtakes_who_is_important() -> None:
    office = Office()
    office.waiting("old", NOW_MS - 35_000, queue="aged")
    office.waiting("new", NOW_MS, queue="aged", priority=3)
    office.waiting("middle", NOW_MS, queue="q", priority=3)
    office.agent("a", capacity=3)
    assert [cv for cv, _ in office.matches()] == ["old", "middle", "new"]
    assert office.state.position("old") == 1
    assert office.state.position("new") == 2


def test_whoever_served_the_visitor_last_is_asked_first_where_a_queue_is_sticky() -> None:
    office = Office()
    office.agent("a", 1)
    office.agent("b", 2)
    office.state.put_served("visitor", "ann", "b")
    office.waiting("cv1", 1, queue="same")
    office.waiting("cv2", 2, queue="same")
    assert office.matches() == [("cv1", "b"), ("cv2", "a")]
    assert [match.choice.tie for match in office.proposed] == [
        *["served them last", "nobody else fits"]
    ]


@pytest.mark.parametrize("most", [1, 2, 500])
def test_what_does_not_fit_into_one_plan_comes_in_the_next(most: int) -> None:
    office = Office()
    office.agent("a", capacity=9)
    for number in range(5):
        office.waiting(f"cv{number}", number, queue=("q", "even")[number % 2])
    found = []
    for _ in range(6):
        found += office.matches(most)
    assert [cv for cv, _ in found] == [f"cv{number}" for number in range(5)]


# -- the model

names = st.sampled_from("abcde")
skills = st.dictionaries(st.sampled_from("rs"), st.integers(0, 2), max_size=2)
times = st.sampled_from([1, 2, NOW_MS - PASSED_PAUSE_MS, NOW_MS - 1])
agents = st.fixed_dictionaries(
    {
        "name": names,
        "idle_ms": times,
        "offered_ms": st.sampled_from([0, 5]),
        "capacity": st.integers(1, 4),
        "load": st.integers(0, 3),
        "skills": skills,
        "langs": st.sampled_from([(), ("zh",)]),
        "status": st.sampled_from(["online", "online", "online", "away", "transfer_only"]),
    }
)
conversations = st.fixed_dictionaries(
    {
        "cv": st.integers(0, 30).map(lambda n: f"cv{n:02}"),
        "queue": st.sampled_from(list(QUEUES)),
        "priority": st.integers(0, 2),
        "skills": skills,
        "need": st.sampled_from(["", "", "zh", "name a"]),
        "weight": st.sampled_from([1, 1, 2]),
        "target": st.sampled_from(["", "", "", "a", "x"]),
        "preferred": st.sampled_from(["", "", "b"]),
        "passed": st.lists(names, max_size=3, unique=True).map(tuple),
    }
)
plain_agents = st.fixed_dictionaries(
    {"name": names, "idle_ms": times, "capacity": st.integers(2, 4), "offered_ms": times}
)
plain_conversations = st.fixed_dictionaries(
    {"cv": conversations.map(lambda one: one["cv"]), "queue": st.sampled_from(["q", "fair"])}
)
people = st.one_of(agents, plain_agents).map(lambda one: ("agent", one))
lines = st.one_of(conversations, plain_conversations).map(lambda one: ("waiting", one))
events = st.one_of(
    people,
    people,
    lines,
    lines,
    st.tuples(st.just("gone"), st.integers(0, 50)),
    st.tuples(st.just("answer"), st.tuples(st.integers(0, 50), st.booleans())),
    st.tuples(st.just("served"), names),
    st.tuples(st.just("time"), st.sampled_from([1, 2_999, 3_000, 20_000])),
    st.tuples(st.just("order"), st.sampled_from(list(QUEUES))),
)


def happen(office: Office, kind: str, what: Any) -> None:
    state = office.state
    waiting = [one.cv for one in state.conversations.values() if one.state == "waiting"]
    match kind:
        case "agent":
            office.agent(**what)
        case "waiting" if what["cv"] not in office.busy:
            visitor = "ann" if what["cv"] < "cv20" else "eve"
            opened_ms = NOW_MS - 10_000 * (int(what["cv"][2:]) % 4)  # never changes
            office.waiting(**what, visitor=visitor, opened_ms=opened_ms)
        case "gone" if waiting:
            cv = waiting[what % len(waiting)]
            if cv not in office.busy:
                closed = replace(state.conversations[cv], state="closed", closed_ms=1)
                state.put_conversation(closed)
        case "answer" if office.proposed:
            office.answer(what[0] % len(office.proposed), applied=what[1])
        case "served":
            state.put_served("visitor", "ann", what)
        case "time":
            office.now_ms += what
        case "order":
            queues = QUEUES | {what: Queue(aging_ms=5_000, agent_order="round_robin")}
            state.put_rules(RuleSetRecord(2, "", SYSTEM, 0, {}, queues))


@given(
    people=st.lists(people, max_size=5),
    line=st.lists(lines, max_size=12),
    script=st.lists(st.lists(events, max_size=3), max_size=10),
)
@settings(max_examples=400, deadline=None)
def test_what_is_offered_after_every_event_is_what_the_naive_model_offers(
    people: list[tuple[str, Any]],
    line: list[tuple[str, Any]],
    script: list[list[tuple[str, Any]]],
) -> None:
    office = Office()
    for together in [people, line, *script]:
        for kind, what in together:
            happen(office, kind, what)
        expected = office.expected()
        assert office.matches() == expected
