"""A whole cluster on a simulated clock, network and disk, from one seed.

    events   a message arrives · a node's timer · a sync ends · a snapshot is saved
             · a client acts · a fault happens · a dead node starts
    phases   `steps` events with faults, then everything heals and the end is checked

Everything that happens comes from one heap of events and a few seeded generators: the same
seed gives the same run, event by event; `digest` is over all of them.
"""

import hashlib
import heapq
import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from cluster.backup.file import Header, Reader, encode
from cluster.backup.restore import restore
from cluster.heal.ending import StartAgain
from cluster.heal.settings import HealSettings
from cluster.opening import Succession
from cluster.peer.frames import FrameReader
from cluster.raft.members import Members
from cluster.routing.ruleset import compile_rules
from cluster.state import snapshot
from cluster.state.commands import ApplyRules, By
from cluster.state.state import State
from tests.sim.checks import Checks, check, given_out
from tests.sim.clients import RULES, Agent, Client, Speaker, Visitor
from tests.sim.disk import SimCrash, SimDisk
from tests.sim.everybody import Everybody
from tests.sim.faults import Faults
from tests.sim.linearizability import Operation
from tests.sim.network import Network
from tests.sim.node import Frame, Setup, SimNode
from tests.sim.registrar import Registrar
from wal import aside
from wal.errors import StorageFailed

