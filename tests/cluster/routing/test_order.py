"""Order while the log is slow: plans go on, and what was proposed is applied later or not at all.

plan ──▶ on its way, in order ──▶ applied ──▶ outcome
                ▲
                └── what people do, and what an earlier leader sent
"""

import itertools
import random
from collections import deque

import pytest

from cluster.routing.dispatch import RECHECK_MS, Dispatcher
from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.outcome import Outcome, Refused
from cluster.state.route import Queue
from tests.cluster.state.desk import ANN, BOB, LI, OPS, Desk

Way = deque[tuple[Command, Dispatcher]]


class QuickDesk(Desk):
    """A desk where everything happens within a moment."""

    def run(self, command: Command) -> Outcome:
        self.now_ms -= 999
        return super().run(command)


class Slow:
    """A desk whose leader hears of its proposals when the test says so."""

    def __init__(self) -> None:
        self.desk = QuickDesk()
        self.on_way: Way = deque()
        self._ids = itertools.count(1)
        self.lead()

    def lead(self) -> None:
        """Another leadership begins; what the one before sent is still on its way."""
        self.one = Dispatcher(lambda: f"id{next(self._ids):06}", 20_000)

    def plan(self) -> list[Command]:
        plan = self.one.plan(self.desk.state, self.desk.now_ms)
        self.on_way.extend((command, self.one) for command in plan)
        return plan

    def offers(self) -> list[tuple[str, str]]:
        return [(one.cv, one.agent) for one in self.plan() if isinstance(one, c.MakeOffer)]

    def arrive(self, most: int = 1_000) -> list[bool]:
        """Apply what comes next; return whether each was refused."""
        found: list[bool] = []
        while self.on_way and len(found) < most:
            command, proposer = self.on_way.popleft()
            refused = isinstance(self.desk.run(command), Refused)
            if proposer is self.one:
                self.one.settled(command, refused=refused)
            found.append(refused)
        return found


def test_an_offer_that_came_too_late_for_its_agent_is_made_to_another_at_once() -> None:
    slow = Slow()
    desk = slow.desk
    desk.online(BOB, capacity=1)
    for number in range(2):
        desk.waiting(f"cv{number}")
    assert slow.offers() == [("cv0", "bob")]
    desk.done(c.SetStatus(BOB, "bob", "away"))
    desk.online(LI, capacity=1)
    assert slow.arrive() == [True]
    assert slow.offers() == [("cv0", "li")], "not cv1, which is younger"


def test_who_is_being_routed_anew_keeps_their_place_in_the_line() -> None:
    slow = Slow()
    desk = slow.desk
    for number in range(2):
        desk.waiting(f"cv{number}")
    desk.done(c.ApplyRules(OPS, {"main.toml": "[fallback]\nroute = 'general'"}, {}, reroute=True))
    assert [type(one) for one in slow.plan()] == [c.RouteConversation] * 2
    slow.arrive(0)
    desk.online(BOB, capacity=1)
    command, _ = slow.on_way.pop()  # cv1 is routed first; cv0 is still on its way
    desk.done(command)
    slow.one.settled(command)
    assert slow.offers() == []
    slow.arrive(1)
    assert slow.offers() == [("cv0", "bob")]


def test_who_was_not_to_overflow_after_all_keeps_their_place() -> None:
    slow = Slow()
    desk = slow.desk
    desk.done(c.ApplyRules(OPS, {"main.toml": ""}, {"general": Queue(max_waiting=1)}))
    desk.waiting("cv0")
    desk.waiting("cv1")
    assert slow.plan() == [c.OverflowConversation("cv1")]
    desk.done(c.CloseConversation("cv0", ANN, "k"))
    assert slow.arrive() == [True]
    desk.waiting("cv2")
    desk.online(BOB, capacity=1)
    assert slow.offers() == [("cv1", "bob")]


def test_all_who_are_too_many_overflow_at_once_the_newest_first() -> None:
    slow = Slow()
    desk = slow.desk
    for number in range(6):
        desk.waiting(f"cv{number}")
    desk.done(c.ApplyRules(OPS, {"main.toml": ""}, {"general": Queue(max_waiting=2)}))
    assert slow.plan() == [c.OverflowConversation(f"cv{number}") for number in (5, 4, 3, 2)]
    assert slow.arrive() == [False] * 4
    assert slow.plan() == []


def test_who_preferred_an_agent_that_left_while_an_offer_was_on_its_way_goes_on() -> None:
    slow = Slow()
    desk = slow.desk
    desk.online(BOB)
    desk.assigned("cv0")
    desk.done(c.CloseConversation("cv0", BOB, "k"))
    desk.open("cv1")
    steps = "[{ queue = 'general', prefer = 'last_agent', for = '1h' }, { queue = 'general' }]"
    desk.done(c.ApplyRules(OPS, {"main.toml": f"[rule.r]\nsteps = {steps}"}, {}))
    slow.plan()
    slow.arrive()
    assert slow.offers() == [("cv1", "bob")]
    desk.done(c.SetStatus(BOB, "bob", "offline"))
    slow.plan()
    assert slow.arrive() == [True]
    desk.wait(RECHECK_MS)
    assert [type(one) for one in slow.plan()] == [c.AdvanceStep]


def test_an_answer_of_an_earlier_leadership_settles_nothing_of_this_one() -> None:
    slow = Slow()
    desk = slow.desk
    desk.online(BOB, capacity=1)
    desk.online(LI, capacity=1)
    desk.open("cv0")
    (old,) = slow.plan()
    slow.one.reset()
    slow.plan()
    desk.done(old)
    slow.one.settled(old)
    assert slow.offers() == [], "the same is proposed still"
    slow.on_way.popleft()
    slow.arrive()
    assert slow.offers() == [("cv0", "bob")]


@pytest.mark.parametrize("seed", range(8))
def test_nobody_is_offered_after_one_who_was_opened_later(seed: int) -> None:
    """Agents close what they are given; the log is behind by what it likes; leaders are deposed,
    and what they proposed is lost."""
    draw = random.Random(seed)
    slow = Slow()
    desk = slow.desk
    agents = [By("agent", f"a{number}") for number in range(4)]
    for by in agents:
        desk.online(by, capacity=2)
    offered: dict[str, None] = {}
    opened: list[str] = []
    while len(opened) < 80:
        agent = desk.agent(draw.choice(agents))
        what = draw.choice(["open", "arrive", "arrive", "arrive", "accept", "close", "lead"])
        if what == "open":
            opened.append(f"cv{len(opened):03}")
            desk.open(opened[-1], By("visitor", opened[-1]))
        elif what == "arrive":
            slow.arrive(draw.randrange(1, 4))
        elif what == "accept":
            for oid in agent.offers:
                desk.done(c.AcceptOffer(oid, By("agent", agent.agent), oid))
        elif what == "close":
            for cv in agent.conversations:
                desk.done(c.CloseConversation(cv, By("agent", agent.agent), f"close {cv}"))
        elif draw.random() < 0.1:
            slow.on_way.clear()
            slow.lead()
        for cv in opened:
            if desk.conversation(cv).state not in ("new", "waiting"):
                offered.setdefault(cv)
        slow.plan()
    assert len(offered) > 30
    assert list(offered) == sorted(offered)
