"""Chaos in a node: follows the faults of the log, and breaks this node's part of them.

Talks to the port, the links, the edge, the operating system.

    the log says        here
    ----------------    -------------------------------------------------------------------
    a fault begins      armed, if it names this boot: wire, disk, clock, clients, process
    it was ended        disarmed; who is cut off is told past the cut
    nothing             disarmed when its time is over, by this node's own clock; the log is told

A core consents (`AllowChaos`) once a boot.  A worker has the clients alone, and consents to
nothing.  What was armed ends with the process: a fault names the boots that it is for.
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
from node.edge.server import EdgeServer
from node.plugins.contract import Place
from wal.disk import Disk

CONSENT_S = 1.0
"""How often to see whether the log has this boot's consent."""
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
        self._edge: EdgeServer | None = None
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
        edge: EdgeServer | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `Plugin.run`."""
        self._port, self._edge = port, edge
        self._arming = Arming(self._place.node, port.boot, time.monotonic)
        self._seen = port.state.faults  # of before: they are none of this process's
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
        for fault in before.values():
            if fault.fault not in faults:
                self._end_here(fault.fault)
                self._tell_others(fault)

    async def _begin(self, fault: Fault) -> None:
        """Arm what is not ended meanwhile, once all have heard of it."""
        await trio.sleep(BEGINS_AFTER_S)
        assert self._arming is not None
        armed = self._arming.arm(fault) if fault.fault in self._seen else None
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

    def _tell_others(self, fault: Fault) -> None:
        """Let those hear of the end who could not otherwise, being cut off."""
        assert self._port is not None
        if not self._place.is_core:
            return
        nodes = self._port.state.nodes
        for node, boot in fault.boots.items():
            if node != self._place.node and node in nodes and nodes[node].boot == boot:
                self._wire.tell_end(node, fault.fault)

    # -- this node's part

    async def _act(self, armed: Armed) -> None:
        """Do what is an act rather than a state."""
        assert self._arming is not None
        fault, part = armed.fault.fault, armed.part
        if part.dies:
            log.warning("chaos kills this process")
            stopping.kill()
        if part.pauses:
            try:
                await stopping.pause(armed.until_s - time.monotonic())
            except stopping.CannotPause as error:
                log.error("chaos cannot pause", why=str(error))
        while part.resets and fault in self._arming.faults() and armed.until_s > time.monotonic():
            for peer in sorted(part.resets):
                self._wire.reset(peer)
            await trio.sleep(part.reset_every_ms / 1000)

    def _hold_clients(self) -> None:
        if self._edge is not None:
            self._edge.hold(self._effect().clients_cut)

    # -- time

    async def _keep_time(self) -> None:
        """Let what is over be over for everybody, too."""
        assert self._arming is not None
        while True:
            self._changed = trio.Event()
            wait_s = max(0.0, self._arming.next_s() - time.monotonic())
            with trio.move_on_after(wait_s):
                await self._changed.wait()
            for armed in self._arming.overdue():
                log.warning("chaos ends, its time is over", fault=armed.fault.fault)
                self._hold_clients()
                if self._place.is_core and self._nursery is not None:
                    self._nursery.start_soon(self._tell_over, armed.fault.fault)

    async def _tell_over(self, fault: str) -> None:
        """Tell the log, until it knows; the leader first."""
        assert self._port is not None
        if self._port.status().role != "leader":
            await trio.sleep(TELL_AGAIN_S)
        while fault in self._port.state.faults:
            self._port.submit(EndChaos(SYSTEM, (fault,), "over"), _ignore)
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
