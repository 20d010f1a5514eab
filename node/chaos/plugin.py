"""Chaos in a node: follows the faults of the log, and breaks this node's part of them.

Talks to the port, the links, the clients' side, the operating system.

    the log says        here
    ----------------    -------------------------------------------------------------------
    a fault begins      armed, if it names this boot: wire, disk, clock, clients, process
    it was ended        disarmed; who is cut off is told past the cut
    nothing             disarmed when its time is over, by this node's own clock; the log is told

A core consents (`AllowChaos`) once a boot, and stops and kills its workers with itself.  A worker
has the clients alone, and consents to nothing; one that starts meanwhile takes part in what is
left.  What was armed ends with the node's process: a fault names the boots that it is for.
"""

import secrets
import time
from collections.abc import Callable

import structlog
import trio

from cluster.hooks import Hooks
from cluster.port import Answer, Port
from cluster.state.commands import SYSTEM, AllowChaos, EndChaos
from cluster.state.machine import Applied
from cluster.state.model import Fault
from node.chaos import stopping
from node.chaos.disk import ChaosDisk
from node.chaos.faults import BEGINS_AFTER_S, Armed, Arming, Part
from node.chaos.faults import WHOLE as NOTHING
from node.chaos.wire import ChaosWire
from node.plugins.contract import Here, Place
from wal.disk import Disk

CONSENT_S = 1.0
"""How often to see whether the log has this boot's consent."""
TELL_END_TIMES = 3
TELL_AGAIN_S = 2.0
"""Who does not lead tells the log of an end only if nobody else has."""
LEVEL = 2
"""Of the commands."""

log = structlog.get_logger(__name__)


