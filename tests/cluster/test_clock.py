"""Cluster time goes on, whatever a leader's wall clock says."""

from cluster.clock import ClusterClock


class Clocks:
    """A wall clock and a monotonic one, set by hand."""

    def __init__(self) -> None:
        self.wall_ms = 1_000_000
        self.monotonic_s = 50.0
        self.cluster = ClusterClock(lambda: self.wall_ms, lambda: self.monotonic_s)

    def wait(self, ms: int) -> None:
        self.wall_ms += ms
        self.monotonic_s += ms / 1000


def test_it_is_the_wall_clock_when_nobody_was_ahead() -> None:
    clocks = Clocks()
    clocks.cluster.note(900_000)
    assert clocks.cluster.now_ms() == 1_000_000
    clocks.wait(5_000)
    assert clocks.cluster.now_ms() == 1_005_000


def test_it_goes_on_from_the_last_stamp_of_a_leader_that_was_ahead() -> None:
    clocks = Clocks()
    clocks.cluster.note(1_060_000)
    assert clocks.cluster.now_ms() == 1_060_000
    clocks.wait(20_000)
    assert clocks.cluster.now_ms() == 1_080_000


def test_a_wall_clock_that_steps_back_does_not_hold_time_still() -> None:
    clocks = Clocks()
    clocks.cluster.note(clocks.cluster.now_ms())
    clocks.wait(1_000)
    clocks.cluster.note(clocks.cluster.now_ms())
    clocks.wall_ms -= 3_600_000
    clocks.cluster.note(1_001_000)
    clocks.wait(2_000)
    assert clocks.cluster.now_ms() == 1_003_000


def test_a_wall_clock_that_steps_forward_is_believed() -> None:
    clocks = Clocks()
    clocks.cluster.note(1_060_000)
    clocks.wall_ms += 3_600_000
    assert clocks.cluster.now_ms() == 4_600_000
