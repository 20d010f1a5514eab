"""The core's side of one worker: what was applied, and answers to what it asks.

Talks to the worker through one end of a socket pair, and to the replica.

    replica ──entries, standing, whispers──▶ Feed ──▶ worker
    replica ◀──submit, barrier, whisper───── Feed ◀── worker

A feed begins with a copy of the state; the entries applied while the copy is encoded, in a thread,
and written, wait behind it.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog
import trio

from cluster.port import (
    Answer,
    HandOverRefused,
    NotLeading,
    NotSaved,
    SavedSnapshot,
    SnapshotWaits,
    Unavailable,
)
from cluster.raft.members import Members, MembersRefused
from cluster.replica import Replica
from cluster.state import commands, snapshot
from cluster.state.outcome import Done, Refused
from cluster.tracing import parse, within
from node.workers import messages
from node.workers.holders import Holders
from node.workers.messages import Message
from node.workers.outlet import Outlet

STANDING_S = 0.25
READ_BYTES = 256 * 1024

log = structlog.get_logger(__name__)

Asked = messages.Await | messages.HandOver | messages.SaveSnapshot
Result = Unavailable | SavedSnapshot | SnapshotWaits | str | None


def _unheard(message: Any) -> None:
    raise ValueError(f"a worker does not say {type(message).__name__}")


class Feed:
    """Serves one worker for as long as its stream lasts."""

    def __init__(
        self,
        replica: Replica,
        stream: trio.abc.Stream,
        holders: Holders,
        *,
        on_whisper: Callable[["Feed", bytes], None],
        on_measured: Callable[["Feed", messages.Measured], None],
        decode: Callable[[bytes], Any] = messages.from_worker.decode,
        on_other: Callable[[Any], None] = _unheard,
    ) -> None:
        """`decode` may know more messages than a worker's; those go to `on_other`."""
        self._replica = replica
        self._stream = stream
        self._holders = holders
        self._outlet = Outlet(stream)
        self._on_whisper = on_whisper
        self._on_measured = on_measured
        self._waiting: list[Message] | None = []
        """What happened while the state is on its way; None once it is."""
        self._copies = 0
        """Of the state, begun so far: only the newest one is sent."""
        self._nursery: trio.Nursery | None = None
        self._decode = decode
        self._on_other = on_other
        self._awaited = 0

    async def run(self) -> None:
        """Serve until cancelled, then close the stream.

        Raises trio's errors when the worker is gone, `Overrun` when it does not read, `ValueError`
        for what is no message.
        """
        replica = self._replica
        unwatch = (
            replica.watch_entries(self._on_entry),
            replica.watch_installs(self._on_install),
            replica.watch_standing(lambda _: self._send_standing()),
            replica.watch_whispers(self.whisper),
        )
        try:
            async with self._stream, trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._outlet.run)
                nursery.start_soon(self._send_state)
                nursery.start_soon(self._keep_standing)
                await self._listen()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self._holders.leave(self)
            for stop in unwatch:
                stop()

    def whisper(self, node: str, payload: bytes) -> None:
        """Pass on what a node, or another worker of this one, whispers."""
        self._send(messages.Heard(node, payload))

    def taken(self, sid: str) -> None:
        """Tell the worker that an agent's session goes on in another one."""
        self._send(messages.Taken(sid))

    def send_figures(self, figures: messages.Figures) -> None:
        """Tell the worker what all workers measured."""
        self._send(figures)

    def send(self, message: Message) -> None:
        """Send something of the caller's, behind all that was applied so far."""
        self._send(message)

    @property
    def awaited(self) -> bool:
        """Whether the worker waits for something that takes turns."""
        return self._awaited > 0

    # -- to the worker

    def _send(self, message: Message) -> None:
        if self._waiting is None:
            self._outlet.send(messages.encode(message))
        elif not isinstance(message, messages.Heard):  # which may be lost
            self._waiting.append(message)

    async def _send_state(self) -> None:
        """Send a copy of the state, then what has happened since the copy was made."""
        replica = self._replica
        self._copies += 1
        number = self._copies
        copy = replica.state.frozen_copy()
        waiting = self._waiting or []  # entries that were applied are in the copy
        self._waiting = [one for one in waiting if not isinstance(one, messages.EntryApplied)]
        chunks = await trio.to_thread.run_sync(
            lambda: [messages.encode(messages.StateChunk(data)) for data in snapshot.dump(copy)]
        )
        self._outlet.send(messages.encode(messages.Begin(replica.node_id, replica.boot)))
        for chunk in chunks:
            await self._outlet.wait_room()
            if number != self._copies:
                return
            self._outlet.send(chunk)
        self._outlet.send(messages.encode(self._standing()))
        self._outlet.send(messages.encode(messages.StateWhole()))
        behind, self._waiting = self._waiting, None
        for message in behind:
            self._outlet.send(messages.encode(message))

    def _on_entry(self, index: int, payload: bytes) -> None:
        self._send(messages.EntryApplied(index, payload))

    def _on_install(self) -> None:
        """Send the whole state anew: entries were jumped over.  Answers wait, and are kept."""
        if self._nursery is not None:
            self._waiting = self._waiting or []
            self._nursery.start_soon(self._send_state)

    def _standing(self) -> messages.Standing:
        replica = self._replica
        return messages.Standing(replica.status(), replica.members().encode(), replica.guests())

    def _send_standing(self) -> None:
        self._send(self._standing())

    async def _keep_standing(self) -> None:
        while True:
            await trio.sleep(STANDING_S)
            self._send_standing()

    # -- from the worker

    async def _listen(self) -> None:
        frames = messages.Frames()
        while data := await self._stream.receive_some(READ_BYTES):
            for frame in frames.feed(data):
                try:
                    message = self._decode(frame)
                except msgspec.DecodeError as error:  # which is no ValueError
                    raise ValueError(str(error)) from None
                self._hear(message)

    def _hear(self, message: Any) -> None:
        match message:
            case messages.Submit(number, data, trace):
                self._submit(number, data, trace)
            case messages.Await() | messages.HandOver() | messages.SaveSnapshot():
                assert self._nursery is not None
                self._awaited += 1
                self._nursery.start_soon(self._await, message)
            case messages.Tell(payload):
                self._replica.whisper(payload)
                self._on_whisper(self, payload)
            case messages.Measured():
                self._on_measured(self, message)
            case _:
                self._on_other(message)

    def _submit(self, number: int, data: bytes, trace: str) -> None:
        try:
            command = commands.decode(data)
        except msgspec.DecodeError as error:
            self._answer(number, Refused("bad_request", f"no command: {error}"))
            return
        refused = self._holders.note(self, command)
        if refused is not None:
            self._answer(number, refused)
        else:
            with within(parse(trace) if trace else None):
                self._replica.submit(command, lambda answer: self._answer(number, answer))

    def _answer(self, number: int, answer: Answer) -> None:
        match answer:
            case Done(result, dup):
                self._send(messages.Answered(number, result, dup))
            case Unavailable(code, text):
                self._send(messages.Answered(number, {}, False, code, text, unavailable=True))
            case refused:
                data: dict[str, Any] = refused.data
                self._send(messages.Answered(number, data, False, refused.code, refused.message))

    async def _await(self, asked: Asked) -> None:
        try:
            await self._answer_await(asked)
        finally:
            self._awaited -= 1

    async def _answer_await(self, asked: Asked) -> None:
        try:
            result = await self._result(asked)
        except NotLeading as error:
            self._send(messages.Passed(asked.number, text=error.leader, kind="not_leading"))
        except (MembersRefused, HandOverRefused, NotSaved) as refused:
            self._send(messages.Passed(asked.number, text=str(refused), kind="refused"))
        else:
            self._send(_passed(asked.number, result))

    async def _result(self, asked: Asked) -> Result:
        if isinstance(asked, messages.HandOver):
            return await self._replica.hand_over(asked.to)
        if isinstance(asked, messages.SaveSnapshot):
            return await self._replica.save_snapshot(asked.index)
        if not asked.wanted:
            return await self._replica.barrier()

        def change(members: Members) -> Members:
            if members.encode() != asked.expected:
                raise MembersRefused("they have changed meanwhile: look again")
            return Members.decode(asked.wanted)

        return await self._replica.change_members(change)


def _passed(number: int, result: Result) -> messages.Passed:
    match result:
        case None:
            return messages.Passed(number)
        case str(leader):
            return messages.Passed(number, text=leader, kind="leads")
        case SavedSnapshot():
            return messages.Passed(number, kind="saved", saved=result)
        case SnapshotWaits():
            return messages.Passed(number, kind="waits", waits=result)
        case Unavailable(code, text):
            return messages.Passed(number, code, text, "unavailable")