class Chaos:
    """Implements `node.plugins.contract.Plugin`."""

    def __init__(self, place: Place) -> None:
        if place.settings:
            raise ValueError(f"unknown settings: {', '.join(sorted(place.settings))}")
        self._place = place
        self._arming: Arming | None = None
        self._wire = ChaosWire(lambda: self._arming, self._end_here, secrets.randbits(64))
        self._seen: dict[str, Fault] = {}
        self._port: Port | None = None
        self._here = Here()
        self._nursery: trio.Nursery | None = None
        self._changed = trio.Event()

    def hooks(self) -> Hooks:
        """See `Plugin.hooks`."""
        return Hooks(self._wire, self._disk, self._clock)

    def _disk(self, disk: Disk) -> Disk:
        return ChaosDisk(disk, self._effect)

    def _clock(self, wall_ms: Callable[[], int]) -> Callable[[], int]:
        return lambda: wall_ms() + self._effect().skew_ms

    def _effect(self) -> Part:
        return self._arming.effect() if self._arming is not None else NOTHING

    async def run(
        self,
        port: Port,
        here: Here,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `Plugin.run`."""
        self._port, self._here = port, here
        self._arming = Arming(self._place.node, port.boot, time.monotonic)
        self._seen = port.state.faults  # of before: they are none of this core's
        log.warning("chaos is on: operators may break this node on purpose")
        stop_watching: list[Callable[[], None]] = []
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                stop_watching += [port.watch(self._on_applied), port.watch_installs(self._look)]
                if self._place.is_core:
                    nursery.start_soon(self._keep_consenting)
                    nursery.start_soon(self._wire.run)
                nursery.start_soon(self._keep_time)
                for fault in self._seen.values():
                    self._see_to_its_end(fault)
                    if not self._place.is_core:
                        nursery.start_soon(self._begin, fault, self._gone_ms(fault))
                task_status.started()
        finally:
            for stop in stop_watching:
                stop()
            self._arming = None
            self._hold_clients()

    # -- what the log says

    def _on_applied(self, applied: Applied) -> None:
        self._look()

    def _look(self) -> None:
        """Arm what has begun, disarm what was ended."""
        assert self._port is not None
        assert self._nursery is not None
        faults = self._port.state.faults
        if faults is self._seen:
            return
        before, self._seen = self._seen, faults
        for fault in faults.values():
            if fault.fault not in before:
                self._nursery.start_soon(self._begin, fault)
                self._see_to_its_end(fault)
        for fault in before.values():
            if fault.fault not in faults:
                self._end_here(fault.fault)
                if self._place.is_core:
                    self._nursery.start_soon(self._tell_others, fault)

    async def _begin(self, fault: Fault, gone_ms: int = 0) -> None:
        """Arm what is not ended meanwhile, once all have heard of it."""
        if not self._place.is_core and not fault.clients:
            return
        await trio.sleep(max(0.0, BEGINS_AFTER_S - gone_ms / 1000))
        assert self._arming is not None
        armed = self._arming.arm(fault, gone_ms) if fault.fault in self._seen else None
        if armed is None:
            return
        log.warning("chaos begins", fault=fault.fault, kind=fault.kind, for_ms=fault.for_ms)
        self._hold_clients()
        self._changed.set()
        if self._place.is_core:
            await self._act(armed)

    def _end_here(self, fault: str) -> None:
        if self._arming is not None and self._arming.end(fault):
            log.warning("chaos ends", fault=fault)
            self._hold_clients()
            self._changed.set()

    async def _tell_others(self, fault: Fault) -> None:
        """Let those hear of the end who could not otherwise, being cut off.

        More than once: a link may be down at the moment, and nobody answers.
        """
        assert self._port is not None
        for _ in range(TELL_END_TIMES):
            nodes = self._port.state.nodes
            for node, boot in fault.boots.items():
                if node != self._place.node and node in nodes and nodes[node].boot == boot:
                    self._wire.tell_end(node, fault.fault)
            await trio.sleep(TELL_AGAIN_S)

    def _gone_ms(self, fault: Fault) -> int:
        """Return how much of a fault's time is over; rather too much, where clocks differ."""
        assert self._port is not None
        now_ms = max(time.time_ns() // 1_000_000, self._port.state.now_ms)
        return now_ms - fault.started_ms

    # -- this node's part

    async def _act(self, armed: Armed) -> None:
        """Do what is an act rather than a state."""
        assert self._arming is not None
        fault, part = armed.fault.fault, armed.part
        if part.dies:
            log.warning("chaos kills this process")
            stopping.kill(self._here.workers())
        if part.pauses:
            try:
                await stopping.pause(armed.until_s - time.monotonic(), self._here.workers())
            except stopping.CannotPause as error:
                log.error("chaos cannot pause", why=str(error))
        while part.resets and fault in self._arming.faults() and armed.until_s > time.monotonic():
            for peer in sorted(part.resets):
                self._wire.reset(peer)
            await trio.sleep(part.reset_every_ms / 1000)

    def _hold_clients(self) -> None:
        if self._here.hold_clients is not None:
            self._here.hold_clients(self._effect().clients_cut)

    # -- time

    async def _keep_time(self) -> None:
        """Let go of what is over."""
        assert self._arming is not None
        while True:
            self._changed = trio.Event()
            wait_s = max(0.0, self._arming.next_s() - time.monotonic())
            with trio.move_on_after(wait_s):
                await self._changed.wait()
            for armed in self._arming.overdue():
                log.warning("chaos ends, its time is over", fault=armed.fault.fault)
                self._hold_clients()

    def _see_to_its_end(self, fault: Fault) -> None:
        if self._place.is_core and self._nursery is not None:
            self._nursery.start_soon(self._tell_over, fault)

    async def _tell_over(self, fault: Fault) -> None:
        """Tell the log when a fault's time is over, until it knows; the leader first.

        Nodes without a part do so too: those with one may be dead of it.
        """
        assert self._port is not None
        await trio.sleep(BEGINS_AFTER_S + fault.for_ms / 1000)
        if self._port.status().role != "leader":
            await trio.sleep(TELL_AGAIN_S)
        while fault.fault in self._port.state.faults:
            self._port.submit(EndChaos(SYSTEM, (fault.fault,), "over"), _ignore)
            await trio.sleep(TELL_AGAIN_S)

    async def _keep_consenting(self) -> None:
        """Say in the log that this node may be broken, as long as it has this boot."""
        assert self._port is not None
        port, node = self._port, self._place.node
        while True:
            consent = port.state.consents.get(node)
            known = port.state.nodes.get(node)
            announced = known is not None and known.boot == port.boot
            consented = consent is not None and consent.boot == port.boot
            if announced and not consented and port.state.level >= LEVEL:
                await port.propose(AllowChaos(port.boot, self._place.zone))
            await trio.sleep(CONSENT_S)


def _ignore(answer: Answer) -> None:
    """`_tell_over` looks at the state."""
