"""What travels between a node's processes arrives as it was sent, and fits into a frame."""

import contextlib
import os
import socket
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state import levels
from cluster.state.commands import CloseSession, LoseSession
from node.auth import Principal
from node.config import ObserveConfig
from node.desk.parcel import Followed, SessionParcel
from node.edge.decoder import Decoder
from node.edge.limits import EdgeLimits
from node.edge.parcel import Parcel
from node.handover import asking, descriptors, messages
from node.workers.messages import FRAME_BYTES_MAX, Frames, Message, encode
from tests.node.desk.office import config_of

seconds = st.floats(-1e6, 1e6)
names = st.text(max_size=30)
parcels = st.builds(
    Parcel,
    kind=st.sampled_from(["websocket", "events", "http"]),
    peer=names,
    due_s=seconds,
    outbox=st.lists(st.binary(max_size=50), max_size=4),
    started=st.booleans(),
    unread=st.binary(max_size=100),
    subprotocol=st.none() | names,
    seen_s=seconds,
    pinged_s=st.none() | seconds,
)
principals = st.builds(
    Principal,
    role=st.sampled_from(["visitor", "agent", "supervisor", "operator", "service"]),
    id=names,
    exp=st.integers(0, 2**40),
    name=names,
    skills=st.dictionaries(names, st.integers(0, 10), max_size=3),
    capacity=st.integers(1, 100),
)
follows = st.builds(
    Followed,
    cv=names,
    cursor=st.integers(0, 2**53),
    catching=st.booleans(),
    received=st.integers(0, 2**53),
    read=st.integers(0, 2**53),
)
sessions = st.builds(
    SessionParcel,
    live=st.booleans(),
    hello_in_s=st.none() | seconds,
    principal=st.none() | principals,
    sid=names,
    follows=st.lists(follows, max_size=4),
    offers=st.lists(names, max_size=4),
    expires_in_s=st.none() | seconds,
    warn_in_s=st.none() | seconds,
    ping_in_s=st.none() | seconds,
    excess=st.integers(0, 1_000),
    typing=st.booleans(),
    typing_ago_s=st.none() | seconds,
)
connections = st.lists(st.tuples(parcels, st.none() | sessions), max_size=5)


@given(st.integers(0, 2**40), connections)
def test_connections_arrive_as_they_left(
    number: int, moved: list[tuple[Parcel, SessionParcel | None]]
) -> None:
    (frame,) = Frames().feed(encode(messages.Moved(number, moved)))
    assert messages.to_successor(frame) == messages.Moved(number, moved)


def test_the_core_arrives_as_it_left() -> None:
    ends: list[LoseSession | CloseSession] = [
        LoseSession("s1", "n1", "b"),
        CloseSession("s2", "n1", "b"),
    ]
    (frame,) = Frames().feed(encode(messages.Yours(17, 1_000, ends, ("s1",))))
    assert messages.to_successor(frame) == messages.Yours(17, 1_000, ends, ("s1",))


def test_a_successor_with_another_state_is_refused_and_with_another_form_of_it_is_not() -> None:
    ours = messages.Compared(7, "1.2:aa")
    assert messages.difference(ours, ours) == ""
    assert "another state at index 7" in messages.difference(ours, messages.Compared(7, "1.2:ab"))
    assert "try again" in messages.difference(ours, messages.Compared(8, "1.2:ab"))
    assert messages.difference(ours, messages.Compared(7, "1.3:ab")) == ""


def test_a_successor_of_an_earlier_release_is_not_asked_to_compare() -> None:
    class Level(Message, tag="level"):
        """As earlier releases say it, and read it."""

    (frame,) = Frames().feed(encode(Level()))
    assert messages.to_predecessor(frame) == messages.Level(compares=False)
    (frame,) = Frames().feed(encode(messages.Level(compares=True)))
    assert msgspec.msgpack.decode(frame, type=Level) == Level()


