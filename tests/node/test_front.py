"""What `node.toml` says of clients reaches the edge."""

from pathlib import Path

import pytest

from node.front import edge_limits
from tests.node.test_config import GOOD, read


@pytest.mark.parametrize("deflate", [True, False])
def test_deflate_is_for_the_configuration_to_allow(tmp_path: Path, deflate: bool) -> None:
    said = f"[client]\ndeflate = {str(deflate).lower()}\n"
    config = read(tmp_path, GOOD.replace("[client]\n", said))
    assert edge_limits(config, 1).deflate is deflate
    assert not edge_limits(read(tmp_path, GOOD), 1).deflate


def test_processes_share_what_one_may_have(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD + "[limits]\nconnections_max = 10\n")
    assert [edge_limits(config, processes).connections_max for processes in (1, 3)] == [10, 4]
