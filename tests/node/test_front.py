"""What `node.toml` says of clients reaches the edge."""

import random
from collections import Counter
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


@pytest.mark.parametrize(("most", "workers"), [(10, 3), (1_000, 2), (20_000, 6), (5_000, 64)])
def test_as_many_as_are_allowed_get_in_however_the_kernel_deals_them_out(
    tmp_path: Path, most: int, workers: int
) -> None:
    config = read(tmp_path, GOOD + f"[limits]\nconnections_max = {most}\n")
    assert edge_limits(config, 0).connections_max == edge_limits(config, 1).connections_max == most
    share = edge_limits(config, workers).connections_max
    assert most / workers < share <= most
    for seed in range(20):
        dealt = Counter(random.Random(seed).choices(range(workers), k=most))
        assert max(dealt.values()) <= share
