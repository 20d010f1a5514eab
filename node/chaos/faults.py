"""What a fault means for one node, and for how long.  No I/O; the clock comes in.

    Fault (of the log) ──part_of──▶ Part (this node's) ──Arming──▶ Effect (now)

Each armed part has a dead man's timer: it is compared with the monotonic clock whenever somebody
asks for the effect, so a fault ends though nothing runs that would end it, and whether or not
anybody can be reached.  A part is armed for the boot that the log names, and for no later one.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cluster.state.limits import FAULT_MS_MAX
from cluster.state.model import Fault

BEGINS_AFTER_S = 0.3
"""From the entry to the fault: every node has heard by then, a cut would keep the news away."""
ENDED_MAX = 64
"""Ends that are remembered: one may be heard of before what it ends."""
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """What one node breaks, or all that it has broken now."""

    deaf_to: frozenset[str] = NOBODY
    """Of whom nothing is heard."""
    mute_to: frozenset[str] = NOBODY
    """To whom nothing is sent."""
    slow_to: frozenset[str] = NOBODY
    delay_ms: int = 0
    jitter_ms: int = 0
    lossy_to: frozenset[str] = NOBODY
    loss_percent: int = 0
    resets: frozenset[str] = NOBODY
    reset_every_ms: int = 0
    pauses: bool = False
    dies: bool = False
    sync_ms: int = 0
    sync_fails: bool = False
    disk_full: bool = False
    skew_ms: int = 0
    clients_cut: bool = False

    def __or__(self, other: "Part") -> "Part":
        """Return both at once: of two delays the longer, of two skews the sum."""
        return Part(
            self.deaf_to | other.deaf_to,
            self.mute_to | other.mute_to,
            self.slow_to | other.slow_to,
            max(self.delay_ms, other.delay_ms),
            max(self.jitter_ms, other.jitter_ms),
            self.lossy_to | other.lossy_to,
            max(self.loss_percent, other.loss_percent),
            self.resets | other.resets,
            max(self.reset_every_ms, other.reset_every_ms),
            self.pauses or other.pauses,
            self.dies or other.dies,
            max(self.sync_ms, other.sync_ms),
            self.sync_fails or other.sync_fails,
            self.disk_full or other.disk_full,
            self.skew_ms + other.skew_ms,
            self.clients_cut or other.clients_cut,
        )

    def holds(self, peer: str, chance: random.Random) -> bool:
        """Say whether a frame to `peer` is lost."""
        if peer in self.mute_to:
            return True
        return peer in self.lossy_to and chance.random() * 100 < self.loss_percent

    def delay_s(self, peer: str, chance: random.Random) -> float:
        """Return how long a frame to `peer` is held back."""
        if peer not in self.slow_to:
            return 0.0
        return (self.delay_ms + chance.random() * self.jitter_ms) / 1000


WHOLE = Part()
"""Nothing is broken."""


def part_of(fault: Fault, node: str) -> Part:
    """Return what `node` has to break; `WHOLE` when it has no part in it."""
    place = next((at for at, group in enumerate(fault.groups) if node in group), None)
    if place is None:
        return WHOLE
    others = frozenset(
        name for at, group in enumerate(fault.groups) if at != place for name in group
    )
    match fault.kind:
        case "partition":
            cut = fault.clients and place == 0
            return Part(deaf_to=others, mute_to=others, clients_cut=cut)
        case "one_way":
            return Part(mute_to=others) if place == 0 else Part(deaf_to=others)
        case "delay":
            return Part(slow_to=others, delay_ms=fault.amount, jitter_ms=fault.jitter_ms)
        case "loss":
            return Part(lossy_to=others, loss_percent=fault.amount)
        case "reset":
            return Part(resets=others, reset_every_ms=fault.amount)
        case "pause":
            return Part(pauses=True)
        case "kill":
            return Part(dies=True)
        case "slow_disk":
            return Part(sync_ms=fault.amount)
        case "full_disk":
            return Part(disk_full=True)
        case "fsync_error":
            return Part(sync_fails=True)
        case "clock_skew":
            return Part(skew_ms=fault.amount)


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault that has begun here."""

    fault: Fault
    part: Part
    until_s: float
    """By this node's monotonic clock."""


class Arming:
    """What is armed at this node."""

    def __init__(self, node: str, boot: str, clock: Callable[[], float]) -> None:
        self.node = node
        self.boot = boot
        self._clock = clock
        self._armed: dict[str, Armed] = {}
        self._ended: deque[str] = deque(maxlen=ENDED_MAX)
        self._effect = WHOLE
        self._good_until_s = 0.0

    def arm(self, fault: Fault, gone_ms: int = 0) -> Armed | None:
        """Begin this node's part, `gone_ms` of which are over.

        None where it has none, or had it in an earlier life, or has heard that it ended.
        """
        part = part_of(fault, self.node)
        if part == WHOLE or fault.boots.get(self.node) != self.boot:
            return None
        if fault.fault in self._armed or fault.fault in self._ended:
            return None
        for_s = min(fault.for_ms - max(0, gone_ms), FAULT_MS_MAX) / 1000
        if for_s <= 0:
            return None
        armed = self._armed[fault.fault] = Armed(fault, part, self._clock() + for_s)
        self._good_until_s = 0.0
        return armed

    def end(self, fault: str) -> bool:
        """End a part before its time; say whether it was still going on."""
        armed = self._armed.pop(fault, None)
        self._ended.append(fault)
        self._good_until_s = 0.0
        return armed is not None

    def overdue(self) -> list[Armed]:
        """Forget whose time is over; return them."""
        now_s = self._clock()
        over = [one for one in self._armed.values() if one.until_s <= now_s]
        for one in over:
            self.end(one.fault.fault)
        return over

    def faults(self) -> tuple[str, ...]:
        """Return the ids of what is armed, over or not."""
        return tuple(self._armed)

    def next_s(self) -> float:
        """Return when the next time is over, by the clock; infinite when nothing is armed."""
        return min((one.until_s for one in self._armed.values()), default=float("inf"))

    def effect(self) -> Part:
        """Return all that is broken at this moment."""
        now_s = self._clock()
        if now_s >= self._good_until_s:
            lasting = [one for one in self._armed.values() if one.until_s > now_s]
            self._good_until_s = min((one.until_s for one in lasting), default=float("inf"))
            self._effect = WHOLE
            for one in lasting:
                self._effect |= one.part
        return self._effect
