"""A cluster of real nodes that can be broken: processes, links, disks, clocks.  Talks to all four.

LocalCluster ── every link through ──▶ Network     cut, slow, reset, spoilt
             ── inside each process ─▶ Shim        disk and clock; none without a C compiler
             ── who ends itself ─────▶ started again after RESTART_S, as a supervisor would
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from node.client.status import NodeStatus
from node.local import LocalCluster
from node.local.folder import Sections
from scripts.nemesis.proxy import Network
from scripts.nemesis.shim import Shim, build

RESTART_S = 0.3
POLL_S = 0.2
READY_S = 120.0
"""For all nodes to start, on a machine that has much to do."""


@dataclass
class Stage:
    """What there is to break."""

    cluster: LocalCluster
    network: Network
    shims: dict[str, Shim]
    down: set[str] = field(default_factory=set)
    """Nodes that are to stay down for now."""
    restarts: int = 0
    """By the supervisor."""

    async def supervise(self) -> None:
        """Start again whoever ended, until cancelled."""
        while True:
            await trio.sleep(RESTART_S)
            for name in self.cluster.names:
                if name not in self.down and not self.cluster.process(name).running:
                    self.restarts += 1
                    self.cluster.restart(name)

    async def wait_same(self, within_s: float, nodes: tuple[str, ...] = ()) -> list[str]:
        """Wait until `nodes` (all) serve and hold one state; return what is not so in time.

        Nobody may write meanwhile, or no two nodes are asked at the same index.
        """
        found: dict[str, NodeStatus | None] = {}
        with trio.move_on_after(within_s):
            while True:
                for name in nodes or self.cluster.names:
                    found[name] = await self.cluster.status_of(name, digest=True)
                if are_same(list(found.values())):
                    return []
                await trio.sleep(POLL_S)
        return [f"not healed after {within_s:.0f} s: {name}: {one}" for name, one in found.items()]

    async def all_vote_but(self, name: str) -> bool:
        """Whether every other node runs, serves and remembers."""
        for other in self.cluster.names:
            if other != name:
                status = await self.cluster.status_of(other)
                if status is None or status.standing != "serving" or status.abstains:
                    return False
        return True


@asynccontextmanager
async def open_stage(
    folder: Path,
    *,
    nodes: int,
    cluster_id: str,
    chance: random.Random,
    sections: Sections | None = None,
    before: Callable[[LocalCluster], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    """A cluster with a leader, for the time of the block; `before` sees it before it starts.

    Raises `LocalFailure`.
    """
    cluster = LocalCluster(folder, nodes=nodes, cluster_id=cluster_id, sections=sections)
    stage = Stage(cluster, Network(cluster.names, chance), _make_shims(cluster, folder))
    async with trio.open_nursery() as proxies:
        for (_, target), link in stage.network.links.items():
            await proxies.start(link.serve, cluster.folder.layout.nodes[target].peer)
        cluster.folder.via = {
            pair: f"127.0.0.1:{link.port}" for pair, link in stage.network.links.items()
        }
        before(cluster)
        cluster.start()
        try:
            await cluster.wait_ready(timeout_s=READY_S)
            await cluster.wait_leader()
            yield stage
        finally:
            with trio.CancelScope(shield=True):
                await cluster.stop()
        proxies.cancel_scope.cancel()


def _make_shims(cluster: LocalCluster, folder: Path) -> dict[str, Shim]:
    library = build(folder)
    if library is None:
        return {}
    shims = {name: Shim(library, folder / f"{name}.control") for name in cluster.names}
    for name, shim in shims.items():
        cluster.process(name).environ |= shim.environ
    return shims


def are_same(found: list[NodeStatus | None]) -> bool:
    """Whether all of them serve, remember, and have one state at one index."""
    digests = set()
    for one in found:
        if one is None or one.standing != "serving" or one.abstains:
            return False
        digest = one.state_digest or {}
        digests.add((digest.get("index"), digest.get("digest")))
    return len(digests) == 1


async def wait_acknowledged(count: Callable[[], int], more: int = 1) -> None:
    """Wait until so many more writes were acknowledged than now."""
    before = count()
    while count() < before + more:
        await trio.sleep(0.01)


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of what went wrong, however deep it is."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
