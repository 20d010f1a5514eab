"""What goes wrong in a simulated cluster: one fault after the other, until it heals.

crash one · crash the leader · crash all · crash inside a disk operation · a sync that fails
a disk that is lost · a bit that rots · a wall clock that jumps
cut a group off, both ways or one · all but a bridge · cut one link · a flapping one · stall · mend
lossy, doubling, reordering, slow weather · a slow disk · a stopped process
leadership handed over · links reported lost that are not · members added, removed, replaced
a node that goes on in another process, also while the leader hands over
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster.raft.members import Members, MembersRefused
from tests.sim.disk import SimCrash
from tests.sim.network import Weather

if TYPE_CHECKING:
    from tests.sim.world import World

WEATHERS = (
    Weather(delay_s=0.002),
    Weather(delay_s=0.002, in_order=True),
    Weather(delay_s=0.004, loss=0.02, doubling=0.02),
    Weather(delay_s=0.02, loss=0.05, doubling=0.05),
    Weather(delay_s=0.06, loss=0.01),
    Weather(delay_s=0.005, loss=0.25),
)


class Faults:
    def __init__(self, world: "World", without: frozenset[str] = frozenset()) -> None:
        """`without` names kinds that shall not happen: `cut_link`, `rot` and so on."""
        self._world = world
        self._without = without
        self._disk_crash: dict[str, float] = {}
        """Per node: the chance that the next disk operation is its last."""
        self._faults = (
            (self._crash_one, 4),
            (self._crash_leader, 4),
            (self._crash_all, 1),
            (self._crash_in_disk, 4),
            (self._lose_disk, 3),
            (self._rot, 2),
            (self._jump_clock, 2),
            (self._fail_sync, 2),
            (self._cut_group, 4),
            (self._cut_link, 3),
            (self._cut_but_a_bridge, 2),
            (self._flap_link, 2),
            (self._stall_link, 2),
            (self._change_weather, 3),
            (self._slow_disks, 2),
            (self._stop_process, 2),
            (self._hand_over, 3),
            (self._change_members, 8 if world.members_change else 0),
            (self._false_alarm, 2),
            (self._mend, 8),
            (self._upgrade, 12 if world.upgrades else 0),  # last: other seeds stay what they are
        )

    @property
    def kinds(self) -> list[str]:
        """What can go wrong, by name."""
        return [_kind(fault) for fault, _ in self._faults]

    def begin(self) -> None:
        self._world.network.weather = self._world.rng.choice(WEATHERS)
        self._world.at(1.0, "fault", self._next)

    def on_disk_call(self, name: str, op: str, file: str) -> None:
        """Called before and after every disk operation of `name`."""
        chance = self._disk_crash.get(name, 0.0)
        if chance and self._world.faulty and self._world.rng.random() < chance:
            del self._disk_crash[name]
            self._world.say(f"{name} dies in {op} {file}")
            raise SimCrash

    def _next(self) -> None:
        world = self._world
        if not world.faulty:
            return
        faults, weights = zip(*self._faults, strict=True)
        (fault,) = world.rng.choices(faults, weights)
        if _kind(fault) not in self._without:
            world.say(f"fault: {_kind(fault)}")
            fault()
        world.at(world.rng.uniform(0.05, 1.0), "fault", self._next)

    def _crash_one(self) -> None:
        self._crash(sorted(self._world.up))

    def _crash_leader(self) -> None:
        up = self._world.up
        self._crash([name for name in sorted(up) if up[name].engine.is_leader])

    def _crash(self, names: list[str]) -> None:
        if names:
            name = self._world.rng.choice(names)
            self._world.crash(name, power=self._world.rng.random() < 0.6)

    def _crash_all(self) -> None:
        power = self._world.rng.random() < 0.6
        for name in sorted(self._world.up):
            self._world.crash(name, power=power)

    def _crash_in_disk(self) -> None:
        self._disk_crash[self._world.rng.choice(self._world.names)] = 0.05

    def _lose_disk(self) -> None:
        """A node comes back with an empty disk; most of the voters always remember."""
        world = self._world
        name = world.rng.choice(world.names)
        if not self._may_forget(name):
            return
        if world.rng.random() < 0.5:  # so that who is left is asked for its vote at once
            self._crash_leader()
        world.lose_disk(name)

    def _rot(self) -> None:
        """A bit flips where it cannot pass for a torn tail; the node finds it at its start."""
        world = self._world
        name = world.rng.choice(world.names)
        disk = world.disks[name]
        if len(self._world.names) >= 3 and self._may_forget(name):
            files = [file for file in disk.names() if file.endswith((".wal", ".snap"))]
            if files:
                world.rot(name, world.rng.choice(files), world.rng.randrange(8, 60))

    def _may_forget(self, name: str) -> bool:
        world = self._world
        forgetful = {other for other in world.names if world.forgets(other)} | {name}
        for members in world.views():
            leaving = set(members.in_role("leaving"))
            for voters in (set(members.voters), set(members.voters) - leaving):
                if name in voters and len(voters - forgetful) <= len(voters) // 2:
                    return False
        return True

    def _jump_clock(self) -> None:
        """The wall clock of a node is set, forwards or back."""
        world = self._world
        world.skew_ms[world.rng.choice(world.names)] = world.rng.choice(
            (0, 0, 200, -200, 5_000, -5_000, 3_600_000, -3_600_000)
        )

    def _change_members(self) -> None:
        """Ask a leader for a change, wise or not."""
        world = self._world
        for leader in sorted(name for name, node in world.up.items() if node.engine.is_leader):
            engine = world.up[leader].engine
            changes: tuple[Callable[[Members, str, str], Members], ...] = (
                lambda members, one, _: members.add(one, ""),
                lambda members, one, _: members.add(one, "", role="learner"),
                lambda members, one, _: members.promote(one),
                lambda members, one, _: members.remove(one),
                lambda members, one, _: members.keep(one),
                lambda members, one, other: members.replace(one, other, ""),
            )
            for _ in range(5):
                one, other = world.rng.choice(world.names), world.rng.choice(world.names)
                try:
                    engine.propose_members(world.rng.choice(changes)(engine.members, one, other))
                except MembersRefused:
                    world.counts["changes refused"] += 1
                    continue
                world.counts["changes of members"] += 1
                world.wake(leader)
                break

    def _fail_sync(self) -> None:
        world = self._world
        world.disks[world.rng.choice(world.names)].fail_sync_once()

    def _cut_group(self) -> None:
        world = self._world
        names = world.names
        if len(names) < 2:
            return
        group = set(world.rng.sample(names, world.rng.randrange(1, len(names))))
        one_way = world.rng.random() < 0.3
        for a in names:
            for b in names:
                if (a in group) != (b in group) and (a in group or not one_way):
                    world.network.cuts.add((a, b))

    def _cut_link(self) -> None:
        if len(self._world.names) < 2:
            return
        a, b = self._world.rng.sample(self._world.names, 2)
        self._world.network.cuts.add((a, b))
        if self._world.rng.random() < 0.5:
            self._world.network.cuts.add((b, a))

    def _cut_but_a_bridge(self) -> None:
        """Two halves that do not hear each other, and one node that hears both."""
        world = self._world
        names = list(world.names)
        world.rng.shuffle(names)
        half = len(names) // 2
        for a in names[1 : half + 1]:
            for b in names[half + 1 :]:
                world.network.cuts |= {(a, b), (b, a)}

    def _flap_link(self) -> None:
        """A link goes down and up several times within a second or two."""
        world = self._world
        if len(world.names) < 2:
            return
        a, b = world.rng.sample(world.names, 2)

        def flap(left: int) -> None:
            if not left or not world.faulty:
                world.network.cuts.discard((a, b))
            else:
                world.network.cuts ^= {(a, b)}
                world.at(0.2, f"link {a}->{b} flaps", lambda: flap(left - 1))

        flap(8)

    def _stall_link(self) -> None:
        world = self._world
        if len(world.names) < 2:
            return
        a, b = world.rng.sample(world.names, 2)
        world.network.stalls[a, b] = world.now_s + world.rng.uniform(0.2, 3.0)

    def _change_weather(self) -> None:
        self._world.network.weather = self._world.rng.choice(WEATHERS)

    def _slow_disks(self) -> None:
        self._world.sync_s = self._world.rng.choice((0.0005, 0.005, 0.05, 0.2))

    def _stop_process(self) -> None:
        world = self._world
        names = sorted(set(world.up) - {n for n, t in world.busy.items() if t > world.now_s})
        if names:
            world.busy[world.rng.choice(names)] = world.now_s + world.rng.uniform(0.1, 2.0)

    def _hand_over(self) -> None:
        up = self._world.up
        for name in sorted(up):
            up[name].engine.transfer_leadership()

    def _upgrade(self) -> None:
        world = self._world
        if world.up:
            name = world.rng.choice(sorted(world.up))
            if world.rng.random() < 0.5:
                world.up[name].engine.transfer_leadership()
            world.at(world.rng.random() * 0.1, "upgrade", lambda: self._succeed(name))

    def _succeed(self, name: str) -> None:
        if name in self._world.up:
            self._world.succeed(name)

    def _false_alarm(self) -> None:
        world = self._world
        for name in sorted(world.up):
            world.up[name].engine.peer_lost(world.rng.choice(world.names))

    def _mend(self) -> None:
        self._world.network.cuts.clear()
        self._world.network.stalls.clear()
        if self._world.rng.random() < 0.5:
            self._change_weather()


def _kind(fault: Callable[[], None]) -> str:
    return fault.__name__.removeprefix("_")
