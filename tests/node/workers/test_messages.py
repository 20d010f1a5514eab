"""Frames between a core and its workers, however they are cut; figures of several as one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.desk.statistics import DeskStatistics
from node.edge.pressure import Level
from node.edge.server import EdgeServer
from node.workers import figures, messages
from tests.node.desk.office import office
from tests.node.edge.client import Recorder


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_frames_come_out_as_they_went_in(payloads: list[bytes], data: st.DataObject) -> None:
    sent = [messages.Heard("n1", payload) for payload in payloads]
    joined = b"".join(messages.encode(message) for message in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(joined)), max_size=8)))
    edges = [0, *cuts, len(joined)]
    frames = messages.Frames()
    heard = [
        messages.from_core.decode(frame)
        for start, end in itertools.pairwise(edges)
        for frame in frames.feed(joined[start:end])
    ]
    assert heard == sent


def test_a_length_of_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of 4294967295 bytes"):
        list(messages.Frames().feed(b"\xff" * 8))


async def test_several_edges_and_desks_are_added_up() -> None:
    one = figures.plain(EdgeServer(Recorder()).statistics())
    other = {
        **one,
        "connections": 3,
        "accepted_total": 5,
        "refused_total": {"503": 2},
        "loop_lag_s": 0.5,
        "level": 1,
    }
    third = {**other, "refused_total": {"503": 1, "429": 4}, "loop_lag_s": 0.1}
    total = figures.edge_of_all([one, other, third])
    assert (total.connections, total.accepted_total, total.loop_lag_s) == (6, 10, 0.5)
    assert total.refused_total == {"503": 3, "429": 4}
    assert total.level is Level.HIGH
    stays = figures.of_the_departed(other)
    assert (stays["connections"], stays["accepted_total"]) == (0, 5)
    assert figures.edge_of_all([stays, other]).connections == 3
    async with office() as desk:
        visitor = await desk.visitor()
        await desk.opened(visitor)
        mine = desk.desks["n1"].statistics()
        twice = figures.desk_of_all([figures.plain(mine), figures.plain(mine)])
        assert isinstance(twice, DeskStatistics)
        assert twice.sessions == {"visitor": 2}
        assert sum(twice.durable.counts) == 2 * sum(mine.durable.counts)
        gone = figures.of_the_departed(figures.plain(mine))
        again = figures.desk_of_all([gone, figures.plain(mine)])
        assert again.sessions == mine.sessions
        assert again.durable == twice.durable
