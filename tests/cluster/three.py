"""Three replicas in one loop: real sockets, real files, the production loop."""

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio

from cluster.heal.ending import MustEnd, StartAgain
from cluster.opening import Succession
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state.commands import By, OpenConversation, SendMessage
from cluster.state.outcome import Done
from node.local.ports import free_ports
from wal.disk import Disk

NAMES = ("n1", "n2", "n3")
VISITOR = By("visitor", "ann")


class Cluster:
    """Three nodes that can be stopped as if killed, and started again on their folders."""

    def __init__(self, folder: Path, ports: list[int], nursery: trio.Nursery) -> None:
        self._folder = folder
        self._addresses = {n: ("127.0.0.1", p) for n, p in zip(NAMES, ports, strict=True)}
        self._strangers: dict[str, tuple[str, int]] = {}
        self._nursery = nursery
        self.replicas: dict[str, Replica] = {}
        self._lives: dict[str, trio.CancelScope] = {}
        self._closed: dict[Replica, trio.Event] = {}
        self.ended: dict[Replica, BaseException] = {}
        """Those that ended by themselves, and why."""

    async def add(self, name: str) -> Replica:
        """Start a node that the others were not told of."""
        self._strangers[name] = ("127.0.0.1", free_ports(1)[0])
        return await self.start(name)

    def _settings(self, name: str) -> ReplicaSettings:
        told = self._addresses | {n: a for n, a in self._strangers.items() if n == name}
        return ReplicaSettings(
            cluster="test",
            node=name,
            key=b"k" * 32,
            data=self._folder / name,
            listen=told[name],
            peers={n: a for n, a in told.items() if n != name},
            snapshot_every_entries=10,
            digest_every_entries=20,
        )

    async def start(self, name: str, disk: Disk | None = None) -> Replica:
        return await self._run(name, Replica.open(self._settings(name), disk))

    async def copy(self, name: str) -> Replica:
        """Start a second process of a node, on a copy of its folder and a port of its own."""
        twin = self._folder / f"{name}-copy"
        shutil.copytree(self._folder / name, twin)
        address = ("127.0.0.1", free_ports(1)[0])
        settings = replace(self._settings(name), data=twin, listen=address)
        replica = Replica.open(settings)
        await self._nursery.start(self._live, replica)
        return replica

    async def succeed(self, name: str, *, behind: int = 0) -> Replica:
        """Let another replica go on with the node, its state and its port.

        `behind`: with a state of so many entries less than it has.
        """
        old = self.replicas[name]
        listeners = [socket.socket(fileno=os.dup(fd)) for fd in old.peers_listening]
        old.stop()
        next_number, applied_index = await old.wait_stopped()
        old.close()
        succession = Succession(old.boot, next_number, old.state, applied_index + behind)
        try:
            new = Replica.open(self._settings(name), succession=succession, listeners=listeners)
        except BaseException:
            for listener in listeners:
                listener.close()
            del self.replicas[name]
            raise
        return await self._run(name, new)

    async def _run(self, name: str, replica: Replica) -> Replica:
        self.replicas[name] = replica
        self._lives[name] = await self._nursery.start(self._live, replica)
        return replica

    async def _live(
        self, replica: Replica, *, task_status: trio.TaskStatus[trio.CancelScope]
    ) -> None:
        self._closed[replica] = trio.Event()
        try:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(replica.run)
                    task_status.started(scope)
        except* (MustEnd, StartAgain) as errors:
            self.ended[replica] = _first(errors)
        finally:
            replica.close()
            self._closed[replica].set()

    async def stop(self, name: str) -> None:
        self._lives.pop(name).cancel()
        with trio.fail_after(60):  # a thread of it may still write
            await self._closed[self.replicas.pop(name)].wait()

    async def serving(self) -> None:
        await until(lambda: all(r.status().standing == "serving" for r in self.replicas.values()))

    def leader(self) -> str:
        return next(n for n, r in self.replicas.items() if r.status().role == "leader")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.01)


async def talk(replica: Replica, first: int, last: int) -> None:
    """Say the messages `first` to `last`, the first in a new conversation."""
    if first == 1:
        assert isinstance(await replica.propose(OpenConversation("cv", VISITOR, key="o")), Done)
    for number in range(first, last + 1):
        said = SendMessage("cv", f"m{number}", VISITOR, f"k{number}", "text", f"text {number}")
        assert isinstance(await replica.propose(said), Done)
