"""A cluster that outlives a loop: started once for a module, whose tests have a loop each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from node.local import LocalCluster


@contextmanager
def lasting(folder: Path, **options: Any) -> Iterator[LocalCluster]:
    """Start a cluster, with the options of `LocalCluster`, and wait until it serves."""
    cluster = LocalCluster(folder, **options)
    cluster.start()
    try:
        trio.run(cluster.wait_ready)
        yield cluster
    finally:
        trio.run(cluster.stop)
