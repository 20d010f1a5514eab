"""A cluster in this process, for desks to stand on: real state machines, no Raft, no disk.

Every port has a machine of its own and applies the same entries; one that is `held` applies
nothing until it is released, as a follower that lags.  `barrier` waits for what was committed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import trio

from cluster.port import (
    Answer,
    HandOverRefused,
    NotLeading,
    NotSaved,
    ReplicaStatus,
    SavedSnapshot,
    SnapshotWaits,
    Standing,
    Unavailable,
)
from cluster.raft.members import Members
from cluster.state import commands, entry, snapshot
from cluster.state.commands import Command
from cluster.state.machine import Applied, Machine
from cluster.state.outcome import Done, Refused
from cluster.state.state import State

START_MS = 1_760_000_000_000


@dataclass
class Cluster:
    """The committed entries, and the nodes that apply them."""

    node_ids: tuple[str, ...] = ("n1", "n2")
    now_ms: int = START_MS
    entries: list[bytes] = field(default_factory=list)
    ports: dict[str, "DeskPort"] = field(default_factory=dict)
    members: Members = field(init=False)
    guests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.members = Members.of(
            {name: f"127.0.0.1:{7200 + number}" for number, name in enumerate(self.node_ids, 1)}
        )
        for node_id in self.node_ids:
            self.ports[node_id] = DeskPort(self, node_id)
        for port in self.ports.values():
            self.commit(
                port, commands.BootNode(port.node_id, port.boot, f"ws://{port.node_id}/v1/ws")
            )

    def commit(
        self, port: "DeskPort", command: Command, on_answer: Callable[[Answer], None] | None = None
    ) -> None:
        """Commit one command as an entry of its own; every port that is not held applies it."""
        self._commit(port, [(port.next_number(on_answer), command)])

    def do_together(self, *together: Command) -> None:
        """Commit several commands as one entry; they must hold."""
        port, answers = next(iter(self.ports.values())), list[Answer]()
        numbers = [port.next_number(answers.append) for _ in together]
        self._commit(port, list(zip(numbers, together, strict=True)))
        assert all(isinstance(answer, Done) for answer in answers), answers

    def _commit(self, port: "DeskPort", numbered: list[tuple[int, Command]]) -> None:
        self.now_ms += 1
        proposals = tuple(
            entry.Proposal(number, msgspec.Raw(commands.encode(command)))
            for number, command in numbered
        )
        batch = entry.Batch(port.node_id, port.boot, port.settled, proposals)
        self.entries.append(entry.encode(entry.Entry(entry.VERSION, self.now_ms, (batch,))))
        for one in self.ports.values():
            if not one.held:
                one.catch_up()

    def do(self, command: Command) -> Done:
        """Commit what the leader or somebody elsewhere proposes; it must hold."""
        answers: list[Answer] = []
        self.commit(next(iter(self.ports.values())), command, answers.append)
        (answer,) = answers
        assert isinstance(answer, Done), answer
        return answer

    def pass_ms(self, ms: int) -> None:
        """Let cluster time pass."""
        self.now_ms += ms


class DeskPort:
    """Implements `cluster.port.Port` for one node."""

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        self._cluster = cluster
        self.node_id = node_id
        self.boot = f"boot-of-{node_id}"
        self.machine = Machine()
        self.held = False
        self.deaf = False
        """Whether proposals get no answer at all."""
        self.standing: Standing = "serving"
        self.leader = "n1"
        self.disconnected: set[str] = set()
        """Other nodes whose links are down."""
        self.unavailable: Unavailable | None = None
        self.submitted: list[Command] = []
        self.barriers = 0
        self.saves: list[int] = []
        """Up to which index a snapshot was asked for."""
        self.has_saved = True
        self.no_snapshot: str | None = None
        """Why none is written."""
        self._applied = 0
        self._number = 0
        self._waiting: dict[int, Callable[[Answer], None]] = {}
        self._watchers: list[Callable[[Applied], None]] = []
        self._standing_watchers: list[Callable[[ReplicaStatus], None]] = []
        self._install_watchers: list[Callable[[], None]] = []
        self._whisper_watchers: list[Callable[[str, bytes], None]] = []

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def settled(self) -> int:
        return min(self._waiting, default=self._number)

    def next_number(self, on_answer: Callable[[Answer], None] | None) -> int:
        self._number += 1
        if on_answer is not None:
            self._waiting[self._number] = on_answer
        return self._number

    def catch_up(self) -> None:
        """Apply what was committed; tell watchers, then answer."""
        while self._applied < len(self._cluster.entries):
            payload = self._cluster.entries[self._applied]
            self._applied += 1
            applied = self.machine.apply(self._applied, payload)
            for watcher in tuple(self._watchers):
                watcher(applied)
            for node, boot, number, outcome in applied.outcomes:
                if (node, boot) == (self.node_id, self.boot):
                    on_answer = self._waiting.pop(number, None)
                    if on_answer is not None:
                        assert isinstance(outcome, Done | Refused)
                        on_answer(outcome)

    def release(self) -> None:
        """Apply at once again, and what was missed first."""
        self.held = False
        self.catch_up()

    def install_snapshot_of(self, other: "DeskPort") -> None:
        """Jump to the state of `other` as a node that was far behind: no entry is applied."""
        self.machine.state = snapshot.load(snapshot.dump(other.state.frozen_copy()))
        self._applied = len(self._cluster.entries)
        for watcher in tuple(self._install_watchers):
            watcher()

    def stand(self, standing: Standing, why: str = "") -> None:
        """Change this node's standing."""
        self.standing = standing
        self.unavailable = None if standing == "serving" else Unavailable("minority", why)
        self._tell_standing()
        if self.unavailable is not None:
            waiting, self._waiting = self._waiting, {}
            for on_answer in waiting.values():
                on_answer(Unavailable("timeout", "no outcome in time"))

    def _tell_standing(self) -> None:
        for watcher in tuple(self._standing_watchers):
            watcher(self.status())

    # -- the port

    def status(self) -> ReplicaStatus:
        others = [one for one in self._cluster.ports if one != self.node_id]
        return ReplicaStatus(
            node=self.node_id,
            boot=self.boot,
            standing=self.standing,
            why="" if self.standing == "serving" else "no majority can be reached",
            role="leader" if self.leader == self.node_id else "follower",
            leader=self.leader,
            term=1,
            commit_index=len(self._cluster.entries),
            applied_index=self._applied,
            last_index=len(self._cluster.entries),
            first_index=1,
            quorum_heard_s=0.0,
            peers={one: self._peer(one) for one in others},
            snapshot_index=0,
            pending=len(self._waiting),
        )

    def _peer(self, node: str) -> dict[str, float | int | bool | str]:
        connected = node not in self.disconnected
        return {"connected": connected, "last_heard_s": 0.1, "match_index": 1}

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        self.submitted.append(command)
        if self.unavailable is not None:
            on_answer(self.unavailable)
        elif self.deaf:
            self.next_number(on_answer)
        else:
            self._cluster.commit(self, command, on_answer)

    async def propose(self, command: Command) -> Answer:
        answers: list[Answer] = []
        done = trio.Event()

        def on_answer(answer: Answer) -> None:
            answers.append(answer)
            done.set()

        self.submit(command, on_answer)
        await done.wait()
        return answers[0]

    def watch(self, watcher: Callable[[Applied], None]) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def watch_standing(self, watcher: Callable[[ReplicaStatus], None]) -> Callable[[], None]:
        self._standing_watchers.append(watcher)
        return lambda: self._standing_watchers.remove(watcher)

    def watch_installs(self, watcher: Callable[[], None]) -> Callable[[], None]:
        self._install_watchers.append(watcher)
        return lambda: self._install_watchers.remove(watcher)

    async def barrier(self) -> Unavailable | None:
        self.barriers += 1
        await trio.lowlevel.checkpoint()
        if self.unavailable is not None:
            return self.unavailable
        self.catch_up()
        return None

    def members(self) -> Members:
        return self._cluster.members

    def guests(self) -> dict[str, str]:
        return self._cluster.guests

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        if self.node_id != self.leader:
            raise NotLeading(self.leader)
        self._cluster.members = change(self._cluster.members)
        return None

    async def hand_over(self, to: str = "") -> str | Unavailable:
        if self.node_id != self.leader:
            raise NotLeading(self.leader)
        others = [name for name in self._cluster.members.voters if name != self.node_id]
        if not others or (to and to not in others):
            raise HandOverRefused(f"{to or 'nobody'} is no other voter")
        self.leader = to or others[0]
        return self.leader

    async def save_snapshot(self, index: int = 0) -> SavedSnapshot | SnapshotWaits:
        goal = index or self._applied
        if self.no_snapshot is not None:
            raise NotSaved(self.no_snapshot)
        self.saves.append(goal)
        if not self.has_saved:
            return SnapshotWaits(goal, "it is being written")
        return SavedSnapshot(goal, 1, 4096, f"/var/{self.node_id}/{goal:016d}.snap", True, 7)

    def whisper(self, payload: bytes) -> None:
        for one in self._cluster.ports.values():
            if one is not self:
                for watcher in tuple(one._whisper_watchers):
                    watcher(self.node_id, payload)

    def watch_whispers(self, watcher: Callable[[str, bytes], None]) -> Callable[[], None]:
        self._whisper_watchers.append(watcher)
        return lambda: self._whisper_watchers.remove(watcher)