def test_the_fullest_batch_fits_into_a_frame() -> None:
    """One connection more than the bytes of a batch allow, and that one as full as can be."""
    limits = EdgeLimits()
    largest = limits.outbox_bytes_max + 7 * limits.frame_bytes_max + limits.head_bytes_max
    assert messages.BATCH_BYTES_MAX + largest + messages.CONNECTIONS_MAX * 64_000 < FRAME_BYTES_MAX
    assert messages.CONNECTIONS_MAX <= descriptors.FDS_MAX
    assert Decoder(limits.frame_bytes_max).unfinished == b""


def test_an_objection_names_what_has_changed() -> None:
    config = config_of("n1", ("n1", "n2"))
    had = messages.fixed(config)
    assert messages.objection(had, messages.fixed(config)) == ""
    moved = replace(config, client=replace(config.client, listen=("127.0.0.1", 1)))
    other = replace(moved, cluster=replace(moved.cluster, key=b"another key, as long"))
    why = messages.objection(had, messages.fixed(other))
    assert "[client] listen" in why
    assert "[cluster] key" in why
    assert "another key" not in repr(messages.fixed(other))
    allowed = replace(config, timing=replace(config.timing, drain_s=1.0))
    assert messages.objection(had, messages.fixed(allowed)) == ""


def test_where_machines_look_may_be_new_and_then_stays() -> None:
    before = config_of("n1", ("n1", "n2"))
    after = replace(before, observe=ObserveConfig(("127.0.0.1", 7401)))
    assert messages.objection(messages.fixed(before), messages.fixed(after)) == ""
    assert messages.OBSERVE in messages.objection(messages.fixed(after), messages.fixed(before))


def test_an_earlier_release_objects_to_a_cluster_that_has_outgrown_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_of("n1", ("n1", "n2"))
    has = messages.fixed(config)
    assert messages.estate(config, levels.FIRST).fixed == has  # nothing that it could mind
    had = messages.estate(config, levels.LEVEL).fixed
    assert messages.objection(had, has) == ""
    # A release without levels holds each name against its own configuration.
    assert [name for name in had if has.get(name) != had[name]] == [messages._NEEDS]
    monkeypatch.setattr(messages, "LEVEL", levels.LEVEL - 1)
    assert f"uses commands of level {levels.LEVEL}" in messages.objection(had, has)


def test_descriptors_arrive_in_order_and_are_closed_when_they_are_not_those_awaited() -> None:
    ours, theirs = descriptors.make_pair()
    with ours, theirs:
        pipes = [os.pipe() for _ in range(3)]
        descriptors.send(ours, 1, [read for read, _ in pipes])
        descriptors.send(ours, 2, [pipes[0][0]])
        came = descriptors.take(theirs, 1, 3)
        for (_, write), fd in zip(pipes, came, strict=True):
            os.write(write, b"%d" % write)
            assert os.read(fd, 10) == b"%d" % write
            assert not os.get_inheritable(fd)
        before = open_descriptors()
        with pytest.raises(descriptors.Mismatch):
            descriptors.take(theirs, 2, 2)
        with pytest.raises(descriptors.Mismatch):
            descriptors.take(theirs, 3, 1)
        assert open_descriptors() == before
        for fd in (*came, *(fd for pipe in pipes for fd in pipe)):
            os.close(fd)


def test_a_channel_that_is_full_passes_nothing_and_says_so() -> None:
    ours, theirs = descriptors.make_pair()
    with ours, theirs:
        sent = fill(ours)
        assert sent
        for number in range(sent):
            (fd,) = descriptors.take(theirs, number, 1)
            os.close(fd)


def fill(channel: socket.socket) -> int:
    """Send until nothing more is taken; return how often."""
    sent = 0
    while True:
        try:
            descriptors.send(channel, sent, [0])
        except BlockingIOError:
            return sent
        sent += 1


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@given(st.binary(max_size=200))
def test_any_line_is_a_question_or_a_reason(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(asking.read_asked(data), asking.Asked)
