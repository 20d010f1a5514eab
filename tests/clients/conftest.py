"""One cluster of real processes for all tests of a module, and a folder for compiled drivers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.local import LocalCluster
from node.local.cluster import UNLIMITED
from tests.node.local.lasting import lasting


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three nodes; whoever ends one starts it again."""
    with lasting(tmp_path_factory.mktemp("cluster"), sections=UNLIMITED) as made:
        yield made


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Java's classes are."""
    return tmp_path_factory.mktemp("classes")
