"""Clusters for tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.cluster.three import NAMES, Cluster


@pytest.fixture
async def cluster(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Cluster]:
    listeners = [(await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for _ in NAMES]
    ports = [listener.socket.getsockname()[1] for listener in listeners]
    for listener in listeners:
        await listener.aclose()
    cluster = Cluster(tmp_path, ports, nursery)
    for name in NAMES:
        await cluster.start(name)
    await cluster.serving()
    yield cluster
    for name in list(cluster.replicas):
        await cluster.stop(name)
