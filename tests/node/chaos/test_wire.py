"""Links that lose and delay: whole frames, in order, and never a fault's end."""

from typing import Any

import trio
from trio.testing import MockClock

from cluster.peer.frames import FrameReader
from node.chaos.faults import Arming
from node.chaos.wire import HELD_BYTES_MAX, KIND, ChaosWire
from tests.node.chaos.test_faults import fault


class Link:
    def __init__(self) -> None:
        self.pushed: list[tuple[float, str, bytes]] = []

    def push(self, peer: str, frame: bytes) -> None:
        self.pushed.append((trio.current_time(), peer, frame))

    def reset(self, peer: str) -> None:
        raise AssertionError(peer)


def wired(*faults: Any) -> tuple[ChaosWire, Link, list[str]]:
    arming = Arming("n1", "b1", trio.current_time)
    for one in faults:
        assert arming.arm(one) is not None
    ended: list[str] = []
    wire, link = ChaosWire(lambda: arming, ended.append, seed=1), Link()
    wire.attach(link)
    return wire, link, ended


async def test_a_cut_swallows_both_ways_and_lets_the_end_through() -> None:
    wire, link, ended = wired(fault("partition", "n1", "n2"))
    assert wire.takes("n2", b"frame")
    assert wire.swallows("n2", "raft", {})
    assert not wire.takes("n3", b"frame")
    assert not wire.swallows("n3", "raft", {})
    assert wire.swallows("n2", KIND, "f")
    assert ended == ["f"]
    wire.tell_end("n2", "f")
    (_, peer, frame) = link.pushed[0]
    assert (peer, FrameReader().feed(frame)) == ("n2", [(KIND, "f")])


async def test_what_is_late_stays_in_order(autojump_clock: MockClock) -> None:
    wire, link, _ = wired(fault("delay", "n1", "n2", amount=100, for_ms=1_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.run)
        for number in range(5):
            assert wire.takes("n2", bytes([number]))
            await trio.sleep(0.03)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert [frame for _, _, frame in link.pushed] == [bytes([number]) for number in range(5)]
    late = [at - 0.03 * number for number, (at, _, _) in enumerate(link.pushed)]
    first = late[0]
    assert all(abs(one - first) < 0.001 for one in late)


async def test_after_the_delay_nothing_overtakes_what_still_waits(
    autojump_clock: MockClock,
) -> None:
    wire, link, _ = wired(fault("delay", "n1", "n2", amount=500, for_ms=100))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.run)
        assert wire.takes("n2", b"early")
        await trio.sleep(0.2)  # the fault is over, the frame is on its way
        assert wire.takes("n2", b"late")
        await trio.sleep(1)
        assert not wire.takes("n2", b"whole")
        nursery.cancel_scope.cancel()
    assert [frame for _, _, frame in link.pushed] == [b"early", b"late"]


async def test_what_waits_for_a_peer_has_a_limit() -> None:
    wire, _, _ = wired(fault("delay", "n1", "n2", amount=500))
    for _ in range(5):
        assert wire.takes("n2", bytes(HELD_BYTES_MAX // 4))
    assert wire.lost == 1


async def test_a_plugin_that_does_not_live_yet_breaks_nothing() -> None:
    wire = ChaosWire(lambda: None, lambda fault: None, seed=1)
    assert not wire.takes("n2", b"frame")
    assert not wire.swallows("n2", "raft", {})
