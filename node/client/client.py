"""A client of the cluster: one connection at a time, at whichever node lives.  Talks to nodes.

    connecting ──hello──▶ opening ──welcome──▶ live ──bye, broken──▶ connecting elsewhere
         ▲                   │                                        with all cursors
         └──── jitter ───────┴── bye ─────────────── 41xx ──▶ stopped

Requests survive connections: whatever is unanswered is sent again after the next `welcome`,
in the order in which it was asked, with the same key.  Events survive them too: `hello` says
the last `seq` of every conversation, and what comes twice is dropped.

Times are trio's clock.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Any

import trio

from node import __version__
from node.client.address import Address
from node.client.conversing import Conversation, Ending
from node.client.failures import Lost, RequestFailed, Stopped
from node.client.pending import IN_FLIGHT_MAX, Pending
from node.client.roaming import Chance, Roaming
from node.client.statistics import ClientStatistics, Tally
from node.client.timing import Timing
from node.client.tracker import Jump, Tracker
from node.client.websocket import WebSocket
from node.protocol.catalogue import (
    VERSION,
    Auth,
    CvSub,
    CvUnsub,
    Hello,
    Push,
    Request,
    Resume,
    Welcome,
)
from node.protocol.codec import MSGPACK, Codec

PUSHES_WAITING_MAX = 4_096
CONSUMER_S_MAX = 10.0
"""How long the connection waits for a consumer that takes nothing, before it is given up."""

_CHANCE = SystemRandom().uniform


def new_key() -> str:
    """Return an idempotency key that nobody else has."""
    return secrets.token_hex(12)


class Client:
    """One principal's way into the cluster; `open_client` makes and runs it."""

    def __init__(
        self,
        urls: Iterable[str],
        token: str,
        *,
        codec: Codec = MSGPACK,
        name: str = "unidesk-python",
        lang: str = "",
        timing: Timing | None = None,
        pinned: bool = False,
        on_push: Callable[[Push], None] | None = None,
        chance: Chance = _CHANCE,
    ) -> None:
        """`urls` are tried in this order first; a `pinned` client never goes elsewhere.

        `on_push` is called for each push, in order, and must not block; without it they wait
        for `events`.  Raises `BadAddress`.
        """
        addresses = [Address.parse(url) for url in urls]
        assert addresses
        self.timing = timing or Timing()
        self.codec = codec
        self.tracker = Tracker()
        self.tally = Tally()
        self.welcome: Welcome | None = None
        """What the node said first; None while there is no connection."""
        self.trouble = ""
        """Why there is no connection, in words."""
        self._troubles: dict[str, str] = {}
        """Of each node, since there was a connection."""
        self._token = token
        self._name = name
        self._lang = lang
        self._sid = ""
        self._epoch = ""
        self._roaming = Roaming([one.url for one in addresses], self.timing, chance, pinned=pinned)
        self._on_push = on_push
        self._pushes, self._taken = trio.open_memory_channel[Push](PUSHES_WAITING_MAX)
        self._room = trio.Semaphore(IN_FLIGHT_MAX)
        self._waiting: dict[Pending, None] = {}
        self._conversation: Conversation | None = None
        self._stopped: Stopped | None = None
        self._closing = False
        self._changed = trio.Event()
        self._wait = trio.CancelScope()

    # -- for those who use it

    async def request(self, request: Request, *, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the reply's `r`; send again until it is there.  Raises `RequestFailed`, `Stopped`.

        `timeout_s` bounds all attempts together; the outcome is unknown when it is over, and the
        code then `timeout`.
        """
        limit = self.timing.request_s if timeout_s is None else timeout_s
        pending = Pending(request)
        self.tally.requests += 1
        with trio.move_on_after(limit):
            async with self._room:
                self._check_stopped()
                self._waiting[pending] = None
                try:
                    if self._conversation is not None:
                        self._conversation.send(pending)
                    await pending.done.wait()
                finally:
                    del self._waiting[pending]
        if pending.failure is not None:
            raise pending.failure
        if pending.result is None:
            raise pending.overdue(limit, "; ".join(self._troubles.values()))
        return pending.result

    def notify(self, request: Request) -> None:
        """Say something that has no reply (`typing`, `ack`, `read`); lost without a connection.

        Raises `RequestFailed` when it cannot be said: too large, or not to be encoded.
        """
        if self._conversation is not None:
            self._conversation.send_unasked(request)

    def events(self) -> "Pushes":
        """Return pushes in order, each event once, until closed.  Iterating raises `Stopped`.

        Each `Welcome` is among them: an agent's state is in it.
        """
        assert self._on_push is None
        return Pushes(self._taken, lambda: self._stopped)

    async def wait_welcome(self) -> Welcome:
        """Return what the node said first, once there is a connection.  Raises `Stopped`."""
        while self.welcome is None:
            self._check_stopped()
            await self._changed.wait()
        return self.welcome

    @property
    def hindrance(self) -> str:
        """Why what was asked waits, in words: no connection, or a node that asked for patience."""
        if self.welcome is None:
            return "; ".join(self._troubles.values())
        errors = (one.last_error for one in self._waiting)
        return next((one.msg for one in errors if one is not None), "")

    @property
    def jumps(self) -> list[Jump]:
        """Holes in conversations that no node declared: faults."""
        return self.tracker.jumps

    @property
    def urls(self) -> tuple[str, ...]:
        """The nodes known by now."""
        return self._roaming.urls

    def statistics(self) -> ClientStatistics:
        """Return what this client has been through."""
        tally = self.tally
        return ClientStatistics(
            node=self.welcome.node if self.welcome is not None else "",
            attempts=tally.attempts,
            connections=tally.connections,
            reconnects=max(0, tally.connections - 1),
            requests=tally.requests,
            resends=tally.resends,
            waiting=len(self._waiting),
            events=tally.events,
            duplicates=tally.duplicates,
            gaps=tally.gaps,
            jumps=tally.jumps,
            overruns=tally.overruns,
        )

    async def close(self, code: int = 1000) -> None:
        """Say goodbye and end; an agent's 1000 is a logout.  Waits `close_s` at most."""
        self._closing = True
        self._wait.cancel()
        if self._conversation is not None:
            await self._conversation.leave(code)

    # -- the loop

    async def run(self) -> None:
        """Keep connected until closed or stopped; ends without raising."""
        try:
            while not self._closing and self._stopped is None:
                await self._pause_and_converse()
        finally:
            self._pushes.close()
            for pending in list(self._waiting):
                pending.fail(self._stopped or RequestFailed("timeout", "the client was closed"))
            self._note_change()

    async def _pause_and_converse(self) -> None:
        url, wait_s = self._roaming.next()
        with trio.CancelScope() as self._wait:
            await trio.sleep(wait_s)
        if self._closing:
            return
        self.tally.attempts += 1
        ending = await self._converse(url)
        self.trouble = ending.reason
        known = self._troubles | {url: ending.reason}
        self._troubles = {one: known[one] for one in self._roaming.urls if one in known}
        if ending.code is not None and 4100 <= ending.code < 4200:
            self._stopped = Stopped(ending.code, ending.reason)
        elif ending.welcomed or ending.bye is not None:
            self._roaming.lost(url, ending.code, lived_s=ending.lived_s, bye=ending.bye)

    async def _converse(self, url: str) -> Ending:
        """Connect to `url` and stay as long as it goes well; return how it ended."""
        try:
            with trio.fail_after(self.timing.connect_s):
                address = Address.parse(url)
                socket = await WebSocket.connect(
                    address, self.codec.subprotocol, text=self.codec.text
                )
        except Lost as lost:
            return Ending(lost.reason)
        except trio.TooSlowError:
            return Ending(f"{url}: no connection within {self.timing.connect_s:g} s")
        async with socket:
            self._conversation = Conversation(self, socket)
            try:
                return await self._conversation.run(self._hello())
            finally:
                self._conversation = None
                self.welcome = None
                self._note_change()

    def _hello(self) -> Hello:
        cursors = self.tracker.resume()
        resume = Resume(self._sid, self._epoch, cursors) if self._sid else None
        return Hello(
            ver=VERSION,
            token=self._token,
            client={"name": self._name, "version": __version__},
            lang=self._lang,
            resume=resume,
        )

    # -- for the conversation with a node

    def take_welcome(self, welcome: Welcome) -> list[Pending]:
        """Go live; return the requests to send, in the order in which they were asked."""
        self.tally.connections += 1
        self._sid, self._epoch = welcome.sid, welcome.epoch
        self._roaming.learn(node.url for node in welcome.nodes)
        self.welcome = welcome
        self.trouble = ""
        self._troubles.clear()
        self._note_change()
        return list(self._waiting)

    def is_waiting(self, pending: Pending) -> bool:
        """Say whether anybody still wants the answer."""
        return pending in self._waiting and not pending.done.is_set()

    async def deliver(self, push: Push) -> None:
        """Give one push to the consumer.  Raises `Lost` when they take nothing for too long."""
        if self._on_push is not None:
            self._on_push(push)
            return
        try:
            self._pushes.send_nowait(push)
        except trio.WouldBlock:
            with trio.move_on_after(CONSUMER_S_MAX):
                await self._pushes.send(push)
                return
            self.tally.overruns += 1
            raise Lost(f"the consumer left {PUSHES_WAITING_MAX} events untaken") from None

    def note_done(self, request: Request) -> None:
        """The node did `request`, and says no event that follows from it before."""
        match request:
            case CvSub(cv=cv, from_=from_):
                self.tracker.begin(cv, max(0, from_ - 1))
            case CvUnsub(cv=cv):
                self.tracker.forget(cv)
            case Auth(token=token):
                self._token = token

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _check_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped
        if self._closing:
            raise RequestFailed("timeout", "the client was closed")


class Pushes:
    """What the nodes say unasked, as an asynchronous iterator."""

    def __init__(
        self, channel: trio.MemoryReceiveChannel[Push], stopped: Callable[[], Stopped | None]
    ) -> None:
        self._channel = channel
        self._stopped = stopped

    def __aiter__(self) -> "Pushes":
        return self

    async def __anext__(self) -> Push:
        try:
            return await self._channel.receive()
        except trio.EndOfChannel:
            raise (self._stopped() or StopAsyncIteration) from None


@asynccontextmanager
async def open_client(urls: Iterable[str], token: str, **options: Any) -> AsyncIterator[Client]:
    """Run a `Client`, made with `options`, for the time of the block; then say goodbye."""
    client = Client(urls, token, **options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        try:
            yield client
        finally:
            with trio.move_on_after(client.timing.close_s, shield=True):
                await client.close()
            nursery.cancel_scope.cancel()
