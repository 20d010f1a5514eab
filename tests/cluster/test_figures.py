"""Figures of a node and of its disk, and what is said when there are none."""

from random import Random

import pytest
from structlog.testing import capture_logs

from cluster.disk_watch import DiskWatch
from cluster.figures import PeerVitals, Timings, by_rule, peer_vitals
from cluster.state import commands as c
from cluster.state.commands import HealOutcome
from cluster.state.machine import Applied
from cluster.state.outcome import OfferMade
from cluster.vitals import Heard, Vitals
from tests.cluster.state.desk import BOB, Desk
from tests.sim.disk import SimDisk
from tests.wal.samples import open_log
from wal.errors import StorageFailed


def test_what_was_healed_is_counted_by_rule_and_outcome() -> None:
    counts: dict[tuple[str, HealOutcome], int]
    counts = {("minority", "done"): 2, ("minority", "failed"): 1, ("twin", "done"): 4}
    assert by_rule(counts) == {"minority": {"done": 2, "failed": 1}, "twin": {"done": 4}}


def test_what_other_nodes_said_is_told_with_its_age_and_how_far_their_clocks_are_ahead() -> None:
    said = Vitals("b", 2, version="0.1.0", zone="dc1", standing="serving", wall_ms=10_500)
    heard = {"n2": Heard(said, at_s=100.0, wall_ms=10_000)}
    assert peer_vitals(heard, 101.5) == {
        "n2": PeerVitals(
            age_s=1.5, ahead_s=0.5, level=2, version="0.1.0", zone="dc1", standing="serving"
        )
    }


def test_a_wait_ends_with_an_offer_and_none_is_told_of_what_is_gone_by_then() -> None:
    desk, timings = Desk(), Timings()
    desk.online(BOB)
    desk.waiting("cv1")
    desk.wait(4_000)
    desk.offered("cv1")
    (made,) = (one for one in desk.notices if isinstance(one, OfferMade))
    timings.offered(Applied(9, desk.now_ms, [], [made]), desk.state)
    assert timings.dispatch_wait.buckets().sum == 5.0
    desk.done(c.AcceptOffer(made.offer.oid, BOB, "a"))
    desk.done(c.CloseConversation("cv1", BOB, "k"))
    desk.state.drop_conversation("cv1")
    timings.offered(Applied(9, desk.now_ms, [], [made]), desk.state)
    assert sum(timings.dispatch_wait.buckets().counts) == 1


def test_a_disk_that_cannot_be_looked_at_has_unknown_room_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = SimDisk(Random(1))
    log, _ = open_log(disk)
    watch = DiskWatch(disk, log)
    watch.sample()
    room = watch.storage().free_bytes
    assert room == disk.bytes_free()

    def fail() -> int:
        raise StorageFailed("sim", "statvfs", "stale handle")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(disk, "bytes_free", fail)
        watch.sample()
        watch.sample()
    assert (watch.storage().free_bytes, watch.storage().total_bytes) == (-1, -1)
    assert len(logs) == 1
    assert "sim: statvfs failed: stale handle" in logs[0]["why"]
    watch.sample()
    assert watch.storage().free_bytes == room
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(disk, "bytes_free", fail)
        watch.sample()
    assert len(logs) == 1, "another time is told again"
