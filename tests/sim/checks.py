"""What must never happen, whatever the faults; checked while a simulated cluster runs.

The names are those of the design (I1 to I7) and of Raft's own rules.

one leader      at most one per term, ever                              Raft thesis 3.2
one vote        a node votes for one candidate per term                 3.4
no return       a node's term never falls, not over a crash; but with its disk
I1 one history  all nodes apply the same entry at an index              3.2
I1 once         a node applies each index once, in order
I1 no loss      what was acknowledged is in the end state of all, once
I2 I3 I4        the state machine's own invariants, after every command
I6 no stale     what clients saw is linearizable, per conversation      `linearizability`
I5 I7 the end   after the last fault all members have the same state, and nobody waits
                for an agent who is free
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.state.model import Agent, Conversation
from cluster.state.snapshot import digest
from cluster.state.state import State
from tests.sim.clients import messages_of
from tests.sim.linearizability import Operation, is_linearizable

DISPATCH_S = 1.5
"""Longer than a proposal takes whose message was lost before the last fault ended."""


class Violation(AssertionError):
    """The cluster broke a promise."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


@dataclass(slots=True)
class Checks:
    leaders: dict[int, str] = field(default_factory=dict)
    votes: dict[tuple[str, int], str] = field(default_factory=dict)
    history: dict[int, bytes] = field(default_factory=dict)
    """Per index: digest of (term, payload), by whoever applied it first."""
    applied: dict[str, int] = field(default_factory=dict)
    terms: dict[str, int] = field(default_factory=dict)
    acked: dict[tuple[str, str], int] = field(default_factory=dict)
    """Per (conversation, message): its number."""
    conversations: set[str] = field(default_factory=set)
    """Whose opening was acknowledged."""
    idle_since_s: dict[str, float] = field(default_factory=dict)
    """Conversations that wait while somebody is free, and since when."""

    # -- after every step

    def started(self, node: str, applied_index: int, term: int) -> None:
        """`node` starts from a snapshot at `applied_index`."""
        check(term >= self.terms.get(node, 0), f"no return: {node} came back in term {term}")
        self.applied[node] = applied_index

    def forgot(self, node: str) -> None:
        """`node` lost its disk: its terms and votes of before bind it no more."""
        self.terms.pop(node, None)
        self.votes = {vote: to for vote, to in self.votes.items() if vote[0] != node}

    def seen(self, node: str, term: int, leads: bool) -> None:
        """`node` ended a turn."""
        check(term >= self.terms.get(node, 0), f"no return: the term of {node} fell to {term}")
        self.terms[node] = term
        if leads:
            other = self.leaders.setdefault(term, node)
            check(other == node, f"one leader: {other} and {node} both lead term {term}")

    def voted(self, node: str, candidate: str, term: int) -> None:
        """A vote left `node`."""
        other = self.votes.setdefault((node, term), candidate)
        check(other == candidate, f"one vote: {node} for {other} and {candidate} in term {term}")

    def applies(self, node: str, index: int, term: int, payload: bytes | None) -> None:
        """`node` applies an entry."""
        expected = self.applied[node] + 1
        check(index == expected, f"I1 once: {node} applies {index}, expected {expected}")
        self.applied[node] = index
        entry = hashlib.blake2b(b"%d:" % term + (payload or b""), digest_size=12).digest()
        other = self.history.setdefault(index, entry)
        check(other == entry, f"I1 one history: {node} applies another entry at {index}")

    def installs(self, node: str, index: int) -> None:
        """`node` jumps to a snapshot of its leader."""
        before = self.applied[node]
        check(index > before, f"I1 once: {node} goes back from {before} to a snapshot at {index}")
        self.applied[node] = index

    def holds(self, node: str, violations: int) -> None:
        """`node` found so many violations of the state's invariants."""
        check(violations == 0, f"I2 I3 I4: {node} found {violations} violations, see its log")

    # -- what clients were told

    def acknowledged(self, cv: str, mid: str, seq: int) -> None:
        """A client was told that its message is durable, with its number."""
        before = self.acked.setdefault((cv, mid), seq)
        check(before == seq, f"I1 once: {mid} was answered {before} and {seq}")

    def opened(self, cv: str) -> None:
        """A client was told that its conversation is open."""
        self.conversations.add(cv)

    # -- at the end

    def ended(
        self, states: Mapping[str, State], history: Mapping[str, Sequence[Operation]]
    ) -> None:
        """All members have caught up after the last fault."""
        applied = {node: self.applied[node] for node in states}
        check(len(set(applied.values())) == 1, f"I7 the end: nodes end apart: {applied}")
        digests = {node: digest(state) for node, state in states.items()}
        check(len(set(digests.values())) == 1, f"I7 the end: states differ: {digests}")
        state = next(iter(states.values()))
        for cv in sorted(self.conversations):
            check(cv in state.conversations, f"I1 no loss: {cv} was opened and is not there")
        for (cv, mid), seq in self.acked.items():
            conversation = state.conversations.get(cv)
            tail = conversation.tail if conversation is not None else ()
            found = [event.seq for event in tail if event.mid == mid]
            check(found == [seq], f"I1 no loss: {mid} was acknowledged as {seq}, found {found}")
        for cv, operations in history.items():
            everything = [*operations, _final_read(state, cv, operations)]
            check(is_linearizable(everything), f"I6 no stale: the history of {cv} has no order")

    def served(self, state: State, now_s: float) -> None:
        """Nothing is wrong: nobody waits for long who could be served."""
        idle = set()
        for waiting in state.waiting.values():
            for _, _, cv in waiting:
                conversation = state.conversations[cv]
                if any(_fits(agent, conversation) for agent in _free(state)):
                    idle.add(cv)
        self.idle_since_s = {cv: self.idle_since_s.get(cv, now_s) for cv in idle}
        for cv, since_s in self.idle_since_s.items():
            check(now_s - since_s < DISPATCH_S, f"I5 the end: {cv} waits while somebody is free")


def given_out(state: State) -> Counter[str]:
    """Return how conversations were given out, as far as their events tell."""
    counts: Counter[str] = Counter()
    for conversation in state.conversations.values():
        for event in conversation.tail:
            counts["steps"] += event.data.get("reason") == "step"
            counts["skipped steps"] += bool(event.data.get("skipped"))
            counts["overflows"] += event.type == "overflow"
            counts["auto"] += event.type == "assigned" and event.by.kind == "system"
    return counts


def _final_read(state: State, cv: str, operations: Iterable[Operation]) -> Operation:
    """Return a read of the end state, after everything that was answered."""
    ends_s = [o.answered_s for o in operations if o.answered_s != float("inf")]
    asked_s = max([*ends_s, *(o.asked_s for o in operations)], default=0.0) + 1.0
    return Operation(asked_s, None, asked_s + 1.0, seen=messages_of(state, cv))


def _fits(agent: Agent, conversation: Conversation) -> bool:
    """Whether an agent is to be asked now; who passed on it has a pause first."""
    able = bool(conversation.target) or not agent.lacks(conversation.skills)
    able &= agent.load + conversation.weight <= agent.capacity
    able &= conversation.target in ("", agent.agent) and conversation.preferred in ("", agent.agent)
    return able and agent.agent not in conversation.passed


def _free(state: State) -> list[Agent]:
    return [state.agents[name] for _, name in state.free]
