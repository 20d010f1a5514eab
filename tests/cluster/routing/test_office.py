"""A whole office at sizes that hurt: agents, queues, rules, time and nodes that fail.

    one, two     apply every entry; `two` checks nothing, so what checks is not what decides
    third        is restored from a snapshot of `one` now and then, and goes on from there
    dispatcher   plans from `one`; it is made anew when the leader fails

    I3   one owner, and owner and agent agree        `invariants.check` on samples, `check_touched`
    I4   never above capacity                        after every command
    I5   nobody waits while somebody free fits       the naive model finds nobody left
         the same inputs, the same state             digests of the three are equal

Routes come out of rule files: compiled, decided and judged as in production.
"""

import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cluster.routing.dispatch import RECHECK_MS, REFUSED_PAUSE_MS, Dispatcher
from cluster.routing.needs import Needs
from cluster.routing.ruleset import compile_rules
from cluster.state import commands as c
from cluster.state import invariants, snapshot
from cluster.state.commands import By, Command
from cluster.state.entry import VERSION, Batch, Entry, Proposal, encode
from cluster.state.machine import Machine
from cluster.state.outcome import Done, Refused
from tests.cluster.routing.naive import Naive

SKILLS = ("refund", "billing", "vip")
LANGS = ("zh", "en", "ja")
NODES = ("n1", "n2", "n3")
PLANS_MAX = 400
"""Of one moment; thousands of conversations take some ten."""
OPS = By("operator", "ops")


def rule_text(queues: int, rules: int, seed: int) -> str:
    """Rules that use every part of a route, the same for the same seed."""
    draw = random.Random(seed)
    lines = ["[vars]", 'tags.n = "number"']
    for number in range(queues):
        order = draw.choice(
            ["longest_idle", "least_loaded", "round_robin", "sticky", "proficiency:refund"]
        )
        lines += [f"[queue.q{number}]", f'agent_order = "{order}"']
        lines += [f'mode = "{draw.choice(["ask", "ask", "auto"])}"']
        lines += draw.choice([[], ['aging = "60s"'], ['order = "age"']])
        lines += draw.choice([[], ['wrap_up = "30s"'], ["max_waiting = 20"]])
        lines += draw.choice([[], ['on_timeout = ["next", "away"]']])
        lines += draw.choice([[], [f"skills = {{ {draw.choice(SKILLS)} = 2 }}"]])
    lines += ["[fallback]", 'route = "q0"']
    for number in range(rules):
        queue, other = f"q{draw.randrange(queues)}", f"q{draw.randrange(queues)}"
        steps = [
            f'{{ queue = "{queue}", prefer = "last_agent", for = "10s" }}',
            f'{{ queue = "{queue}", require = "lang in agent.langs", for = "30s" }}',
            f'{{ queue = "{queue}", for = "5s", skip_if = "queue.available == 0" }}',
        ]
        steps = [*draw.sample(steps, draw.randrange(4)), f'{{ queue = "{other}", priority = 3 }}']
        does = draw.choice(['do = "message"', f'do = "queue", to = "{other}"', 'do = "close"'])
        lines += [f"[rule.r{number}]", f"when = 'tags.n == {number}.0'"]
        lines += [f"set = {{ priority = {draw.randrange(5)} }}", f"steps = [{', '.join(steps)}]"]
        lines += draw.choice([[], [f'overflow = {{ after = "90s", {does} }}']])
    return "\n".join(lines) + "\n"