HEAL_S = 15.0
"""Bound for leader, progress and catching up after the last fault."""
CALM_S = 3.0
"""After everything has settled, for what must not happen then."""
START_S = 1_000.0
EPOCH_MS = 1_790_000_000_000
SPARES = 2
SHARED = ("cv-a", "cv-b", "cv-c")
"""Conversations that several clients write into."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    digest: str
    simulated_s: float
    counts: Counter[str]


class World:
    def __init__(
        self,
        seed: int,
        *,
        nodes: int = 3,
        registrars: int = 0,
        everybody: int = 0,
        off: frozenset[str] = frozenset(),
        without: frozenset[str] = frozenset(),
        trace: Callable[[str], None] | None = None,
        upgrades: bool = False,
        restored_at: int = 0,
        spares: int | None = None,
        heal: HealSettings | None = None,
    ) -> None:
        """`upgrades`: nodes go on in other processes, too.

        `restored_at`: the cluster begins with a backup of that index, which is put again on the
        disks that replace lost ones.
        `spares`: how many nodes beside the first may join; by chance if not given.
        """
        self.upgrades = upgrades
        self._restored_at = restored_at
        self.now_s = START_S
        self.rng = random.Random(f"world {seed}")
        self.network = Network(random.Random(f"network {seed}"))
        self.members_change = self.rng.random() < 0.5
        if spares is None:
            spares = SPARES if nodes >= 3 and self.members_change else 0
        self.names = tuple(f"n{number}" for number in range(1, nodes + spares + 1))
        """The first `nodes` begin the cluster; the others may be asked to join."""
        self.checks = Checks()
        self.counts: Counter[str] = Counter()
        self.faulty = True
        self.pace = 1.0
        """How much longer clients pause than they usually do: a history must be short."""
        self._seed = seed
        self._lives: Counter[str] = Counter()
        self._forgetful: dict[str, bool] = {}
        """Whether a node abstained when that was last seen."""
        self._views: dict[str, list[Members]] = {}
        self.skew_ms: Counter[str] = Counter()
        """How far each node's wall clock is off."""
        self._setup = Setup(
            self.names[:nodes],
            lambda: self.now_s,
            lambda name: int(EPOCH_MS + 1000 * self.now_s) + self.skew_ms[name],
            self.reaches,
            self.checks,
            snapshot_every_entries=self.rng.choice((20, 60, 1_000)),
            sync_s=self.sync_s_of,
            off=off,
            heal=heal or HealSettings(),
        )
        self._events: list[tuple[float, int, str, Callable[[], None]]] = []
        self._order = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._trace = trace
        self.disks = {n: SimDisk(random.Random(f"disk {seed} {n}")) for n in self.names}
        for name in self.names[:nodes] if restored_at else ():
            self._restore(name)
        self.up: dict[str, SimNode] = {}
        self._timers: dict[str, float] = {}
        self.busy: dict[str, float] = {}
        """Until when a node is in a sync, or stopped."""
        self.sync_s = 0.0005
        self.slow: dict[str, float] = {}
        """Whose disk alone is slower, and how slow."""
        self.faults = Faults(self, without)
        self.history: dict[str, list[Operation]] = {cv: [] for cv in SHARED}
        self.clients: list[Client] = [
            *(Speaker(self, f"s{number}", SHARED) for number in range(4)),
            *(Visitor(self, f"v{number}") for number in range(2)),
            Agent(self, "ann", {"expert": 1}),
            Agent(self, "bob", {}),
        ]
        # None by default: one more client makes another run of every seed.
        self.registrars = [Registrar(self, f"r{number}") for number in range(registrars)]
        self.clients += self.registrars
        self.clients += [Everybody(self, f"e{number}") for number in range(everybody)]
        for name in self.names:
            self.start(name)
        rules = ApplyRules(
            By("operator", "op"),
            {"main.toml": RULES},
            {name: one.queue for name, one in compile_rules({"main.toml": RULES}).queues.items()},
        )
        operator = Client(self, "op")
        self.at(0.1, "rules", lambda: operator.ask(rules, lambda _: None))
        for client in self.clients:
            client.begin()

    # -- time

    def at(self, delay_s: float, what: str, act: Callable[[], None]) -> None:
        """Let `act` happen in `delay_s`."""
        self._order += 1
        heapq.heappush(self._events, (self.now_s + delay_s, self._order, what, act))

    def step(self) -> None:
        at_s, _, what, act = heapq.heappop(self._events)
        self.now_s = max(self.now_s, at_s)
        self.say(what)
        act()

    def say(self, what: str) -> None:
        """Make `what` part of the trace."""
        line = f"{self.now_s:.6f} {what}"
        self._digest.update(line.encode())
        if self._trace is not None:
            self._trace(line)

    # -- the run

    def run(self, steps: int) -> Outcome:
        """Run `steps` events with faults, heal, and check the end.  Raises `Violation`."""
        self.faults.begin()
        for _ in range(steps):
            self.step()
        self._heal()
        deadline_s = self.now_s + HEAL_S
        while self.now_s < deadline_s and not self._settled():
            self.step()
        check(self._settled(), f"not settled {HEAL_S} s after the last fault: {self._state()}")
        [leader] = [node for node in self.up.values() if node.engine.is_leader]
        members = leader.engine.members.by_id
        states = {name: self.up[name].part.state for name in members}
        self.checks.ended(states, self.history)
        for registrar in self.registrars:
            registrar.ended(leader.part.state)
        ends_s = self.now_s + CALM_S
        while self.now_s < ends_s:
            self.step()
            self.checks.served(leader.part.state, self.now_s)
        self.counts["acked"] = len(self.checks.acked)
        self.counts["terms"] = len(self.checks.leaders)
        self.counts += given_out(leader.part.state)
        return Outcome(self._digest.hexdigest(), self.now_s - START_S, self.counts)

    def _heal(self) -> None:
        self.say("heal")
        self.faulty = False
        self.sync_s = 0.0005
        self.network.heal()
        for disk in self.disks.values():
            disk.on_call = None
            disk.fail_sync_once(False)
        for name in self.names:
            if name not in self.up:
                self.start(name)
        for client in self.clients:
            client.finish_soon()

    def _settled(self) -> bool:
        if len(self.up) < len(self.names) or not all(client.done for client in self.clients):
            return False
        leaders = [node for node in self.up.values() if node.engine.is_leader]
        if len(leaders) != 1:
            return False
        members = leaders[0].engine.members
        applied = {self.up[name].applied_index for name in members.by_id}
        whole = not any(self.forgets(name) for name in members.by_id)
        done = not members.in_role("joining") and not members.in_role("leaving")
        return len(applied) == 1 and whole and done

    def _state(self) -> str:
        return "; ".join(str(node.engine.status()) for node in self.up.values())

    # -- nodes

    def succeed(self, name: str) -> None:
        """Let a node that is between two turns go on in another process."""
        node = self.up[name]
        if not self.is_free(name):
            return
        self.counts["upgrades"] += 1
        self.say(f"upgrade {name}")
        self.stop(name)
        for other in self.names:
            if other in self.up and self.rng.random() < 0.5:
                self.up[other].engine.peer_lost(name)
        self.start(name, node.leaves())

    def start(
        self, name: str, succession: Succession | None = None, *, rebuilt: bool = False
    ) -> None:
        """Start a node on what its disk holds, and on what its last process left."""
        self._lives[name] += 1
        rng = random.Random(f"node {self._seed} {name} {self._lives[name]}")
        self.disks[name].on_call = partial(self.faults.on_disk_call, name)
        try:
            self.up[name] = SimNode(name, self._setup, self.disks[name], rng, succession, rebuilt)
        except SimCrash:
            self.crash(name, power=True)
            return
        except StorageFailed:
            self.counts["failed syncs"] += 1
            self.crash(name, power=False)
            return
        self.wake(name)

    def crash(self, name: str, *, power: bool) -> None:
        """End a node; it starts again in a while."""
        self.counts["crashes"] += 1
        self.say(f"crash {name} power={power}")
        self.stop(name)
        self.disks[name].crash(power=power)
        for other in self.names:
            if other in self.up and self.rng.random() < 0.5:
                self.up[other].engine.peer_lost(name)
        delay_s = self.rng.choice((0.05, 0.5, 2.0)) if self.faulty else 0.05
        self.at(delay_s, f"start {name}", partial(self._start_if_down, name))

    def is_free(self, name: str) -> bool:
        """Whether a node can be spoken to now: it neither syncs nor is it stopped."""
        return self.busy.get(name, 0.0) <= self.now_s

    def reaches(self, source: str, target: str) -> bool:
        """Whether a link from one node to another is up, as far as its end knows."""
        return target in self.up and (source, target) not in self.network.cuts

    def views(self) -> list[Members]:
        """Return who takes part as every node sees it, or saw it not long ago.

        What is not committed yet may fall back to that.
        """
        for name, node in self.up.items():
            views = self._views.setdefault(name, [])
            if not views or views[-1] is not node.engine.members:
                self._views[name] = [*views[-2:], node.engine.members]
        return [members for views in self._views.values() for members in views]

    def forgets(self, name: str) -> bool:
        """Whether a node may have forgotten promises, or will find that when it starts."""
        node = self.up.get(name)
        if node is not None:
            self._forgetful[name] = node.engine.status().abstains
        return self._forgetful.get(name, True)

    def lose_disk(self, name: str) -> None:
        """End a node; it starts again on nothing."""
        self.counts["lost disks"] += 1
        self.crash(name, power=True)
        self.disks[name] = SimDisk(self.rng)
        if self._restored_at and name in self._setup.voters:
            self.counts["restored again"] += 1
            self._restore(name)
        self.checks.forgot(name)
        self._forgetful[name] = True

    def _restore(self, name: str) -> None:
        """Let a disk hold what `unidesk restore` puts there."""
        state = State()
        state.applied_index = self._restored_at
        header = Header("old", "n1", state.applied_index, 1, 0, 0, "sim", state.level)
        data = io.BytesIO(b"".join(encode(header, snapshot.dump(state))))
        members = Members.of(self._setup.voters)
        restore(self.disks[name], "sim", name, members, lambda: Reader("it", data.read), now_ms=1)

    def flip(self, name: str, subject: str = "flipped") -> None:
        """Let the state of a node be wrong from now on, as bad memory makes it."""
        state = self.up[name].part.state
        first = next(iter(state.conversations.values()))
        state.conversations[first.cv] = replace(first, subject=subject)
        self._setup.flipped.add(name)

    def _rebuild(self, name: str, why: str) -> None:
        """Let a node begin anew: its data counts no more."""
        self.counts["rebuilt"] += 1
        self.say(f"rebuild {name}")
        self.stop(name)
        aside.begin(self.disks[name], why, now_ms=1)
        self._setup.flipped.discard(name)
        self._forgetful[name] = True
        self.start(name, rebuilt=True)

    def rot(self, name: str, file: str, offset: int) -> None:
        """End a node and flip a bit of one of its files."""
        self.crash(name, power=False)
        disk = self.disks[name]
        if file in disk.names() and len(disk.read(file)) > offset:
            self.counts["rotten files"] += 1
            disk.flip_bit(file, offset)
            self._forgetful[name] = True

    def stop(self, name: str) -> None:
        """End a node's life, for good unless somebody starts it."""
        self.up.pop(name, None)
        self.busy.pop(name, None)

    def _start_if_down(self, name: str) -> None:
        if name not in self.up:
            self.start(name)

    def sync_s_of(self, name: str) -> float:
        """Return how long a sync of this node takes on average."""
        return self.slow.get(name, self.sync_s)

    def wake(self, name: str) -> None:
        """Let the node take a turn as soon as it can."""
        delay_s = max(0.0, self.busy.get(name, 0.0) - self.now_s)
        self._arm(name, delay_s)

    def _arm(self, name: str, delay_s: float) -> None:
        due_s = self.now_s + delay_s
        if name in self._timers and self._timers[name] <= due_s:
            return
        self._timers[name] = due_s
        self.at(delay_s, f"timer {name}", partial(self._on_timer, name, due_s))

    def _on_timer(self, name: str, due_s: float) -> None:
        if self._timers.get(name) != due_s:
            return  # an earlier one took its place
        del self._timers[name]
        if name not in self.up:
            return
        if self.now_s < self.busy.get(name, 0.0):
            self.wake(name)
            return
        self._guarded(name, self._begin_turn)

    def _begin_turn(self, node: SimNode) -> None:
        node.begin_turn(partial(self._send, node.name))
        sync_s = self.rng.expovariate(1 / self.sync_s_of(node.name)) if node.log.dirty else 0.0
        if sync_s:
            self.busy[node.name] = self.now_s + sync_s
            self.at(sync_s, f"synced {node.name}", partial(self._on_synced, node))
        else:
            self._end_turn(node)

    def _on_synced(self, node: SimNode) -> None:
        if self.up.get(node.name) is node:
            self._guarded(node.name, self._end_turn)

    def _end_turn(self, node: SimNode) -> None:
        saving = node.saving
        self._send(node.name, node.end_turn())
        if node.saving is not None and saving is None:
            self.at(self.rng.random() * 0.3, "saved", partial(self._on_saved, node))
        if node.part.has_work:
            self.wake(node.name)
        else:
            self._arm(node.name, node.part.next_wakeup())

    def _on_saved(self, node: SimNode) -> None:
        if self.up.get(node.name) is node:
            self.counts["snapshots"] += 1
            self._guarded(node.name, SimNode.save_snapshot)

    def _guarded(self, name: str, act: Callable[[SimNode], None]) -> None:
        try:
            act(self.up[name])
            self.views()
        except StartAgain as end:
            self._rebuild(name, str(end))
        except SimCrash:
            self.counts["crashes in the disk"] += 1
            self.crash(name, power=self.rng.random() < 0.7)
        except StorageFailed:
            self.counts["failed syncs"] += 1
            self.crash(name, power=False)  # the process ends; what the disk has is what counts

    # -- messages

    def _send(self, source: str, frames: list[Frame]) -> None:
        for target, frame in frames:
            self.counts["messages"] += 1
            [(kind, body)] = FrameReader().feed(frame)
            if kind == "raft" and body["type"] == "vote":
                self.checks.voted(source, target, body["term"])
            for at_s in self.network.arrivals(source, target, self.now_s):
                act = partial(self._on_arrival, source, target, frame)
                self.at(at_s - self.now_s, f"{source}->{target} {_describe(frame)}", act)

    def _on_arrival(self, source: str, target: str, frame: bytes) -> None:
        node = self.up.get(target)
        if node is None or (source, target) in self.network.cuts:
            return
        [(kind, body)] = FrameReader().feed(frame)
        self.counts[body["type"] if kind == "raft" else kind] += 1
        node.receive(source, frame)
        self.wake(target)


def _describe(frame: bytes) -> str:
    [(kind, body)] = FrameReader().feed(frame)
    if kind != "raft":
        return f"{kind} {len(frame)}"
    return " ".join(
        f"{key}={len(value) if isinstance(value, (bytes, tuple, list)) else value}"
        for key, value in body.items()
    )
