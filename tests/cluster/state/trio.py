"""Three machines that apply the same entries, and what must hold of them after each.

    one      applies every entry, checks every invariant after each
    two      applies the same entries
    third    is restored from a snapshot of `one` now and then, and goes on from there

All must say the same and be the same, and what is refused leaves no trace.  Beside them stands a
small model that knows only what was acknowledged: messages by key, and who owns what by which
fence.
"""

import itertools
from collections import Counter
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cluster.state import commands as c
from cluster.state import entry as entries
from cluster.state import invariants, snapshot
from cluster.state.commands import By, Command
from cluster.state.entry import VERSION, Batch, Entry, Proposal
from cluster.state.machine import Machine
from cluster.state.model import CONVERSATION_NEXT
from cluster.state.outcome import Appended, ConversationPurged, Done, OfferGone, OfferMade, Refused
from cluster.state.state import State

NODES = ("n1", "n2")
CVS = ("cv1", "cv2", "cv3", "cv4")
AGENTS = tuple(By("agent", name) for name in ("bob", "li", "kim"))
VISITORS = (By("visitor", "ann"), By("visitor", "bob"))
SUE = By("supervisor", "sue")
OPS = By("operator", "ops")
QUEUES = ("general", "vip")

cvs = st.sampled_from(CVS)
agents = st.sampled_from(AGENTS)
people = st.sampled_from((*AGENTS, *VISITORS, SUE, SUE, OPS))
keys = st.sampled_from([f"k{number}" for number in range(12)])
waits_ms = st.sampled_from([0, 1, 900, 5_000, 20_000, 30_000])
DONE: Counter[type[Any]] = Counter()
"""Commands that were not refused, by kind."""
_MOVES = ("now_ms", "applied_index", "proposers", "keys", "revoked", "agent_changes")
"""What an entry may change that refuses all it brings: it moves on, and time forgets."""


class Trio(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.one = Machine()
        self.two = Machine(checked=False)
        self.third = Machine(snapshot.load(snapshot.dump(self.one.state.frozen_copy())))
        self.index = 0
        self.now_ms = 1_000_000
        self.numbers = {node: itertools.count(1) for node in NODES}
        self.boots = dict.fromkeys(NODES, 1)
        self.ids = itertools.count(1)
        self.sent: list[bytes] = []
        self.seqs: dict[str, int] = {}
        self.states: dict[str, Any] = {}
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.fences: dict[str, int] = {}
        self.pending: set[str] = set()
        self.issued: list[tuple[str, str, int]] = []
        self.out: set[tuple[str, str, int]] = set()

    # -- running

    def run(self, *wanted: Command, node: str = "n1") -> list[Done | Refused]:
        proposals = tuple(
            Proposal(next(self.numbers[node]), msgspec.Raw(c.encode(command))) for command in wanted
        )
        batch = Batch(node, f"{node}-{self.boots[node]}", 0, proposals)
        payload = entries.encode(Entry(VERSION, self.now_ms, (batch,)))
        self.sent.append(payload)
        before = _kept(self.one.state)
        outcomes = []
        for command, outcome in zip(wanted, self.apply(payload), strict=True):
            assert isinstance(outcome, Done | Refused), "a new proposal is never skipped"
            outcomes.append(outcome)
            self.note(command, outcome)
            DONE[type(command)] += isinstance(outcome, Done)
        invariants.check(self.one.state)
        if all(isinstance(outcome, Refused) for outcome in outcomes):
            assert _kept(self.one.state) == before, "a refusal leaves no trace"
        return outcomes

    def apply(self, payload: bytes) -> list[Any]:
        self.index += 1
        applied = self.one.apply(self.index, payload)
        assert self.two.apply(self.index, payload) == applied
        assert self.third.apply(self.index, payload) == applied
        self.follow(applied.notices)
        return [outcome for *_, outcome in applied.outcomes]

    def follow(self, notices: list[Any]) -> None:
        """Observe as a subscriber does: every seq once and in order, every offer once."""
        for notice in notices:
            match notice:
                case Appended(cv, event):
                    assert event.seq == self.seqs.get(cv, 0) + 1
                    self.seqs[cv] = event.seq
                    if event.type == "assigned":
                        assert event.data["fence"] == self.fences.get(cv, 0) + 1
                        self.fences[cv] = event.data["fence"]
                case OfferMade(offer):
                    self.pending.add(offer.oid)
                case OfferGone(offer, _):
                    self.pending.remove(offer.oid)
                case ConversationPurged(cv):
                    del self.seqs[cv]
                    self.fences.pop(cv, None)
                    self.states.pop(cv)

    def note(self, command: Command, outcome: Done | Refused) -> None:
        if isinstance(command, c.SendMessage) and isinstance(outcome, Done):
            name = (f"{command.by.kind} {command.by.id}", command.key)
            first = self.messages.setdefault(name, outcome.result)
            assert outcome.dup == (first is not outcome.result)
            assert outcome.result == first, "one answer for one key"

    def may_act(self, by: By) -> bool:
        """Whether commands of `by` count."""
        account = self.one.state.accounts.get(by.id)
        return account is None or account.kind != by.kind or not account.disabled

    # -- what the network and the disk do

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """A batch comes a second time: the index moves, nothing else."""
        payload = data.draw(st.sampled_from(self.sent))
        before = snapshot.digest(self.one.state)
        index = self.one.state.applied_index
        now_ms = self.one.state.now_ms
        self.apply(payload)
        assert self.one.state.now_ms == now_ms
        after = self.one.state.frozen_copy()
        after.applied_index = index
        after.now_ms = now_ms
        assert snapshot.digest(after) == before

    @rule(payload=st.binary(max_size=30))
    def deliver_rubbish(self, payload: bytes) -> None:
        assert self.apply(payload) == []

    @rule()
    def restore(self) -> None:
        copy = self.one.state.frozen_copy()
        self.third = Machine(snapshot.load(snapshot.dump(copy)))

    # -- what holds

    @invariant()
    def all_are_the_same(self) -> None:
        wanted = snapshot.digest(self.one.state)
        assert snapshot.digest(self.two.state) == wanted
        assert snapshot.digest(self.third.state) == wanted

    @invariant()
    def lifecycles_are_followed(self) -> None:
        for cv, conversation in self.one.state.conversations.items():
            before = self.states.get(cv, "new")
            assert conversation.state in _reachable(before), (before, conversation.state)
            self.states[cv] = conversation.state
            assert conversation.seq == self.seqs[cv]
            assert conversation.fence == self.fences.get(cv, 0)
        assert self.pending == self.one.state.offers.keys()


def _kept(state: State) -> dict[str, Any]:
    """Return what a refusal must leave as it is, with the order of its dictionaries."""
    kept = {name: value for name, value in vars(state.frozen_copy()).items() if name not in _MOVES}
    names = {name: list(value) for name, value in kept.items() if isinstance(value, dict)}
    return {**kept, "order": names}


def _reachable(state: Any) -> set[Any]:
    """An entry may hold several steps."""
    found = {state}
    todo = [state]
    while todo:
        todo += [new for new in CONVERSATION_NEXT[todo.pop()] if new not in found]
        found.update(todo)
    return found
