"""Random commands about who gets what: rules, routes, offers, overflows, wrap-ups, statuses."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.limits import ARGON2ID_PREFIX
from cluster.state.model import Conversation
from cluster.state.outcome import Done
from cluster.state.route import Overflow, Queue, Route, ServiceLevel, Step
from tests.cluster.state.trio import (
    AGENTS,
    CVS,
    NODES,
    OPS,
    QUEUES,
    SUE,
    VISITORS,
    Trio,
    agents,
    cvs,
    keys,
    people,
    waits_ms,
)

RULES: dict[str, dict[str, Queue]] = {
    "a": {"vip": Queue(wrap_up_ms=20_000), "general": Queue(wrap_up_ms=5_000)},
    "b": {
        "vip": Queue(skills={"refund": 1}, on_timeout=("next", "away"), wrap_up_ms=1),
        "general": Queue(mode="auto", wrap_up_ms=20_000, max_waiting=1),
    },
    "c": {"vip": Queue(aging_ms=1_000, wrap_up_ms=3_000)},
}
LEVEL = ServiceLevel(10_000, 5_000, 30_000)

steps = st.builds(
    Step,
    st.sampled_from(QUEUES),
    st.integers(0, 2),
    st.sampled_from([{}, {}, {"refund": 1}]),
    for_ms=st.sampled_from([0, 5_000]),
    prefer=st.sampled_from(["", "last_agent"]),
)
overflows = st.builds(
    Overflow,
    st.sampled_from([0, 20_000]),
    st.sampled_from(["queue", "bot", "message", "callback", "close"]),
    st.sampled_from(["vip", "bob"]),
)
routes = st.builds(
    Route,
    st.lists(steps, min_size=1, max_size=3).map(tuple),
    st.just("r"),
    st.integers(0, 3),
    st.integers(1, 2),
    st.sampled_from(["", "g"]),
    st.one_of(st.none(), overflows),
)


class Giving(Trio):
    @initialize(text=st.sampled_from("abc"), route=routes, capacity=st.integers(1, 3))
    def begin_a_day(self, text: str, route: Route, capacity: int) -> None:
        """All agents are here, one conversation is somebody's, one waits, and one is new."""
        for node in NODES:
            self.run(c.BootNode(node, f"{node}-1", ""), node=node)
        ann = VISITORS[0]
        self.run(
            c.ApplyRules(OPS, {"main.toml": text}, RULES[text], {"g": LEVEL}),
            c.PutAccount(OPS, "day", "pos", "service", secret=f"{ARGON2ID_PREFIX}of-something"),
            *(c.OpenConversation(cv, ann, f"day {cv}", text="help", mid="m") for cv in CVS[:3]),
            *(c.RouteConversation(cv, route) for cv in CVS[:2]),
        )
        for by, node in zip(AGENTS, (*NODES, *NODES), strict=False):
            session = (f"{by.id}-1", by, node, f"{node}-1", {"refund": 1}, capacity)
            self.run(c.OpenSession(*session), c.SetStatus(by, by.id, "online"), node=node)
        self.run(c.TakeConversation(CVS[0], AGENTS[0], "day"))

    # -- rules and routes

    @rule(
        text=st.sampled_from("abc"),
        expected=st.sampled_from([None, None, 0, 1]),
        anew=st.booleans(),
    )
    def apply_rules(self, text: str, expected: int | None, anew: bool) -> None:
        files, slas = {"main.toml": text}, {"g": LEVEL}
        self.run(c.ApplyRules(OPS, files, RULES[text], slas, expected, reroute=anew))

    @rule(rev=st.integers(0, 4), expected=st.sampled_from([None, 1, 3]))
    def roll_back_rules(self, rev: int, expected: int | None) -> None:
        self.run(c.RollbackRules(OPS, rev, expected))

    @rule(cv=cvs, route=routes)
    def route_along_steps(self, cv: str, route: Route) -> None:
        self.run(c.RouteConversation(cv, route))

    @rule(wait_ms=waits_ms)
    def go_on_to_the_next_step(self, wait_ms: int) -> None:
        """What the index says is over is."""
        self.now_ms += wait_ms
        for at_ms, cv in list(self.one.state.step_ends):
            step = self.one.state.conversations[cv].step
            (outcome,) = self.run(c.AdvanceStep(cv, step, step + 1))
            assert isinstance(outcome, Done) or at_ms > self.now_ms

    @rule(cv=cvs)
    def go_on_at_once(self, cv: str) -> None:
        self.run(c.AdvanceStep(cv, 0, 1))

    @rule(wait_ms=waits_ms)
    def overflow_what_waits_too_long(self, wait_ms: int) -> None:
        self.now_ms += wait_ms
        for at_ms, cv in list(self.one.state.overflows):
            (outcome,) = self.run(c.OverflowConversation(cv))
            assert isinstance(outcome, Done) or at_ms > self.now_ms

    @rule()
    def overflow_what_is_too_much(self) -> None:
        state = self.one.state
        for queue, most in state.capped.items():
            if state.lines.waiting_for_people(queue) > most:
                (outcome,) = self.run(c.OverflowConversation(state.lines.newest(queue)))
                assert isinstance(outcome, Done)

    @rule(cv=cvs)
    def overflow_anything(self, cv: str) -> None:
        self.run(c.OverflowConversation(cv))

    # -- offers

    @rule(cv=cvs, agent=agents)
    def offer_anything(self, cv: str, agent: By) -> None:
        self.run(c.MakeOffer(f"o{next(self.ids)}", cv, agent.id, 20_000))

    @rule(count=st.integers(1, 3))
    def offer_as_the_dispatcher_would(self, count: int) -> None:
        """From the indexes alone: what they name as free and waiting is never refused."""
        for _ in range(count):
            state = self.one.state
            waiting = [item for queue in state.waiting.values() for item in queue]
            for _, _, cv in sorted(waiting):
                conversation = state.conversations[cv]
                free = [name for _, name in state.free if self.may_have(conversation, name)]
                if free:
                    (outcome,) = self.run(c.MakeOffer(f"o{next(self.ids)}", cv, free[0], 20_000))
                    assert isinstance(outcome, Done)
                    break

    def may_have(self, conversation: Conversation, name: str) -> bool:
        agent = self.one.state.agents[name]
        named = conversation.target or conversation.preferred
        room = agent.load + conversation.weight <= agent.capacity
        able = conversation.target == name or not agent.lacks(conversation.skills)
        return named in ("", name) and room and able

    @rule(cv=cvs, by=people, key=keys)
    def take(self, cv: str, by: By, key: str) -> None:
        (outcome,) = self.run(c.TakeConversation(cv, by, f"take-{key}"))
        if isinstance(outcome, Done) and not outcome.dup:
            assert self.one.state.conversations[cv].owner == by.id

    # -- wrap-ups and statuses

    @rule(by=agents, cv=cvs)
    def finish_wrap_up(self, by: By, cv: str) -> None:
        agent = self.one.state.agents.get(by.id)
        mine = [one.cv for one in agent.wrap_ups] if agent is not None else []
        self.run(c.FinishWrapUp(by, (*mine, cv)[0]))

    @rule(wait_ms=waits_ms)
    def end_wrap_ups(self, wait_ms: int) -> None:
        self.now_ms += wait_ms
        for until_ms, agent, cv in list(self.one.state.wrap_ends):
            (outcome,) = self.run(c.EndWrapUp(agent, cv))
            assert isinstance(outcome, Done) is (until_ms <= self.now_ms)

    @rule(
        by=st.sampled_from((*AGENTS, SUE)),
        agent=agents,
        status=st.sampled_from(["online", "away", "offline", "transfer_only"]),
        wait_ms=waits_ms,
    )
    def be_something_until(self, by: By, agent: By, status: Any, wait_ms: int) -> None:
        self.run(c.SetStatus(by, agent.id, status, "", self.now_ms + wait_ms + 1))

    @rule(wait_ms=waits_ms)
    def end_statuses(self, wait_ms: int) -> None:
        """What the index says has ended has."""
        self.now_ms += wait_ms
        for until_ms, name in list(self.one.state.status_ends):
            (outcome,) = self.run(c.EndStatus(name))
            assert isinstance(outcome, Done) is (until_ms <= self.now_ms)

    @rule(wait_ms=waits_ms)
    def end_invitations(self, wait_ms: int) -> None:
        self.now_ms += wait_ms
        for at_ms, iid in list(self.one.state.invitation_ends):
            (outcome,) = self.run(c.ExpireOffer(iid))
            assert isinstance(outcome, Done) is (at_ms <= self.now_ms)

    @rule(by=people, cv=cvs)
    def look_into(self, by: By, cv: str) -> None:
        self.run(c.AddAudit(by, "conversation.read", {"cv": cv}))
