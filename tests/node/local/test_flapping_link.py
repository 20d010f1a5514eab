"""A link that goes down and up every 200 ms: it must not make leadership wander.

Real processes, their links through proxies.  Leadership changes are terms in which a node of the
cluster says that it leads, beyond the first.  A minute allows CHANGES_MAX; ten seconds allow one.
"""

import random
from pathlib import Path

import pytest
import trio

from node.local import UNLIMITED
from node.replay.checker import check
from node.replay.histories import read_histories
from scripts.kill_loop import Ledger, write
from scripts.nemesis.stage import Stage, open_stage, wait_acknowledged

pytestmark = [pytest.mark.process, pytest.mark.slow]

FLAP_S = 0.2
CHANGES_MAX = 3
"""In a minute."""
LOOK_S = 0.1
SAME_S = 60.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("whose", ["leader", "followers"])
async def test_a_flapping_link_moves_leadership_once_at_most_in_ten_seconds(
    tmp_path: Path, whose: str
) -> None:
    assert await _changes_while_flapping(tmp_path, whose, 10.0) <= 1


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("whose", ["leader", "followers"])
async def test_a_flapping_link_moves_leadership_three_times_at_most_in_a_minute(
    tmp_path: Path, whose: str
) -> None:
    assert await _changes_while_flapping(tmp_path, whose, 60.0) <= CHANGES_MAX


async def _changes_while_flapping(folder: Path, whose: str, for_s: float) -> int:
    """Return how often leadership changed; fail when anything acknowledged was lost."""
    ledger, terms = Ledger(), set[int]()
    async with open_stage(
        folder, nodes=3, cluster_id="flap", chance=random.Random(), sections=UNLIMITED
    ) as stage:
        async with trio.open_nursery() as writers:
            for place in range(3):
                writers.start_soon(write, stage.cluster, place, ledger)
            await wait_acknowledged(lambda: ledger.acknowledged, 20)
            async with trio.open_nursery() as watching:
                watching.start_soon(_note_terms, stage, terms)
                await _flap(stage, whose, for_s)
                watching.cancel_scope.cancel()
            ledger.stopping = True
        assert await stage.wait_same(SAME_S) == []
        assert await read_histories(stage.cluster, ledger.records) == []
    assert ledger.trouble == []
    assert check(ledger.records, {}) == []
    assert terms
    return len(terms) - 1


async def _flap(stage: Stage, whose: str, for_s: float) -> None:
    """Cut and mend one link, both ways: the leader's to a follower, or that between followers."""
    leader = await stage.cluster.wait_leader()
    one, other = (name for name in stage.cluster.names if name != leader)
    ends = {leader if whose == "leader" else one}, {other}
    links = stage.network.between(*ends) + stage.network.between(*reversed(ends))
    with trio.move_on_after(for_s):
        while True:
            for link in links:
                link.mend() if link.is_cut else link.cut()
            await trio.sleep(FLAP_S)
    for link in links:
        link.mend()


async def _note_terms(stage: Stage, terms: set[int]) -> None:
    """Note the terms in which anybody says that it leads."""
    while True:
        for status in (await stage.cluster.status()).values():
            if status is not None and status.leads:
                terms.add(status.term)
        await trio.sleep(LOOK_S)
