"""Clusters for tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.cluster.three import NAMES, Cluster, free_ports


@pytest.fixture
async def cluster(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Cluster]:
    ports = await free_ports()
    cluster = Cluster(tmp_path, ports, nursery)
    for name in NAMES:
        await cluster.start(name)
    await cluster.serving()
    yield cluster
    for name in list(cluster.replicas):
        await cluster.stop(name)
