"""Clusters for tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from node.local.ports import free_ports
from tests.cluster.three import NAMES, Cluster


@pytest.fixture
async def cluster(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Cluster]:
    ports = free_ports(len(NAMES))
    cluster = Cluster(tmp_path, ports, nursery)
    for name in NAMES:
        await cluster.start(name)
    await cluster.serving()
    yield cluster
    for name in list(cluster.replicas):
        await cluster.stop(name)
