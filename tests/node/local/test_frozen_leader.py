"""A leader whose time stands still for ten seconds (SIGSTOP), and who then goes on (SIGCONT).

Real processes; the simulator freezes nodes too, on simulated clocks.  What is checked:

    double commit    what was asked of the frozen leader and, with the same key, of another node is
                     there once, and both are told the same; all that anybody was told is in every
                     node's history, once and in order
    stale read       a read that promises to hold what was acknowledged (the first page of a list)
                     and lies in the frozen leader's socket when it wakes up, believing that it
                     leads: its answer holds what others acknowledged meanwhile, or it is refused
    two leaders      nothing is acknowledged by the old leader in its old term
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import Client, RequestFailed, Timing, new_key, open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvList, CvOpen, MsgSend
from node.replay.checker import check
from node.replay.histories import read_histories
from scripts.kill_loop import Ledger, write
from scripts.nemesis.stage import are_same, wait_acknowledged

pytestmark = [pytest.mark.process, pytest.mark.slow]

FROZEN_S = 10.0
ASKED_S = 1.0
"""Before the end of the frost: what is asked of the frozen leader then, it reads when it wakes."""
PATIENT = Timing(request_s=30.0, unanswered_s=30.0)
READERS = 8


@pytest.mark.timeout(180)
async def test_a_leader_frozen_for_ten_seconds_doubles_nothing_and_serves_nothing_stale(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    async with LocalCluster(tmp_path, sections=UNLIMITED) as cluster:
        frozen = await cluster.wait_leader()
        async with trio.open_nursery() as writers:
            for place in range(4):
                writers.start_soon(write, cluster, place, ledger)
            await wait_acknowledged(lambda: ledger.acknowledged, 20)
            await _freeze_and_ask(cluster, frozen, ledger)
            ledger.stopping = True
        await _wait_same(cluster)
        assert await read_histories(cluster, ledger.records) == []
    assert ledger.trouble == []
    assert check(ledger.records, {}) == []


async def _freeze_and_ask(cluster: LocalCluster, frozen: str, ledger: Ledger) -> None:
    term = (await cluster.status())[frozen].term  # type: ignore[union-attr]
    other = next(name for name in cluster.names if name != frozen)
    supervisor = cluster.mint("supervisor", "reader")
    visitor = cluster.mint("visitor", "asks-twice")
    async with (
        _pinned(cluster, frozen, supervisor) as reads,
        _pinned(cluster, frozen, visitor) as before,
        _pinned(cluster, other, visitor) as meanwhile,
    ):
        for client in (reads, before, meanwhile):
            await client.wait_welcome()
        cv = str((await before.request(CvOpen(key=new_key())))["cv"])
        twice = MsgSend(cv=cv, key=new_key(), body="asked of two nodes")
        asks_s = trio.current_time() + FROZEN_S - ASKED_S
        cluster.pause(frozen)
        try:
            await cluster.wait_leader(but=frozen)
            await wait_acknowledged(lambda: ledger.acknowledged)
            await trio.sleep_until(asks_s)
            told = await meanwhile.request(twice)
            newest = str((await meanwhile.request(CvOpen(key=new_key())))["cv"])
            answers: list[Any] = []
            async with trio.open_nursery() as asked:
                for _ in range(READERS):
                    asked.start_soon(_ask, reads, CvList(limit=50), answers)
                again: list[Any] = []
                asked.start_soon(_ask, before, twice, again)
                await trio.sleep(ASKED_S)
                assert answers == again == []
                cluster.resume(frozen)
        finally:
            cluster.resume(frozen)
    for answer in answers:
        if isinstance(answer, RequestFailed):
            assert answer.code in ("no_leader", "minority", "timeout"), answer
        else:
            assert newest in [row["cv"] for row in answer["items"]], "a stale page passed for fresh"
    (once,) = again
    assert isinstance(once, RequestFailed) or (once["seq"], once["mid"]) == (
        told["seq"],
        told["mid"],
    )
    status = await cluster.status_of(await cluster.wait_leader())
    assert status is not None
    assert status.term > term


def _pinned(cluster: LocalCluster, name: str, token: str) -> Any:
    return open_client([cluster.url(name)], token, pinned=True, timing=PATIENT, on_push=_ignore)


def _ignore(_: object) -> None:
    return


async def _ask(client: Client, request: Any, answers: list[Any]) -> None:
    try:
        answers.append(await client.request(request))
    except RequestFailed as failed:
        answers.append(failed)


async def _wait_same(cluster: LocalCluster) -> None:
    with trio.fail_after(60):
        while True:
            ask = partial(cluster.status_of, digest=True)
            if are_same([await ask(name) for name in cluster.names]):
                return
            await trio.sleep(0.1)
