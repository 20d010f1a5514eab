"""The process that a node leaves, step by step.  Talks to its successor; waits for it.

    start it ─▶ Level ─▶ listeners ─▶ Ready ─▶ connections, in batches ─▶ leadership ─▶ Hold, Held
     │  fails here: kill it; this process serves on, and accepts and reads again              │
     └────────────────────────────────────────────────────────────────────────────────────────┤
                           stop the replica, let go of its folder ─▶ Yours ─▶ Running ─▶ the end
                           fails here: the node has ended, as if it had been killed

Once it is level it proves that it made of the entries what this process made of them: a program
that does not do what it should must not answer for the node.

Which connections leave, and when, is in `node.handover.moving`.  What neither side can hand over -
TLS, half a request's body, goodbyes that are said already - ends here as when a node is stopped.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Callable

import structlog
import trio

from cluster.heal.digests import digest_of
from cluster.replica import Replica
from node.config import Config
from node.desk.application import Desk
from node.edge.server import EdgeServer
from node.front import Front
from node.handover import descriptors, messages
from node.handover.asking import Asked
from node.handover.errors import HandoverFailed, NodeLost
from node.handover.moving import Moving
from node.workers.feed import Feed
from node.workers.holders import Holders
from node.workers.messages import Message, encode
from node.workers.outlet import Overrun

START_S = 60.0
"""For a new process to read its programs and the state: a large one takes a while."""
ANSWER_S = 10.0
LEADERSHIP_S = 2.0
RUNNING_S = 30.0
ENDED_S = 1.0
POLL_S = 0.005

log = structlog.get_logger(__name__)

Tell = Callable[[str], None]


class Predecessor:
    """One attempt."""

    def __init__(
        self, config: Config, front: Front, replica: Replica, *, on_leaving: Callable[[], None]
    ) -> None:
        """`on_leaving` is called when this process is about to be no node any more."""
        assert front.desk is not None
        assert front.edge is not None
        self._config = config
        self._front = front
        self._desk: Desk = front.desk
        self._edge: EdgeServer = front.edge
        self._replica = replica
        self._on_leaving = on_leaving
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._heard: dict[type[Message], trio.Event] = {}
        self._moving = Moving(self._desk, self._edge)
        self._held_s = 0.0
        self._compares = False
        self._compared: messages.Compared | None = None
        self._life = trio.CancelScope()
        self._left = False
        """Whether this process is no node any more."""

    async def hand_over(self, asked: Asked, tell: Tell) -> int:
        """Return the successor's pid when it is the node; this process may end then.

        `tell` is told of each step.  Raises `HandoverFailed`, `NodeLost`.
        """
        self._check()
        ours, theirs = socket.socketpair()
        self._channel, channel = descriptors.make_pair()
        with self._channel:
            with theirs, channel:
                start = self._start
                process = await trio.to_thread.run_sync(start, asked, theirs, channel)
            self._process = process
            try:
                tell(f"process {process.pid} starts, by {asked.python}")
                await self._work(ours, tell)
                return process.pid
            except BaseException as error:
                with trio.CancelScope(shield=True):
                    process.kill()
                    await trio.to_thread.run_sync(process.wait)
                if not self._left:
                    self._serve_on()
                self._explain(error)
                raise

    def _explain(self, error: BaseException) -> None:
        """Raise what the caller is told, if `error` is a failure of the successor."""
        first = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if not isinstance(first, HandoverFailed):
            return
        if self._left:
            raise NodeLost(f"{first}; it was the node already: start the node") from None
        raise HandoverFailed(str(first)) from None

    def _check(self) -> None:
        standing = self._replica.status().standing
        if standing != "serving":
            raise HandoverFailed(f"this node is {standing}: upgrade it when it serves")

    def _start(
        self, asked: Asked, stream: socket.socket, channel: socket.socket
    ) -> subprocess.Popen[bytes]:
        fds = (stream.fileno(), channel.fileno())
        path = os.pathsep.join(filter(None, [asked.root, os.environ.get("PYTHONPATH", "")]))
        # -P: a folder `node` where this process was started is not ours.
        command = [asked.python, "-P", "-m", "node.handover", *map(str, fds), asked.config]
        try:
            return subprocess.Popen(  # noqa: S603 - named by this node's own user
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
                env=os.environ | {"PYTHONPATH": path},
            )
        except OSError as error:
            raise HandoverFailed(f"{asked.python} cannot be started: {error.strerror}") from None

    async def _work(self, ours: socket.socket, tell: Tell) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        estate = messages.estate(self._config, self._replica.state.level)
        feed = Feed(
            self._replica,
            stream,
            Holders(self._replica),
            on_whisper=lambda _, payload: self._desk.on_whisper(payload),
            on_measured=lambda _, __: None,
            decode=messages.to_predecessor,
            on_other=self._hear,
        )
        with self._life:
            async with trio.open_nursery() as nursery:
                await stream.send_all(encode(estate))
                nursery.start_soon(self._serve_feed, feed)
                await self._steps(feed, tell)
                nursery.cancel_scope.cancel()

    async def _serve_feed(self, feed: Feed) -> None:
        try:
            await feed.run()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, Overrun, ValueError) as errors:
            log.warning("the new process is cut off", why=str(errors.exceptions[0]))
        raise HandoverFailed(f"the new process {await self._how_it_ended()}; see this node's log")

    async def _how_it_ended(self) -> str:
        assert self._process is not None
        with trio.move_on_after(ENDED_S):
            while (code := self._process.poll()) is None:
                await trio.sleep(POLL_S)
            if code < 0:
                return f"was killed by {signal.Signals(-code).name}"
            return f"ended with exit code {code}"
        return "does not listen any more"

    # -- the steps

    async def _steps(self, feed: Feed, tell: Tell) -> None:
        await self._wait_for(messages.Level, START_S)
        await self._compare(feed)
        tell("it is level with this node")
        for edge in self._edges:
            edge.deafen()
        self._send_listeners(feed)
        await self._wait_for(messages.Ready, ANSWER_S)
        if self._config.client.tls is not None:
            await self._desk.drain(self._config.timing.drain_s)
        assert self._channel is not None
        await self._moving.move_all(feed, self._channel)
        tell(f"{self._moving.moved} connections have moved")
        if self._config.grpc is not None:  # whose streams grpcio cannot hand over
            await self._desk.drain(self._config.timing.drain_s)
        with trio.move_on_after(ANSWER_S):
            while self._replica.saves:
                await trio.sleep(POLL_S)
        await self._replica.hand_over_leadership(LEADERSHIP_S)
        feed.send(messages.Hold())
        await self._wait_for(messages.Held, ANSWER_S)
        with trio.move_on_after(ANSWER_S):
            while self._replica.waits or feed.awaited:
                await trio.sleep(POLL_S)
        await self._leave(feed)
        await self._wait_for(messages.Running, RUNNING_S)
        tell(f"commands waited for {self._held_s * 1000:.0f} ms")

    async def _compare(self, feed: Feed) -> None:
        """Raise `HandoverFailed` if the successor made another state of the same entries."""
        if not self._compares:
            return
        copy = self._replica.state.frozen_copy()
        feed.send(messages.Compare())  # stands where the copy does
        digest = await trio.to_thread.run_sync(digest_of, copy)
        await self._wait_for(messages.Compared, START_S)
        assert self._compared is not None
        why = messages.difference(messages.Compared(copy.applied_index, digest), self._compared)
        if why:
            raise HandoverFailed(why)

    async def _leave(self, feed: Feed) -> None:
        """From here on this process is no node."""
        self._left = True
        self._life.shield = True  # who is told to stop now must not take the node along
        self._on_leaving()
        self._replica.stop()
        next_number, applied_index = await self._replica.wait_stopped()
        self._replica.close()
        ends, supervisors = self._desk.presence.ends(), tuple(self._desk.supervising.ended())
        feed.send(messages.Yours(next_number, applied_index, ends, supervisors))

    def _send_listeners(self, feed: Feed) -> None:
        assert self._channel is not None
        peers, look = self._replica.peers_listening, self._front.observe_listener
        last = [look.fileno()] if look is not None else []
        descriptors.send(self._channel, 0, [self._front.listener.fileno(), *peers, *last])
        feed.send(messages.Listeners(len(peers), observe=look is not None))

    def _serve_on(self) -> None:
        """Do what was done before; who went along with the successor has lost the connection."""
        for edge in self._edges:
            edge.hear()
        self._desk.admit_again()
        self._moving.give_up()
        log.warning("upgrade failed", connections_lost=self._moving.moved)

    @property
    def _edges(self) -> list[EdgeServer]:
        """Return what accepts connections; those of machines that look are not moved."""
        look = self._front.observing
        return [self._edge, *([look] if look is not None else [])]

    # -- what the successor says

    def _hear(self, message: Message) -> None:
        match message:
            case messages.Objects(why):
                raise HandoverFailed(why)
            case messages.Level(compares):
                self._compares = compares
                self._event(messages.Level).set()
            case messages.Compared():
                self._compared = message
                self._event(messages.Compared).set()
            case messages.Running(held_s):
                self._held_s = held_s
                self._event(messages.Running).set()
            case messages.Taken(number):
                self._moving.taken(number)
            case _:
                self._event(type(message)).set()

    def _event(self, kind: type[Message]) -> trio.Event:
        return self._heard.setdefault(kind, trio.Event())

    async def _wait_for(self, kind: type[Message], s_max: float) -> None:
        with trio.move_on_after(s_max):
            await self._event(kind).wait()
            return
        raise HandoverFailed(f"the new process was not {kind.__name__.lower()} within {s_max:g} s")
