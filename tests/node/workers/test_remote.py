"""A worker's port without a core that means well: silence, halves, and what nobody reads."""

import socket

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from cluster.port import Answer, ReplicaStatus, Standing, Unavailable
from cluster.raft.members import Members
from cluster.state import snapshot
from cluster.state.commands import By, OpenConversation
from cluster.state.state import State
from node.workers import messages
from node.workers.asking import ANSWER_S
from node.workers.messages import Answered, Begin, StateChunk, StateWhole, encode
from node.workers.outlet import ROOM_BYTES, Outlet, Overrun
from node.workers.remote import SILENCE_S, RemotePort

VISITOR = By("visitor", "ann")


def status_of(standing: Standing) -> ReplicaStatus:
    return ReplicaStatus("n1", "b", standing, "", "leader", "n1", 1, 1, 1, 1, 1, 0.0, {}, 0, 0)


async def test_a_state_that_was_begun_and_not_sent_whole_leaves_nothing_behind() -> None:
    ours, theirs = (
        trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in socket.socketpair()
    )
    port = RemotePort(theirs)
    chunks = list(snapshot.dump(State()))
    standing = messages.Standing(status_of("serving"), Members.of({"n1": ""}).encode(), {})
    begin = Begin("n1", "boot")
    state = [StateChunk(chunk) for chunk in chunks]
    async with trio.open_nursery() as nursery:
        said = [begin, *state, begin, *state, standing, StateWhole()]
        await ours.send_all(b"".join(encode(one) for one in said))
        with trio.fail_after(30):
            await nursery.start(port.run)
        assert port.status().standing == "serving"
        nursery.cancel_scope.cancel()
    await ours.aclose()


async def test_a_core_that_says_nothing_leaves_its_worker_fenced_and_nobody_waiting(
    mock_clock: MockClock,
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    port = RemotePort(theirs)
    answers: list[Answer] = []
    told: list[str] = []
    standing = encode(messages.Standing(status_of("serving"), Members.of({"n1": ""}).encode(), {}))
    state = [encode(StateChunk(chunk)) for chunk in snapshot.dump(State())]
    command = OpenConversation("a", VISITOR, key="o")
    async with trio.open_nursery() as nursery:
        await ours.send_all(encode(Begin("n1", "b")) + b"".join(state) + standing)
        await ours.send_all(encode(StateWhole()))
        await nursery.start(port.run)  # reads the state in a thread, which no clock waits for
        mock_clock.autojump_threshold = 0
        port.watch_standing(lambda status: told.append(status.standing))
        port.submit(command, answers.append)
        await trio.sleep(SILENCE_S + 1)
        assert (port.status().standing, told) == ("fenced", ["fenced"])
        assert not answers
        port.submit(command, answers.append)
        barred = await port.barrier()
        assert barred is not None
        await trio.sleep(ANSWER_S)
        codes = [one.code for one in answers if isinstance(one, Unavailable)]
        assert [*codes, barred.code] == ["minority", "timeout", "minority"]
        await ours.send_all(standing + encode(Answered(1)))  # too late
        await trio.testing.wait_all_tasks_blocked()
        assert (told, len(answers)) == (["fenced", "serving"], 2)
        nursery.cancel_scope.cancel()


async def test_who_waits_for_a_core_that_leaves_is_told_that_the_outcome_is_unknown() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    port = RemotePort(theirs)
    answers: list[Answer] = []
    standing = encode(messages.Standing(status_of("serving"), Members.of({"n1": ""}).encode(), {}))
    state = [encode(StateChunk(chunk)) for chunk in snapshot.dump(State())]
    async with trio.open_nursery() as nursery:
        await ours.send_all(encode(Begin("n1", "b")) + b"".join(state) + standing)
        await ours.send_all(encode(StateWhole()))
        await nursery.start(port.run)
        port.submit(OpenConversation("a", VISITOR, key="o"), answers.append)
        assert not answers
        port.give_up()
        await ours.send_all(encode(Answered(1)))  # to nobody
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [one.code for one in answers if isinstance(one, Unavailable)] == ["timeout"]
    assert len(answers) == 1


async def test_a_worker_that_does_not_read_is_given_up_before_it_costs_all_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("node.workers.outlet.GATHERED_BYTES_MAX", 10_000)
    ours, theirs = trio.testing.lockstep_stream_pair()  # a write ends when it is read
    outlet = Outlet(ours)
    with pytest.RaisesGroup(Overrun):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outlet.run)
            outlet.send(b"x" * 100)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(100):
                outlet.send(b"x" * 101)
    await theirs.aclose()


async def test_a_large_state_is_written_as_it_is_read() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    outlet = Outlet(ours)
    waited: list[int] = []

    async def fill(number: int) -> None:
        for _ in range(3):
            outlet.send(b"x" * (ROOM_BYTES // 2 + 1))
            await outlet.wait_room()
        waited.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill, 1)
        nursery.start_soon(fill, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert not waited
        nursery.start_soon(outlet.run)
        size = 0
        while size < 6 * (ROOM_BYTES // 2 + 1):
            size += len(await theirs.receive_some(ROOM_BYTES))
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(waited) == [1, 2]
        nursery.cancel_scope.cancel()
