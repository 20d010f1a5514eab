"""Connections that other nodes make to this one: who may come in, and what they say.  Talks to
sockets.

    handshake ──▶ alone under its name? ──▶ heard, frame by frame, until it goes or makes no sense

Of two processes of one node the one that lives stays; see `Incoming._check_single`.
"""

import os
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
import trio

from cluster.hooks import Wire
from cluster.peer import handshake
from cluster.peer.address import address_of, tune
from cluster.peer.frames import FrameReader, HungUp, PeerRefused, encode
from cluster.peer.meetings import Meetings
from cluster.peer.patience import TroubleBook
from cluster.peer.tls import Certificates, check_name, explain

READ_BYTES = 256 * 1024
HANDSHAKE_S = 5.0
ACCEPTED_MAX = 64
CLONE_S = 2.0
"""A link silent for longer does not bar another process of its node; heartbeats are far closer."""
TWIN_S = (0.4, 1.2)
"""Heard so long after another process of its node came, a process lives: what was on its way when
it died came before.  Vitals are closer; after the second figure nobody waits any more."""
TWIN_POLL_S = 0.05
REFUSALS_KEPT = 64

log = structlog.get_logger()


class Host(Protocol):
    """Whom this node dials itself."""

    def came(self, peer: handshake.Peer) -> None:
        """A connection of `peer` begins.  Raises `PeerRefused` when there is no room for it."""
        ...

    def went(self, node: str) -> None:
        """The last connection of `node` has ended."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """A connection from another node."""

    node: str
    boot: str
    scope: trio.CancelScope
    """Ends it."""


class Incoming:
    """All connections to this node."""

    def __init__(
        self,
        me: handshake.Self,
        host: Host,
        *,
        certificates: Certificates | None,
        meetings: Meetings,
        troubles: TroubleBook,
        on_frame: Callable[[str, str, Any], None],
        wire: Wire | None = None,
    ) -> None:
        self.me = me
        self._host = host
        self._certificates = certificates
        self._meetings = meetings
        self._troubles = troubles
        self._on_frame = on_frame
        self._wire = wire
        self._accepted = 0
        self._connections: Counter[str] = Counter()
        """Who dialled in, with the number of its connections."""
        self._present: dict[str, tuple[str, float]] = {}
        """Who is connected to here: its boot, and when it was last heard."""
        self._calls: list[_Call] = []
        self._refusals: dict[str, str] = {}
        """Why hosts were turned away last: what is said already is not said again."""

    def has(self, node: str) -> bool:
        """Whether `node` has dialled in, and is still there."""
        return bool(self._connections[node])

    def hang_up(self) -> None:
        """End all there are; who wants to may come again."""
        for call in self._calls:
            call.scope.cancel()

    async def accept(self, stream: trio.SocketStream) -> None:
        """Hear one connection until it ends."""
        if self._accepted >= ACCEPTED_MAX:
            await stream.aclose()
            return
        self._accepted += 1
        address = address_of(stream)  # a stream that has ended no longer knows
        try:
            await self._serve(stream)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            cause = error.__cause__
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
                self._note_turned_away(
                    address, explain(self._certificates, f"the node at {address}", error)
                )
        except PeerRefused as error:
            self._troubles.note(error.peer or address.rpartition(":")[0], str(error))
            self._note_turned_away(address, str(error))
            if isinstance(error, handshake.Stranger):
                self._meetings.met_stranger(error.who, str(error), address)
        finally:
            self._accepted -= 1

    def _note_turned_away(self, address: str, why: str) -> None:
        """Say why somebody was turned away, who will come again twice a second."""
        host = address.rpartition(":")[0]
        if self._refusals.get(host) == why:
            return
        if len(self._refusals) >= REFUSALS_KEPT:
            self._refusals.clear()
        self._refusals[host] = why
        log.warning("peer refused", why=why, address=address)

    async def _serve(self, tcp: trio.SocketStream) -> None:
        async with tcp:
            tune(tcp)
            stream: trio.abc.Stream = tcp
            if self._certificates is not None:
                stream = trio.SSLStream(tcp, self._certificates.server(), server_side=True)
            reader = FrameReader(frame_bytes_max=handshake.HELLO_BYTES_MAX)
            with trio.fail_after(HANDSHAKE_S):
                try:
                    peer = await self._examine(stream, reader, address_of(tcp))
                except PeerRefused as error:
                    await stream.send_all(encode(*handshake.refusal(error)))
                    raise
            with self._welcome(peer), self._alone(peer):
                reader = FrameReader()
                while data := await stream.receive_some(READ_BYTES):
                    handshake.check_levels(self.me, peer)  # the level rises while it is here
                    handshake.check_origin(self.me, peer)  # and this node may have been filled
                    self._present[peer.node] = (peer.boot, trio.current_time())
                    self._take(peer.node, reader, bytes(data))

    def _take(self, peer: str, reader: FrameReader, data: bytes) -> None:
        try:
            for kind, body in reader.feed(data):
                if self._wire is None or not self._wire.swallows(peer, kind, body):
                    self._on_frame(peer, kind, body)
        except PeerRefused as error:
            error.peer = peer
            raise

    @contextmanager
    def _welcome(self, peer: handshake.Peer) -> Iterator[None]:
        """Note who is here, while it stays."""
        node = peer.node
        self._present[node] = (peer.boot, trio.current_time())
        self._host.came(peer)
        self._connections[node] += 1
        try:
            yield
        finally:
            if self._present.get(node, ("", 0.0))[0] == peer.boot:
                del self._present[node]
            self._connections[node] -= 1
            if not self._connections[node]:
                del self._connections[node]
                self._host.went(node)

    @contextmanager
    def _alone(self, peer: handshake.Peer) -> Iterator[None]:
        """End what another process of the node still has here: it was silent, and is over."""
        for one in self._calls:
            if one.node == peer.node and one.boot != peer.boot:
                one.scope.cancel()
        with trio.CancelScope() as scope:
            call = _Call(peer.node, peer.boot, scope)
            self._calls.append(call)
            try:
                yield
            finally:
                self._calls.remove(call)

    async def _examine(
        self, stream: trio.abc.Stream, reader: FrameReader, address: str = ""
    ) -> handshake.Peer:
        acceptor = handshake.Acceptor(self.me, os.urandom(handshake.NONCE_BYTES))
        challenge = acceptor.on_hello(*await receive_one(stream, reader))
        await stream.send_all(encode("challenge", challenge))
        peer = acceptor.on_proof(*await receive_one(stream, reader))
        check_certificate(stream, peer.node)
        await self._check_single(peer, address)
        await stream.send_all(encode("accepted", {}))
        return peer

    async def _check_single(self, peer: handshake.Peer, address: str) -> None:
        """Refuse a second process under one name while the first one speaks.

        Two nodes on copies of one folder would have one memory and two mouths.  Who is heard a
        while after the other came lives, and the other is told that it is a twin.  A node that was
        started anew after its machine died is let in when the old link has been silent.
        """
        came_s = trio.current_time()
        boot, heard_s = self._present.get(peer.node, (peer.boot, 0.0))
        if boot == peer.boot or came_s - heard_s >= CLONE_S:
            return
        with trio.move_on_after(TWIN_S[1]):
            while heard_s - came_s < TWIN_S[0]:
                await trio.sleep(TWIN_POLL_S)
                now_boot, heard_s = self._present.get(peer.node, ("", 0.0))
                if now_boot != boot:
                    return  # that one is gone
            self._meetings.met_twin(peer.node, boot, peer.boot, address)
            raise handshake.TwinRefused(
                peer.node,
                f"another process of node {peer.node!r} lives (boot {boot}): two must not run"
                " under one id; is this data folder a copy? Give this node an id and an empty"
                " folder of its own",
            )
        raise PeerRefused(
            f"another process of node {peer.node!r} was connected a moment ago (boot {boot}), and"
            " is silent: this one is let in when it stays so"
        )


def check_certificate(stream: trio.abc.Stream, node: str) -> None:
    """Raise `PeerRefused` when the other end shows the certificate of another node."""
    if isinstance(stream, trio.SSLStream):
        check_name(stream.getpeercert(), node)


async def receive_one(stream: trio.abc.Stream, reader: FrameReader) -> tuple[str, Any]:
    """Return the next frame of a handshake, where sides take turns."""
    while True:
        data = await stream.receive_some(handshake.HELLO_BYTES_MAX)
        if not data:
            raise HungUp("hung up during the handshake")
        frames = reader.feed(bytes(data))
        if len(frames) > 1:
            raise PeerRefused("spoke out of turn during the handshake")
        if frames:
            return frames[0]
