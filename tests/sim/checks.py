"""What must never happen, whatever the faults; checked while a simulated cluster runs.

one leader      at most one per term, ever                        Raft thesis 3.2
one vote        a node votes for one candidate per term           3.4
one history     all nodes apply the same entry at an index        3.2
no repetition   a node applies each index once, in order
no return       a node's term never falls, not over a crash; but with its disk
no loss         what was acknowledged is in the end state of all
no stale read   a read sees every write acknowledged before it began, and every earlier read
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.sim.machine import Machine


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
    acked: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    """Per (client, number): key and version."""
    floors: dict[str, int] = field(default_factory=dict)
    """Per key: the version that every read from now on must see."""
    reads_total: int = 0

    def started(self, node: str, applied_index: int, term: int) -> None:
        """`node` starts from a snapshot at `applied_index`."""
        check(term >= self.terms.get(node, 0), f"{node} came back in term {term}")
        self.applied[node] = applied_index

    def forgot(self, node: str) -> None:
        """`node` lost its disk: its terms and votes of before bind it no more."""
        self.terms.pop(node, None)
        self.votes = {vote: to for vote, to in self.votes.items() if vote[0] != node}

    def seen(self, node: str, term: int, leads: bool) -> None:
        """`node` ended a turn."""
        check(term >= self.terms.get(node, 0), f"the term of {node} fell to {term}")
        self.terms[node] = term
        if leads:
            other = self.leaders.setdefault(term, node)
            check(other == node, f"{other} and {node} both lead term {term}")

    def voted(self, node: str, candidate: str, term: int) -> None:
        """A vote left `node`."""
        other = self.votes.setdefault((node, term), candidate)
        check(other == candidate, f"{node} votes for {other} and {candidate} in term {term}")

    def applies(self, node: str, index: int, term: int, payload: bytes | None) -> None:
        """`node` applies an entry."""
        expected = self.applied[node] + 1
        check(index == expected, f"{node} applies {index}, expected {expected}")
        self.applied[node] = index
        digest = hashlib.blake2b(b"%d:" % term + (payload or b""), digest_size=12).digest()
        other = self.history.setdefault(index, digest)
        check(other == digest, f"{node} applies another entry at {index} than others did")

    def installs(self, node: str, index: int) -> None:
        """`node` jumps to a snapshot of its leader."""
        before = self.applied[node]
        check(index > before, f"{node} goes back from {before} to a snapshot at {index}")
        self.applied[node] = index

    def acknowledged(self, client: str, number: int, key: str, version: int) -> None:
        """A client was told that its write is done."""
        before = self.acked.setdefault((client, number), (key, version))
        check(before == (key, version), f"{client}/{number} was answered {before} and {version}")
        self.floors[key] = max(self.floors.get(key, 0), version)

    def read(self, node: str, key: str, version: int, floor: int) -> None:
        """A read at `node` that began when `floor` was known answers `version`."""
        check(version >= floor, f"stale read of {key} at {node}: {version}, known {floor}")
        self.floors[key] = max(self.floors.get(key, 0), version)
        self.reads_total += 1

    def ended(self, machines: Mapping[str, Machine]) -> None:
        """All nodes have caught up after the last fault."""
        applied = {node: self.applied[node] for node in machines}
        check(len(set(applied.values())) == 1, f"nodes end apart: {applied}")
        first = next(iter(machines.values()))
        for node, machine in machines.items():
            check(machine == first, f"the state of {node} differs")
            for (client, number), (key, version) in self.acked.items():
                done, _ = machine.sessions.get(client, (0, 0))
                lost = done < number or machine.versions.get(key, 0) < version
                check(not lost, f"{client}/{number} was acknowledged, {node} lost it")
