"""A cluster that is there for one run, and whoever supervises it.  Talks to processes.

a node that ends ──▶ started again, as a service manager would
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from node.local import UNLIMITED, LocalCluster, LocalFailure

RESTART_S = 0.5
"""As a service manager's pause before a restart."""


@asynccontextmanager
async def own_cluster(
    folder: Path, zones: Sequence[str], workers: int, tell: Callable[[str], None]
) -> AsyncIterator[LocalCluster]:
    """Run a node per zone's name in `zones`, each with `workers`, and chaos on.

    Raises `LocalFailure`.
    """
    names = [f"n{number}" for number in range(1, len(zones) + 1)]
    cluster = LocalCluster(
        folder,
        nodes=len(zones),
        cluster_id="chaos",
        sections={**UNLIMITED, "chaos": {"enabled": True}, "node": {"workers": workers}},
        zones=dict(zip(names, zones, strict=True)),
    )
    async with cluster:
        tell(f"{len(zones)} nodes are ready in {folder}")
        await cluster.wait_leader()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_supervise, cluster, tell)
            yield cluster
            nursery.cancel_scope.cancel()


async def _supervise(cluster: LocalCluster, tell: Callable[[str], None]) -> None:
    while True:
        await trio.sleep(RESTART_S)
        for name in cluster.names:
            if cluster.process(name).died:
                try:
                    cluster.restart(name)
                except LocalFailure as failure:
                    tell(str(failure))