class Office(RuleBasedStateMachine):
    """A small one; subclasses say how large."""

    AGENTS, QUEUES, RULES, BURST = 12, 5, 10, 20

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Machine(), Machine(checked=False)
        self.third = Machine(snapshot.load(snapshot.dump(self.one.state.frozen_copy())))
        self.index = 1
        self.now_ms = 1_000_000
        self.numbers: dict[str, Any] = {}
        self.boots = dict.fromkeys(NODES, 0)
        self.ids = itertools.count(1)
        self.needs = Needs()
        self.cvs = itertools.count(1)
        self.new_leader()

    @property
    def state(self) -> Any:
        return self.one.state

    def new_leader(self) -> None:
        self.dispatcher = Dispatcher(lambda: f"id{next(self.ids):08}", 20_000)

    # -- applying

    def run(self, *wanted: Command, node: str = "n1") -> list[Done | Refused]:
        proposals = tuple(
            Proposal(next(self.numbers[node]), msgspec.Raw(c.encode(command))) for command in wanted
        )
        batch = Batch(node, f"{node}-{self.boots[node]}", 0, proposals)
        payload = encode(Entry(VERSION, self.now_ms, (batch,)))
        self.index += 1
        applied = self.one.apply(self.index, payload)
        assert self.two.apply(self.index, payload) == applied
        assert self.third.apply(self.index, payload) == applied
        return [outcome for *_, outcome in applied.outcomes]  # type: ignore[misc]

    def boot(self, node: str) -> None:
        self.boots[node] += 1
        self.numbers[node] = itertools.count(1)
        self.run(c.BootNode(node, f"{node}-{self.boots[node]}", ""), node=node)

    def come(self, number: int) -> list[Command]:
        by = By("agent", f"a{number:04}")
        skills = {skill: 1 + number % 4 for n, skill in enumerate(SKILLS) if number >> n & 1}
        langs = (LANGS[number % 3],)
        node = NODES[number % 3]
        session = (f"s{number}", by, node, f"{node}-{self.boots[node]}", skills)
        return [
            c.OpenSession(*session, 1 + number % 5, langs),
            c.SetStatus(by, by.id, "online"),
        ]

    # -- the world

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        for node in NODES:
            self.boot(node)
        self.apply_rules(seed, False)
        for number in range(0, self.AGENTS, 2):
            self.run(*self.come(number))

    @rule(seed=st.integers(0, 3), reroute=st.booleans())
    def apply_rules(self, seed: int, reroute: bool) -> None:
        files = {"main.toml": rule_text(self.QUEUES, self.RULES, seed)}
        rules = compile_rules(files)
        queues = {name: one.queue for name, one in rules.queues.items()}
        (outcome,) = self.run(c.ApplyRules(OPS, files, queues, dict(rules.levels), reroute=reroute))
        assert isinstance(outcome, Done)

    @rule(count=st.integers(1, 100), first=st.integers(0, 10_000))
    def conversations_open(self, count: int, first: int) -> None:
        opened: list[Command] = []
        for number in range(first, first + count * self.BURST // 100 + 1):
            by = By("visitor", f"v{number % 50}")
            tags = {"n": float(number * 7 % (self.RULES + 2))}
            cv = f"cv{next(self.cvs):06}"
            opened.append(c.OpenConversation(cv, by, cv, lang=LANGS[number % 3], tags=tags))
        self.run(*opened)

    @rule(first=st.integers(0, 10_000), share=st.integers(1, 4))
    def agents_come(self, first: int, share: int) -> None:
        numbers = [(first + n) % self.AGENTS for n in range(0, self.AGENTS, share)]
        self.run(*(command for number in numbers for command in self.come(number)))

    @rule(
        first=st.integers(0, 10_000),
        status=st.sampled_from(["away", "transfer_only", "offline", "online"]),
    )
    def agents_change(self, first: int, status: Any) -> None:
        names = list(self.state.agents)[first % 7 :: 7]
        self.run(*(c.SetStatus(By("agent", name), name, status) for name in names))

    @rule(share=st.integers(1, 4), kind=st.sampled_from(["accept", "accept", "decline"]))
    def offers_are_answered(self, share: int, kind: str) -> None:
        for oid, offer in list(self.state.offers.items())[::share]:
            by = By("agent", offer.agent)
            if kind == "accept":
                self.run(c.AcceptOffer(oid, by, f"accept {oid}"))
            else:
                self.run(c.DeclineOffer(oid, by))

    @rule(share=st.integers(1, 6), what=st.sampled_from(["close", "close", "agent", "queue"]))
    def work_is_done(self, share: int, what: str) -> None:
        names = list(self.state.agents)
        for number, name in enumerate(names[::share]):
            by, key = By("agent", name), f"k{next(self.ids)}"
            for cv in self.state.agents[name].conversations[:1]:
                if what == "close":
                    self.run(c.CloseConversation(cv, by, key))
                elif what == "agent":
                    to = names[number * 31 % len(names)]
                    self.run(c.TransferConversation(cv, by, key, to_agent=to))
                else:
                    queue = f"q{number % self.QUEUES}"
                    self.run(c.TransferConversation(cv, by, key, to_queue=queue))

    @rule(first=st.integers(0, 10_000))
    def agents_help_themselves(self, first: int) -> None:
        waiting = [cv for queue in self.state.waiting.values() for _, _, cv in queue]
        for number, name in enumerate(list(self.state.agents)[:5]):
            if waiting:
                cv = waiting[(first + number) % len(waiting)]
                self.run(c.TakeConversation(cv, By("agent", name), f"take {next(self.ids)}"))

    @rule(wait_ms=st.sampled_from([1, 900, 3_000, 10_000, 30_000, 130_000]))
    def time_passes(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule(node=st.sampled_from(NODES))
    def a_node_fails(self, node: str) -> None:
        """Its sessions are lost, and are gone when their grace is over; so may the leader be."""
        self.boot(node)
        self.new_leader()

    @rule()
    def a_node_is_restored(self) -> None:
        self.third = Machine(snapshot.load(snapshot.dump(self.state.frozen_copy())))
        digests = {snapshot.digest(one.state) for one in (self.one, self.two, self.third)}
        assert len(digests) == 1

    @rule(lost=st.booleans())
    def the_leader_acts(self, lost: bool) -> None:
        """Plans until nothing is due; then nobody waits who could be served (I5).

        One command of a plan may make another void: that is refused, rests, and is seen again.
        """
        resting = True
        for _ in range(PLANS_MAX):
            plan = self.dispatcher.plan(self.state, self.now_ms)
            if not plan and self.dispatcher.has_more:
                continue
            if not plan and not resting:
                break
            if not plan:
                self.now_ms += REFUSED_PAUSE_MS + RECHECK_MS
                resting = False
                continue
            for command, outcome in zip(plan, self.run(*plan), strict=True):
                if isinstance(outcome, Refused):
                    assert outcome.code in ("conflict", "offer_gone"), (command, outcome)
                    resting = True
                self.dispatcher.settled(command, refused=isinstance(outcome, Refused))
        else:
            raise AssertionError("the leader finds no end")
        left = Naive(self.state, self.now_ms, [], self.needs.fits).matches(set())
        assert left == [], "I5: they wait while somebody is free"
        assert not self.state.unrouted
        if lost:
            self.new_leader()

    def teardown(self) -> None:
        if self.numbers:
            self.the_leader_acts(False)
            self.a_node_is_restored()
            invariants.check(self.state)


class LargeOffice(Office):
    AGENTS, QUEUES, RULES, BURST = 1_000, 50, 200, 2_000


def test_an_office_serves_whoever_it_can_and_every_node_agrees() -> None:
    quick = settings(max_examples=15, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Office, settings=quick)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_agents_fifty_queues_and_two_hundred_rules_do_the_same() -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    large = settings(
        max_examples=5, stateful_step_count=30, deadline=None, suppress_health_check=checks
    )
    run_state_machine_as_test(LargeOffice, settings=large)


def test_a_test_of_an_office_uses_every_part_of_a_route() -> None:
    rules = compile_rules({"main.toml": rule_text(50, 200, 0)})
    kinds = [one.queue for one in rules.queues.values()]
    assert {one.mode for one in kinds} == {"ask", "auto"}
    assert any(one.wrap_up_ms for one in kinds)
    assert any(one.max_waiting for one in kinds)
    assert any(step.skip_if for one in rules.rules for step in one.steps)
    assert any(one.overflow for one in rules.rules)
