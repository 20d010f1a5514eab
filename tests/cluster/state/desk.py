"""A desk to act on in tests: one machine, and a word for everything people do."""

import itertools
from typing import Any

import msgspec

from cluster.state import commands as c
from cluster.state import invariants
from cluster.state.commands import By, Command
from cluster.state.entry import VERSION, Batch, Entry, Proposal, encode
from cluster.state.machine import Applied, Machine
from cluster.state.model import Agent, Conversation
from cluster.state.outcome import Done, Notice, Outcome, Refused
from cluster.state.route import Route, Step
from cluster.state.state import State

ANN = By("visitor", "ann", "Ann")
EVE = By("visitor", "eve")
BOB = By("agent", "bob", "Bob")
LI = By("agent", "li", "李雷")
SUE = By("supervisor", "sue")
OPS = By("operator", "ops")


def raw(command: Command) -> msgspec.Raw:
    return msgspec.Raw(c.encode(command))


def entry(
    now_ms: int,
    *proposals: tuple[int, Command],
    settled: int = 0,
    node: str = "n1",
    boot: str = "b1",
) -> bytes:
    numbered = tuple(Proposal(number, raw(command)) for number, command in proposals)
    return encode(Entry(VERSION, now_ms, (Batch(node, boot, settled, numbered),)))


def routed(
    cv: str, queue: str, priority: int, rule: str, rev: int, skills: tuple[str, ...] = ()
) -> c.RouteConversation:
    """The command that sends a conversation to one queue, for whoever holds `skills`."""
    step = Step(queue, priority, dict.fromkeys(skills, 0))
    return c.RouteConversation(cv, Route((step,), rule, rev))


class Desk:
    """Runs one command an entry, one second apart, checking every invariant after each."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.now_ms = 1_000_000
        self.notices: list[Notice] = []
        self.entries: list[bytes] = []
        self._index = itertools.count(2)
        self._number = itertools.count(1)
        self._key = itertools.count(1)
        self.done(c.BootNode("n1", "b1", "ws://n1"))

    @property
    def state(self) -> State:
        return self.machine.state

    def apply(self, payload: bytes) -> Applied:
        self.entries.append(payload)
        applied = self.machine.apply(next(self._index), payload)
        self.notices = applied.notices
        invariants.check(self.machine.state)
        return applied

    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def run(self, command: Command) -> Outcome:
        """Apply one command, a second after the one before."""
        self.now_ms += 1_000
        applied = self.apply(entry(self.now_ms, (next(self._number), command)))
        outcome = applied.outcomes[0][3]
        assert isinstance(outcome, Done | Refused)
        return outcome

    def done(self, command: Command) -> dict[str, Any]:
        outcome = self.run(command)
        assert isinstance(outcome, Done), outcome
        return outcome.result

    def refused(self, command: Command) -> Refused:
        outcome = self.run(command)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def key(self) -> str:
        return f"key{next(self._key)}"

    # -- what people do

    def open(self, cv: str = "cv1", by: By = ANN, **fields: Any) -> None:
        self.done(c.OpenConversation(cv, by, self.key(), **fields))

    def waiting(self, cv: str = "cv1", priority: int = 0, skills: tuple[str, ...] = ()) -> None:
        self.open(cv)
        self.done(routed(cv, "general", priority, "rule", 0, skills))

    def online(self, by: By = BOB, capacity: int = 2, sid: str = "", node: str = "n1") -> None:
        sid = sid or f"sid-{by.id}"
        self.done(c.OpenSession(sid, by, node, "b1", {"refund": 3}, capacity))
        self.done(c.SetStatus(by, by.id, "online"))

    def offered(self, cv: str = "cv1", by: By = BOB, oid: str = "") -> str:
        oid = oid or f"o-{cv}-{by.id}"
        self.done(c.MakeOffer(oid, cv, by.id, 20_000))
        return oid

    def assigned(self, cv: str = "cv1", by: By = BOB) -> None:
        self.waiting(cv)
        self.done(c.AcceptOffer(self.offered(cv, by), by, self.key()))

    def say(self, by: By, cv: str = "cv1", body: Any = "hi", **fields: Any) -> c.SendMessage:
        key = fields.pop("key", None) or self.key()
        return c.SendMessage(cv, f"m-{key}", by, key, "text", body, **fields)

    def conversation(self, cv: str = "cv1") -> Conversation:
        return self.state.conversations[cv]

    def agent(self, by: By = BOB) -> Agent:
        return self.state.agents[by.id]

    def line(self, queue: str = "general") -> list[str]:
        """Who waits in the queue, first first."""
        return [cv for _, _, cv in self.state.waiting.get(queue, ())]

    def events(self, cv: str = "cv1") -> list[str]:
        return [event.type for event in self.state.conversations[cv].tail]
