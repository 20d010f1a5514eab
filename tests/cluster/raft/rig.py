"""One engine, `b` of the voters a, b and c (or more), with a test in the place of all others."""

import random
from collections.abc import Iterable
from typing import Any

from cluster.raft.engine import Committed, Engine, Install, Timing
from cluster.raft.members import Members
from cluster.raft.messages import COMMAND
from tests.sim.disk import SimDisk
from wal.identity import Identity, claim
from wal.log import Log
from wal.record import HardState
from wal.recovery import Recovered
from wal.snapshot import SnapshotMeta, SnapshotStore

TIMING = Timing(heartbeat_s=0.05, election_min_s=0.3, election_max_s=0.6)
Wire = dict[str, Any]


class Rig:
    def __init__(
        self,
        voters: str = "abc",
        *,
        off: Iterable[str] = (),
        disk: SimDisk | None = None,
        forgetful: bool = False,
        seed: int = 5,
        **options: Any,
    ) -> None:
        self.now_s = 100.0
        self.me = "b"
        self.others = [voter for voter in voters if voter != self.me]
        self.members = Members.of(voters)
        self.off = frozenset(off)
        self.options = options
        self.seed = seed
        self.forgetful = forgetful
        """Start as on an empty disk, and not as a member of a cluster that began."""
        self.disk = disk or SimDisk(random.Random(1))
        self.sent: list[tuple[str, Wire]] = []
        self.committed: list[Committed | Install] = []
        self.boots = -1
        self.boot()

    def boot(self) -> None:
        self.boots += 1
        identity = claim(self.disk, "rig", self.me, now_ms=1)
        self.log, self.recovered = self._open(identity)
        if self.recovered.fresh and not self.forgetful:
            self.log.append(HardState(0, None))
            self.log.sync()
            self.log, self.recovered = self._open(identity)
        self.store = SnapshotStore(self.disk, identity)
        self.engine = Engine(
            self.me,
            self.members,
            log=self.log,
            recovered=self.recovered,
            snapshots=self.store,
            clock=lambda: self.now_s,
            rng=random.Random(self.seed + self.boots),
            timing=TIMING,
            off=self.off,
            **self.options,
        )

    def _open(self, identity: Identity) -> tuple[Log, Recovered]:
        return Log.open(self.disk, identity=identity, draw_salt=lambda: 7, clock=lambda: 0.0)

    def reboot(self, *, power: bool = True) -> None:
        """Die now and start again on what is left."""
        self.disk.crash(power=power)
        self.sent.clear()
        self.committed.clear()
        self.boot()

    def deliver(self, source: str, kind: str, term: int, **fields: Any) -> None:
        self.engine.deliver(source, {"type": kind, "term": term, **fields})

    def turn(self, wait_s: float = 0.0) -> list[tuple[str, Wire]]:
        """Let time pass, take one turn of the driver; return all that was sent."""
        self.now_s += wait_s
        self.log.sync()
        sent = self.engine.take_late()
        self.engine.tick()
        self.committed += self.engine.take_committed()
        self.engine.replicate()
        sent += self.engine.take_early()
        self.log.sync()
        sent += self.engine.take_late()
        self.sent += sent
        return sent

    def last(self, kind: str, to: str | None = None) -> Wire:
        """Return the last message of a kind that was sent."""
        found = [m for target, m in self.sent if m["type"] == kind and to in (None, target)]
        assert found, f"no {kind} in {[m['type'] for _, m in self.sent]}"
        return found[-1]

    def kinds(self) -> list[str]:
        return [message["type"] for _, message in self.sent]

    def append(
        self,
        source: str,
        term: int,
        prev: tuple[int, int],
        entries: Iterable[tuple[int, int]] = (),
        *,
        commit: int = 1,
        request: int = 1,
    ) -> Wire | None:
        """Deliver an append; return the answer to it, if any."""
        count = len(self.sent)
        self.deliver(
            source,
            "append_entries",
            term,
            request=request,
            prev_index=prev[0],
            prev_term=prev[1],
            commit_index=commit,
            entries=[
                [command(index, entry_term), index, entry_term] for index, entry_term in entries
            ],
        )
        self.turn()
        answers = [m for to, m in self.sent[count:] if to == source and m["type"] == "append_ack"]
        return answers[-1] if answers else None

    def lead(self, *, votes: Iterable[str] = ("a",)) -> int:
        """Win an election; return the term."""
        self.turn(1.0)
        asked: int = self.last("pre_vote_request")["term"]
        for voter in votes:
            self.grant(voter)
        self.turn()
        for voter in votes:
            self.deliver(voter, "vote", asked)
        assert self.engine.is_leader
        self.turn()
        return asked

    def grant(self, voter: str, *, granted: bool = True, **fields: Any) -> None:
        """Answer the last request for a pre-vote."""
        request = self.last("pre_vote_request")
        term = request["term"]
        answer = {"granted": granted, "current_term": term - 1, "round": request["round"]}
        self.deliver(voter, "pre_vote", term, **(answer | fields))

    def ack(self, source: str, *, next_index: int | None = None, **fields: Any) -> None:
        """Answer the last append to `source`: it holds everything."""
        message = self.last("append_entries", source)
        if next_index is None:
            next_index = message["prev_index"] + len(message["entries"]) + 1
        answer = {"request": message["request"], "success": True, "next_index": next_index}
        self.deliver(source, "append_ack", self.engine.term, **(answer | fields))

    def ack_reset(self, source: str) -> None:
        """Answer the next heartbeat to `source`: it holds nothing."""
        self.turn(0.06)
        self.ack(source, success=False, next_index=2)

    def follow(self, leader: str = "a", term: int = 1) -> None:
        """Take two entries of a leader."""
        self.append(leader, term, (1, 0), run(2, 3, term))
        self.sent.clear()

    def commit_all(self, source: str = "a") -> None:
        """Let `source` hold everything and let the leader notice."""
        self.ack(source)
        self.turn()

    def log_terms(self) -> list[tuple[int, int]]:
        """Return (index, term) of all entries in the durable log."""
        self.log.sync()
        identity = claim(self.disk, "rig", self.me, now_ms=1)
        _, recovered = Log.open(self.disk, identity=identity)
        return [(entry.index, entry.term) for entry in recovered.entries]


def command(index: int, term: int) -> bytes:
    return COMMAND + b"%d@%d" % (index, term)


def run(first: int, last: int, term: int) -> list[tuple[int, int]]:
    """Return (index, term) for `first` to `last`."""
    return [(index, term) for index in range(first, last + 1)]


def meta_at(index: int, term: int, voters: Iterable[str] = "abc") -> SnapshotMeta:
    return SnapshotMeta(index, term, index - 1, term, Members.of(voters).encode().decode())


def rig_of(name: str, *, seed: int = 5) -> Rig:
    """Return the engine of another node, on a disk of its own."""
    rig = Rig(seed=seed)
    rig.me = name
    rig.others = [voter for voter in rig.members.voters if voter != name]
    rig.disk = SimDisk(random.Random(2))
    rig.boot()
    return rig


def wait(rig: Rig, seconds: float, step_s: float = 0.02) -> None:
    for _ in range(round(seconds / step_s)):
        rig.turn(step_s)


def roles(members: Members) -> dict[str, str]:
    return {name: member.role for name, member in members.by_id.items()}
