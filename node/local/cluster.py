"""A cluster of node processes on loopback, to run, kill and watch.  Talks to processes, HTTP.

    async with LocalCluster(folder) as cluster:      # started and ready
        await cluster.kill(await cluster.wait_leader())

What happens in it is real: `unidesk serve` per node, real disks, real sockets, real signals.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import trio

from node.client.address import Address
from node.client.http import Unreachable, get
from node.client.status import NodeStatus, fetch_status
from node.local.failures import LocalFailure
from node.local.folder import Folder, Sections
from node.local.process import NodeProcess
from node.protocol.catalogue import Role

READY_S = 60.0
STOP_S = 6.0
LEADER_S = 40.0
POLL_S = 0.05
PROBE_S = 1.0


UNLIMITED = {"limits": {"visitor_requests_per_s": 0, "service_requests_per_s": 0}}
"""A `sections` for load: clients that say as much as they can."""


class LocalCluster:
    """Nodes n1, n2 … in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 3,
        cluster_id: str = "local",
        first_port: int = 0,
        sections: Sections | None = None,
        grpc: bool = False,
        observe: bool = False,
        zones: Mapping[str, str] | None = None,
    ) -> None:
        """Find the cluster of `folder`, or make it.  Raises `LocalFailure`.

        `sections` is added to each node.toml: `{"timing": {"offer": "5s"}}`; `zones` says where the
        nodes are.
        """
        self.folder = Folder.open(
            folder,
            nodes=nodes,
            cluster_id=cluster_id,
            first_port=first_port,
            grpc=grpc,
            observe=observe,
        )
        self._sections = sections or {}
        self._zones = zones or {}
        self._processes = {
            name: NodeProcess(name, self.folder.config(name), self.folder.log(name))
            for name in self.folder.names
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' ids."""
        return self.folder.names

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect, in the order of `names`."""
        return self.folder.urls

    def url(self, name: str) -> str:
        """Return where clients of node `name` connect."""
        return self.folder.address(name).url

    def address(self, name: str) -> Address:
        """Return where clients of node `name` connect."""
        return self.folder.address(name)

    def observe_address(self, name: str) -> Address:
        """Return where machines look at node `name`."""
        return self.folder.observe_address(name)

    def grpc_target(self, name: str) -> str:
        """Return where clients of node `name` connect by gRPC."""
        return self.folder.grpc_target(name)

    def process(self, name: str) -> NodeProcess:
        """Return the process of node `name`."""
        return self._processes[name]

    def pid(self, name: str) -> int | None:
        """Return the pid of node `name`, None when it does not run."""
        return self._processes[name].pid

    def mint(self, role: Role, subject: str, **claims: Any) -> str:
        """Return a token for this cluster; `claims` are those of `LocalFolder.mint`."""
        return self.folder.mint(role, subject, **claims)

    def pass_for_pages(self) -> str:
        """Return what lets one read `/cluster` of the nodes now, and do nothing else."""
        return self.folder.pass_for_pages()

    # -- life

    async def __aenter__(self) -> "LocalCluster":
        self.start()
        try:
            await self.wait_ready()
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with trio.CancelScope(shield=True):
            await self.stop()

    def start(self) -> None:
        """Write the configurations and start every node.  Raises `LocalFailure`."""
        # The kernel binds a node's life to the thread that starts it.
        assert threading.current_thread() is threading.main_thread()
        self.folder.hold()
        try:
            self.folder.check_ports()
            self.folder.write_configs(self._sections, self._zones)
            for process in self._processes.values():
                process.start()
        except BaseException:
            self._kill_all()
            self.folder.release()
            raise

    async def stop(self, *, timeout_s: float = STOP_S) -> None:
        """End every node: SIGTERM to all, and SIGKILL to whom it takes over `timeout_s`."""
        try:
            async with trio.open_nursery() as nursery:
                for process in self._processes.values():
                    nursery.start_soon(_stop, process, timeout_s)
        finally:
            self._kill_all()
            self.folder.release()

    async def kill(self, name: str) -> int | None:
        """End node `name` with SIGKILL; return the pid it had."""
        return await self._processes[name].kill()

    async def kill_all(self) -> None:
        """End every node with SIGKILL at once."""
        self._kill_all()
        for process in self._processes.values():
            await process.kill()

    async def upgrade(self, name: str) -> dict[str, Any]:
        """Replace the process of node `name` by a new one; return the last that was told of it."""
        done = await self._processes[name].upgrade()
        lines = done.stdout.splitlines()
        if not lines:
            raise LocalFailure(f"{name}: no upgrade: {done.stderr.decode(errors='replace')}")
        told: dict[str, Any] = json.loads(lines[-1])
        return told

    def restart(self, name: str) -> None:
        """Start node `name` again; harmless when it runs.  `wait_ready` tells when it is there."""
        self._processes[name].start()

    def pause(self, name: str) -> None:
        """Stop the time of node `name` (SIGSTOP)."""
        self._processes[name].pause()

    def resume(self, name: str) -> None:
        """Let the time of node `name` go on (SIGCONT)."""
        self._processes[name].resume()

    def _kill_all(self) -> None:
        for process in self._processes.values():
            process.kill_nowait()

    # -- what they say

    async def wait_ready(
        self, *, timeout_s: float = READY_S, nodes: Iterable[str] | None = None
    ) -> None:
        """Wait until `/readyz` of `nodes` (of all) answers 200.

        Raises `NodeDied` when one ends, `LocalFailure` with the reason when it takes too long.
        """
        unready = dict.fromkeys(nodes or self.names, "no answer yet")
        with trio.move_on_after(timeout_s):
            while True:
                for name in list(unready):
                    self._processes[name].check()
                    unready[name] = await self._why_unready(name)
                    if not unready[name]:
                        del unready[name]
                if not unready:
                    return
                await trio.sleep(POLL_S)
        name, why = next(iter(unready.items()))
        tail = self._processes[name].log_tail()
        raise LocalFailure(f"{name} is not ready after {timeout_s:g} s: {why}\n{tail}")

    async def status(self) -> dict[str, NodeStatus | None]:
        """Return what each node says at `/cluster`; None for those that do not answer."""
        found: dict[str, NodeStatus | None] = dict.fromkeys(self.names)

        async def ask(name: str) -> None:
            found[name] = await self.status_of(name)

        async with trio.open_nursery() as nursery:
            for name in self.names:
                nursery.start_soon(ask, name)
        return found

    async def status_of(self, name: str, *, digest: bool = False) -> NodeStatus | None:
        """Return what node `name` says at `/cluster`; None when it does not answer."""
        if not self._processes[name].running:
            return None
        try:
            proof = self.folder.pass_for_pages()
            return await fetch_status(
                self.address(name), token=proof, timeout_s=PROBE_S, digest=digest
            )
        except Unreachable:
            return None

    async def leader(self) -> str | None:
        """Return the node that leads in the newest term, as far as nodes say."""
        leaders = [
            (status.term, name)
            for name, status in (await self.status()).items()
            if status is not None and status.leads
        ]
        return max(leaders)[1] if leaders else None

    async def wait_leader(self, *, timeout_s: float = LEADER_S, but: str = "") -> str:
        """Return the leader once there is one, and it is not `but`.  Raises `LocalFailure`."""
        with trio.move_on_after(timeout_s):
            while True:
                leader = await self.leader()
                if leader is not None and leader != but:
                    return leader
                await trio.sleep(POLL_S)
        raise LocalFailure(f"no leader within {timeout_s:g} s")

    async def wait_caught_up(self, *, timeout_s: float = READY_S) -> int:
        """Wait until every node has applied what is committed now; return that log index.

        Raises `NodeDied`, `LocalFailure`.
        """
        leader = await self.wait_leader(timeout_s=timeout_s)
        aim, behind = 0, ""
        with trio.move_on_after(timeout_s):
            while True:
                statuses = await self.status()
                lead = statuses[leader]
                aim = aim or (lead.commit_index if lead is not None else 0)
                behind = ", ".join(
                    f"{name} at {status.applied_index if status else 'no answer'}"
                    for name, status in statuses.items()
                    if status is None or status.applied_index < aim
                )
                if aim and not behind:
                    return aim
                for process in self._processes.values():
                    process.check()
                await trio.sleep(POLL_S)
        raise LocalFailure(f"not caught up to {aim} within {timeout_s:g} s: {behind}")

    async def _why_unready(self, name: str) -> str:
        try:
            proof = self.folder.pass_for_pages()
            answer = await get(
                self.address(name), "/readyz?verbose", timeout_s=PROBE_S, token=proof
            )
        except Unreachable as error:
            return str(error)
        return "" if answer.status == 200 else answer.text.strip() or str(answer.status)


async def _stop(process: NodeProcess, timeout_s: float) -> None:
    await process.stop(timeout_s=timeout_s)
