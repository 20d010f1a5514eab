"""One real three-node cluster for every complaint of a file."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from node.client import open_client
from node.local import LocalCluster
from node.local.cluster import UNLIMITED
from node.protocol.catalogue import RulesApply
from tests.complaints.desk import QUEUES, Floor, open_floor, rules
from tests.node.local.lasting import lasting

_queues = iter(QUEUES)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with lasting(tmp_path_factory.mktemp("complaints"), sections=UNLIMITED) as cluster:
        trio.run(_prepare, cluster)
        yield cluster


async def _prepare(cluster: LocalCluster) -> None:
    async with open_client(cluster.urls, cluster.mint("operator", "op")) as operator:
        await operator.request(RulesApply(files={"main.toml": rules()}))


@pytest.fixture
async def floor(cluster: LocalCluster) -> AsyncIterator[Floor]:
    """Everybody of one test, with a queue of their own; the nodes run again when it is over."""
    async with open_floor(cluster, next(_queues)) as floor:
        yield floor
    for name in cluster.names:
        cluster.restart(name)
    await cluster.wait_ready(timeout_s=60)
    for name in cluster.names:
        log = cluster.folder.log(name).read_text()
        assert "Traceback" not in log, f"{name}: {log[-2000:]}"
        assert not re.search("invariant violated", log), name
