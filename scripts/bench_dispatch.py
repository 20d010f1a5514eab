"""What a dispatch costs: the leader's plan after one event, with many waiting and many agents.

    python -m scripts.bench_dispatch [--agents 1000] [--queues 50] [--waiting 10000] [--rounds 1000]

    agent freed       all are busy and all others wait; one conversation is closed, and its agent is
                      offered the most urgent that they fit
    conversation new  nobody waits and all are free; one is routed, and the agent is chosen
    nothing to do     the plan after the offer was accepted
    first plan        a new leader's, that knows nothing yet
    rest              as "agent freed", where nobody fits: everybody waits on

Every command is applied by a real machine between two plans; only plans are timed, with the
outcome that the dispatcher is told.  Processor time of one thread.
"""

import argparse
import gc
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from cluster.routing.dispatch import Dispatcher
from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.entry import VERSION, Batch, Entry, Proposal, encode
from cluster.state.machine import Machine
from cluster.state.outcome import Done
from cluster.state.route import Queue, Route, Step

SKILLS = ("refund", "billing", "shipping", "returns", "vip")
LANGS = ("zh", "en", "yue", "ja")
NEED = '["lang in agent.langs",{"lang":"%s"}]'
CAPACITY = 3
VISITOR = By("visitor", "ann", "Ann")
OPERATOR = By("operator", "op")


class Size(NamedTuple):
    """How large the office is."""

    agents: int = 1_000
    queues: int = 50
    waiting: int = 10_000


class Office:
    """A machine, a dispatcher, and the times of its plans by what led to them."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.machine = Machine(checked=False)
        self._ids = itertools.count(1)
        self._indexes = itertools.count(2)
        self._numbers = itertools.count(1)
        self.now_ms = 1_000_000
        self.dispatcher = Dispatcher(lambda: f"o{next(self._ids):08}", 20_000)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.apply(c.BootNode("n1", "b1", ""))
        queues = {f"q{number}": Queue(aging_ms=60_000) for number in range(size.queues)}
        self.apply(c.ApplyRules(OPERATOR, {"main.toml": ""}, queues))
        for number in range(size.agents):
            by = self.agent(number)
            skills = {
                SKILLS[n]: 1 + (number + n) % 5 for n in range(len(SKILLS)) if number >> n & 1
            }
            langs = (LANGS[number % 4], LANGS[number // 4 % 4])
            session = (f"s{number}", by, "n1", "b1", skills, CAPACITY, langs)
            self.apply(c.OpenSession(*session))
            self.apply(c.SetStatus(by, by.id, "online"))

    def agent(self, number: int) -> By:
        return By("agent", f"a{number:05}")

    def apply(self, *wanted: Command) -> None:
        self.now_ms += 1
        proposals = tuple(
            Proposal(next(self._numbers), msgspec.Raw(c.encode(command))) for command in wanted
        )
        entry = Entry(VERSION, self.now_ms, (Batch("n1", "b1", 0, proposals),))
        applied = self.machine.apply(next(self._indexes), encode(entry))
        for command, (*_, outcome) in zip(wanted, applied.outcomes, strict=True):
            assert isinstance(outcome, Done), (command, outcome)

    def waits(self, number: int) -> None:
        """One more conversation waits, in one of the queues, for some skill and language."""
        cv = f"cv{number:07}"
        queue = f"q{number * 7 % self.size.queues}"
        skills = {SKILLS[number % 5]: 1 + number % 3} if number % 3 else {}
        need = NEED % LANGS[number % 4] if number % 2 else ""
        route = Route((Step(queue, number % 4, skills, need),), "r", 1)
        self.apply(c.OpenConversation(cv, VISITOR, cv), c.RouteConversation(cv, route))

    def plan(self, what: str) -> list[Command]:
        """Plan, apply it, tell, and note the time."""
        began = time.thread_time_ns()
        plan = self.dispatcher.plan(self.machine.state, self.now_ms)
        took = time.thread_time_ns() - began
        if plan:
            self.apply(*plan)
        began = time.thread_time_ns()
        for command in plan:
            self.dispatcher.settled(command)
        took += time.thread_time_ns() - began
        self.times[what].append(took / 1_000)
        return plan

    def accept(self) -> None:
        for oid, offer in list(self.machine.state.offers.items()):
            self.apply(c.AcceptOffer(oid, By("agent", offer.agent), oid))

    def fill(self) -> None:
        """Let everybody be busy, and all others wait."""
        for number in range(self.size.agents * CAPACITY + self.size.waiting):
            self.waits(number)
            if number % 500 == 499:
                while self.plan("filling"):
                    self.accept()
        while self.plan("filling"):
            self.accept()


def agents_freed(size: Size, rounds: int) -> Iterator[Office]:
    """Close one conversation after the other; yield the office."""
    office = Office(size)
    office.fill()
    state = office.machine.state
    offered = 0
    for number in range(rounds):
        agent = state.agents[office.agent(number * 37 % size.agents).id]
        for cv in agent.conversations[:1]:
            office.apply(c.CloseConversation(cv, By("agent", agent.agent), cv))
        plan = office.plan("agent freed")
        offered += bool(plan)
        office.accept()
        office.plan("nothing to do")
    waiting = sum(map(len, state.waiting.values()))
    print(
        f"{waiting} wait in {len(state.lines.lines)} lines; {offered} of {rounds} were offered one"
    )
    office.dispatcher.reset()
    office.plan("first plan, all busy")
    yield office


def conversations_new(size: Size, rounds: int) -> Iterator[Office]:
    """Route one conversation after the other to free agents; yield the office."""
    office = Office(size)
    office.plan("first plan, all free")
    for number in range(rounds):
        office.waits(number)
        plan = office.plan("conversation new")
        assert len(plan) == 1, plan
        office.accept()
        for agent in (one for one in plan if isinstance(one, c.MakeOffer)):
            office.apply(c.CloseConversation(agent.cv, By("agent", agent.agent), agent.cv))
        office.plan("nothing to do, all free")
    yield office


def rows(size: Size, rounds: int) -> Iterator[tuple[str, int, float, float, float]]:
    """Yield what, how often, median, 99th percentile and longest, in microseconds."""
    for offices in (agents_freed(size, rounds), conversations_new(size, rounds)):
        for office in offices:
            gc.collect()
            for what, took in office.times.items():
                if what == "filling":
                    continue
                p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
                yield what, len(took), statistics.median(took), p99, max(took)


def print_table(size: Size, rounds: int) -> None:
    """Print the table of dispatches."""
    print(f"{size.agents} agents, {size.queues} queues, {size.waiting} waiting")
    found = list(rows(size, rounds))
    print(f"{'':<28}{'plans':>8}{'median us':>12}{'p99 us':>12}{'longest us':>12}")
    for what, plans, median, p99, longest in found:
        print(f"{what:<28}{plans:>8}{median:>12.0f}{p99:>12.0f}{longest:>12.0f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument("--queues", type=int, default=50)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1_000)
    options = parser.parse_args()
    print_table(Size(options.agents, options.queues, options.waiting), options.rounds)


if __name__ == "__main__":
    main()
