"""Links to the other nodes over trio TCP.  Talks to sockets; decides nothing.

Every node dials every other one: a link carries frames one way, from dialer to acceptor.
Who dials in and is no member is a guest: it is dialled back for as long as it stays.
A frame for a peer that is away or slow is dropped once `QUEUE_BYTES_MAX` wait: Raft and
the proposals above it send again whatever matters.

Mutual TLS when a certificate is given; a node refuses to listen beyond loopback without.  When it
is renewed (`cluster.peer.tls`), the links are re-made one after the other: the new one is there
before the old one ends, and carries what is sent from then on.
"""

import os
import random
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog
import trio

from cluster.heal.picture import Troubles
from cluster.hooks import Wire
from cluster.peer import handshake
from cluster.peer.frames import FrameReader, PeerRefused, encode
from cluster.peer.meetings import Meetings
from cluster.peer.patience import PAUSE_S_USUAL, STEADY_S, Patience, TroubleBook
from cluster.peer.tls import Certificates, PeerTls, TlsStatistics, check_name

QUEUE_BYTES_MAX = 32 * 1024 * 1024
WRITE_BYTES_MAX = 256 * 1024
READ_BYTES = 256 * 1024
HANDSHAKE_S = 5.0
SEND_S = 5.0
"""A peer that takes nothing for this long is hung up on."""
ACCEPTED_MAX = 64
REMOVED_S = 5.0
"""Longer than an election timeout, after which who was removed asks whether it is known."""
GUESTS_MAX = 16
CLONE_S = 2.0
"""A link silent for longer does not bar another process of its node; heartbeats are far closer."""
TWIN_S = (0.4, 1.2)
"""Heard so long after another process of its node came, a process lives: what was on its way when
it died came before.  Vitals are closer; after the second figure nobody waits any more."""
TWIN_POLL_S = 0.05
USER_TIMEOUT_MS = 5_000
LOOK_S = 2.0
"""How often is looked whether the certificate was renewed."""
REMAKE_S = (0.05, 0.5)
"""Pause before a link is re-made, of a random length: not all nodes at one moment."""
REFUSALS_KEPT = 64

log = structlog.get_logger()

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    connected: bool
    queued_bytes: int
    sent_bytes_total: int
    dropped_total: int
    connects_total: int
    remade_total: int
    """How often a new connection took over, as this node's certificate was renewed."""
    refused: str
    """Why the last attempt failed, in words; empty while connected."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A connection whose other end has accepted this node."""

    tcp: trio.SocketStream
    stream: trio.abc.Stream
    peer: handshake.Peer
    generation: int


class _Link:
    """The outgoing side to one peer."""

    def __init__(self, peer: str, address: Address) -> None:
        self.peer = peer
        self.address = address
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self.sent_bytes = 0
        self.dropped = 0
        self.connects = 0
        self.connected = False
        self.refused = "not tried yet"
        self.level = 0
        """Of the peer's release; 0 before the first handshake."""
        self.origin = handshake.NO_ORIGIN
        """Of the peer's state, when it was met."""
        self.wake = trio.Event()
        self.life = trio.CancelScope()
        """Of its dialling; cancelled when the peer is no member any more."""
        self.call = trio.CancelScope()
        """Of the connection there is."""
        self.fd = -1
        """Where a frame may be written at once; -1 while the link is down or encrypted."""
        self.pumping = False
        self.remade = 0
        self.generation = 0
        """Of the certificate that it was made with."""
        self.successor: _Made | None = None
        """What carries on once the pump has sent what it has in hand."""
        self.reached = False
        """Whether the last attempt met somebody at the address."""
        self.since_s = 0.0
        """When it came up last."""
        self.redial = trio.Event()
        """The peer dialled in: it is there."""

    def push(self, frame: bytes) -> None:
        """Send `frame` at once if the socket takes it, else queue it."""
        if self.fd >= 0 and not self.queue and not self.pumping:
            frame = self._write(frame)
            if not frame:
                return
        if not self.connected or self.queued_bytes + len(frame) > QUEUE_BYTES_MAX:
            self.dropped += 1
            return
        self.queue.append(frame)
        self.queued_bytes += len(frame)
        self.wake.set()

    def _write(self, frame: bytes) -> bytes:
        """Return what the socket did not take: a task less to wake for nearly every frame."""
        try:
            sent = os.write(self.fd, frame)
        except BlockingIOError:
            return frame
        except OSError:
            return frame  # the pump meets it too, and ends the link
        self.sent_bytes += sent
        return frame[sent:]

    def take(self) -> bytes:
        """Return what may leave in one write."""
        taken = []
        size = 0
        while self.queue and size < WRITE_BYTES_MAX:
            taken.append(self.queue.popleft())
            size += len(taken[-1])
        self.queued_bytes -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def clear(self) -> None:
        self.dropped += len(self.queue)
        self.queue.clear()
        self.queued_bytes = 0


class Links:
    """All links of this node; give it `on_frame` and `on_lost`, then `run` it."""

    def __init__(
        self,
        me: handshake.Self,
        listen: Address,
        peers: Mapping[str, Address],
        *,
        on_frame: Callable[[str, str, Any], None],
        on_lost: Callable[[str], None],
        tls: PeerTls | None = None,
        listeners: Sequence[socket.socket] = (),
        meetings: Meetings | None = None,
        wire: Wire | None = None,
    ) -> None:
        """`listeners` are used, and closed, instead of new ones at `listen`.

        A `wire` sees every frame before it leaves, and before it is heard.
        """
        self._wire = wire
        if wire is not None:
            wire.attach(self)
        self._me = me
        self._listen = listen
        self._given = listeners
        self._listeners: list[trio.SocketListener] = []
        self._links = {peer: _Link(peer, address) for peer, address in peers.items()}
        self._members = frozenset(peers)
        self._incoming: Counter[str] = Counter()
        """Who dialled in, with the number of its connections."""
        self._nursery: trio.Nursery | None = None
        self._present: dict[str, tuple[str, float]] = {}
        """Who is connected to here: its boot, and when it was last heard."""
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._meetings = meetings or Meetings()
        self._accepted = 0
        self._calls: list[_Call] = []
        """Who dialled in."""
        self._certificates = Certificates(tls) if tls is not None else None
        self._refusals: dict[str, str] = {}
        """Why hosts were turned away last: what is said already is not said again."""
        self._troubles = TroubleBook()

    def send(self, peer: str, frame: bytes) -> None:
        """Queue `frame` for `peer`; never waits, may drop, as for a peer that is unknown."""
        if self._wire is None or not self._wire.takes(peer, frame):
            self.push(peer, frame)

    def push(self, peer: str, frame: bytes) -> None:
        """The same, past the wire."""
        link = self._links.get(peer)
        if link is None:
            return
        if link.connected and not self._may_hear(link):
            link.connected, link.fd = False, -1  # it is refused when it is dialled again
            link.call.cancel()
        link.push(frame)

    def _may_hear(self, link: _Link) -> bool:
        """Whether what this node uses, and holds, since they met still fits the peer."""
        me = self._me
        return link.level >= me.uses() and not handshake.is_another_history(
            me.origin(), link.origin
        )

    def reset(self, peer: str) -> None:
        """Hang up on `peer`, and dial it again at once."""
        link = self._links.get(peer)
        if link is not None:
            link.call.cancel()

    def connected(self, peer: str) -> bool:
        link = self._links.get(peer)
        return link is not None and link.connected

    def level(self, peer: str) -> int:
        """Return which commands the release of `peer` understands, 0 while that is unknown."""
        link = self._links.get(peer)
        return link.level if link is not None and link.connected else 0

    @property
    def guests(self) -> dict[str, str]:
        """Return who dialled in and is no member (any more), with its address."""
        guests = sorted(self._links.keys() - self._members)
        addresses = {peer: self._links[peer].address for peer in guests}
        return {peer: f"{host}:{port}" for peer, (host, port) in addresses.items()}

    def set_peers(self, peers: Mapping[str, Address]) -> None:
        """Let these be the members; links to others end, but those to guests.

        Who was removed and is still connected is a guest for REMOVED_S: it can be told.
        """
        removed = self._members - peers.keys()
        self._members = frozenset(peers)
        for peer in removed & self._links.keys():
            link = self._links[peer]
            if self._nursery is not None and self._incoming[peer]:
                self._nursery.start_soon(self._part, link)
            else:
                self._drop(link)
        for peer, address in peers.items():
            known = self._links.get(peer)
            if known is not None and known.address != address:
                self._drop(known)
            if peer not in self._links:
                self._add(_Link(peer, address))

    def move_on(self, cluster_id: str) -> None:
        """Be of `cluster_id` from here on, a later epoch; everybody is met anew."""
        self._me = replace(self._me, cluster=cluster_id)
        for link in self._links.values():
            link.call.cancel()
        for call in self._calls:
            call.scope.cancel()

    def _add(self, link: _Link) -> None:
        self._links[link.peer] = link
        if self._nursery is not None:
            self._nursery.start_soon(self._keep_dialled, link)

    def _drop(self, link: _Link) -> None:
        del self._links[link.peer]
        link.life.cancel()

    async def _part(self, link: _Link) -> None:
        await trio.sleep(REMOVED_S)
        if link.peer not in self._members and self._links.get(link.peer) is link:
            self._drop(link)

    def troubles(self) -> dict[str, Troubles]:
        """Return who refused, reset or made no sense, and how often since the start."""
        return self._troubles.all()

    def statistics(self) -> dict[str, LinkStatistics]:
        return {
            link.peer: LinkStatistics(
                connected=link.connected,
                queued_bytes=link.queued_bytes,
                sent_bytes_total=link.sent_bytes,
                dropped_total=link.dropped,
                connects_total=link.connects,
                remade_total=link.remade,
                refused="" if link.connected else link.refused,
            )
            for link in self._links.values()
        }

    def tls_statistics(self) -> TlsStatistics | None:
        """Return how this node's certificate does; None without TLS."""
        return self._certificates.statistics() if self._certificates is not None else None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and dial until cancelled; started once the port is bound.

        Raises `OSError` when the port cannot be had.
        """
        self._listeners = listeners = await self._open_listeners()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._keep_fresh)
            for link in self._links.values():
                nursery.start_soon(self._keep_dialled, link)
            serve = trio.serve_listeners
            await nursery.start(
                lambda task_status: serve(self._accept, listeners, task_status=task_status)
            )
            task_status.started()

    async def _open_listeners(self) -> list[trio.SocketListener]:
        if self._given:
            taken = (trio.socket.from_stdlib_socket(one) for one in self._given)
            return [trio.SocketListener(one) for one in taken]
        return await trio.open_tcp_listeners(self._listen[1], host=self._listen[0])

    @property
    def listening(self) -> list[int]:
        """Descriptors that the other nodes dial, while `run` runs."""
        return [listener.socket.fileno() for listener in self._listeners]

    # -- outgoing

    async def _keep_dialled(self, link: _Link) -> None:
        with link.life:
            await self._dial_again_and_again(link)

    async def _dial_again_and_again(self, link: _Link) -> None:
        patience = Patience(random.random)
        while True:
            before = link.connects
            trouble = await self._try(link)
            if link.connects != before and trio.current_time() - link.since_s >= STEADY_S:
                patience.steady()
                continue
            if link.connects == before:
                self._on_lost(link.peer)
            pause_s = patience.troubled() if trouble else patience.missed()
            if trouble:
                self._troubles.note(link.peer, trouble, pause_s)
            await _pause(link, pause_s)

    async def _try(self, link: _Link) -> str:
        """Have the link for as long as it lasts; return what trouble the peer made, in words."""
        link.reached = False
        try:
            with trio.CancelScope() as link.call:
                await self._dial(link)
        except PeerRefused as error:
            self._note_refusal(link, str(error))
            self._tell(error)
            return str(error)
        except trio.TooSlowError:  # nobody there, or a process that is stopped
            self._note_refusal(link, "TooSlowError: no answer in time")
            return ""
        except (OSError, trio.BrokenResourceError) as error:
            self._note_refusal(link, self._explain(link.peer, error))
            return link.refused if link.reached else ""
        return "" if link.call.cancelled_caught else "it hung up again at once"

    def _tell(self, error: PeerRefused) -> None:
        match error:
            case handshake.Superseded():
                self._meetings.superseded(error.peer, error.cluster_id)
            case handshake.TwinRefused():
                self._meetings.told_twin(error.peer, str(error))
            case handshake.Stranger():
                self._meetings.met_stranger(error.who, str(error), "dialled from here")

    def _note_refusal(self, link: _Link, why: str) -> None:
        if why != link.refused:
            log.info("peer link down", peer=link.peer, why=why)
        link.refused = why

    def _explain(self, peer: str, error: BaseException) -> str:
        if self._certificates is not None:
            return self._certificates.explain(peer, error)
        return f"{type(error).__name__}: {error}"

    async def _dial(self, link: _Link) -> None:
        """Connect, prove, and send what is queued until the link breaks."""
        made: _Made | None = await self._connect(link)
        link.clear()
        link.connected = True
        link.connects += 1
        link.since_s = trio.current_time()
        log.info("peer link up", peer=link.peer)
        try:
            while made is not None:
                await self._carry(link, made)
                made, link.successor = link.successor, None
        finally:
            link.connected = False
            link.fd = -1
            link.clear()
            if link.successor is not None:
                await trio.aclose_forcefully(link.successor.tcp)
                link.successor = None

    async def _connect(self, link: _Link) -> _Made:
        """Return a new connection to the peer, which has accepted this node."""
        with trio.fail_after(HANDSHAKE_S):
            tcp = await trio.open_tcp_stream(*link.address)
        link.reached = True
        try:
            _tune(tcp)
            certificates = self._certificates
            if certificates is None:
                return _Made(tcp, tcp, await self._introduce(tcp, link.peer), 0)
            stream = trio.SSLStream(tcp, certificates.client())
            generation = certificates.generation
            return _Made(tcp, stream, await self._introduce(stream, link.peer), generation)
        except BaseException:
            await trio.aclose_forcefully(tcp)
            raise

    async def _carry(self, link: _Link, made: _Made) -> None:
        """Send on one connection until it breaks, or another one is to carry on."""
        async with made.tcp:
            link.level, link.origin = made.peer.level, made.peer.origin
            link.generation = made.generation
            link.pumping = False
            link.fd = made.tcp.socket.fileno() if made.stream is made.tcp else -1
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_for_end, made.stream, nursery.cancel_scope)
                nursery.start_soon(self._pump, link, made.stream, nursery.cancel_scope)

    async def _keep_fresh(self) -> None:
        """Take a renewed certificate into use, on the links that there are too."""
        certificates = self._certificates
        while certificates is not None:
            await trio.sleep(LOOK_S)
            certificates.look()
            for link in list(self._links.values()):
                if link.connected and link.generation != certificates.generation:
                    await trio.sleep(random.uniform(*REMAKE_S))  # noqa: S311 - spreads, no secret
                    await self._remake(link)

    async def _remake(self, link: _Link) -> None:
        """Let a new connection carry on for the link; the old one stays if there is none."""
        try:
            made = await self._connect(link)
        except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
            log.warning("peer link kept", peer=link.peer, why=self._explain(link.peer, error))
        except PeerRefused as error:
            log.warning("peer link kept", peer=link.peer, why=str(error))
        else:
            if link.connected and link.successor is None:
                link.successor = made
                link.remade += 1
                link.wake.set()
            else:
                await trio.aclose_forcefully(made.tcp)

    async def _introduce(self, stream: trio.abc.Stream, peer: str) -> handshake.Peer:
        """Return who the peer is, once it has accepted this node."""
        with trio.fail_after(HANDSHAKE_S):
            return await self._prove(stream, peer)

    async def _prove(self, stream: trio.abc.Stream, peer: str) -> handshake.Peer:
        reader = FrameReader(frame_bytes_max=handshake.HELLO_BYTES_MAX)
        nonce = os.urandom(handshake.NONCE_BYTES)
        await stream.send_all(encode("hello", handshake.hello(self._me, peer, nonce)))
        _check_certificate(stream, peer)
        kind, body = await _receive_one(stream, reader)
        found, proof = handshake.answer(self._me, peer, nonce, kind, body)
        await stream.send_all(encode("proof", proof))
        kind, body = await _receive_one(stream, reader)
        handshake.check_accepted(peer, kind, body)
        return found

    async def _pump(self, link: _Link, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
        """Send what is queued, as it comes; end the link when it takes no more."""
        try:
            while link.successor is None:
                if not link.queue:
                    link.pumping = False
                    link.wake = trio.Event()
                    await link.wake.wait()
                    continue
                link.pumping = True
                data = link.take()
                with trio.fail_after(SEND_S):
                    await stream.send_all(data)
                link.sent_bytes += len(data)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            link.refused = f"{type(error).__name__}: {error}"
        scope.cancel()

    async def _watch_for_end(self, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
        """The acceptor says nothing more; whatever ends this read ends the link."""
        try:
            await stream.receive_some(1)
        except (OSError, trio.BrokenResourceError):
            pass
        scope.cancel()

    # -- incoming

    async def _accept(self, stream: trio.SocketStream) -> None:
        if self._accepted >= ACCEPTED_MAX:
            await stream.aclose()
            return
        self._accepted += 1
        address = _address(stream)  # a stream that has ended no longer knows
        try:
            await self._serve(stream)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            cause = error.__cause__
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
                self._note_turned_away(address, self._explain(f"the node at {address}", error))
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
            _tune(tcp)
            stream: trio.abc.Stream = tcp
            if self._certificates is not None:
                stream = trio.SSLStream(tcp, self._certificates.server(), server_side=True)
            reader = FrameReader(frame_bytes_max=handshake.HELLO_BYTES_MAX)
            with trio.fail_after(HANDSHAKE_S):
                try:
                    peer = await self._examine(stream, reader, _address(tcp))
                except PeerRefused as error:
                    await stream.send_all(encode(*handshake.refusal(error)))
                    raise
            with self._welcome(peer), self._alone(peer):
                reader = FrameReader()
                while data := await stream.receive_some(READ_BYTES):
                    handshake.check_levels(self._me, peer)  # the level rises while it is here
                    handshake.check_origin(self._me, peer)  # and this node may have been filled
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
        """Note who is here; dial a guest back while it stays."""
        node = peer.node
        self._present[node] = (peer.boot, trio.current_time())
        if node not in self._links:
            if len(self.guests) >= GUESTS_MAX:
                raise PeerRefused(f"{node} is no member, and {GUESTS_MAX} such nodes are here")
            self._add(_Link(node, parse_address(peer.address)))
        self._links[node].redial.set()
        self._incoming[node] += 1
        try:
            yield
        finally:
            if self._present.get(node, ("", 0.0))[0] == peer.boot:
                del self._present[node]
            self._incoming[node] -= 1
            if not self._incoming[node]:
                del self._incoming[node]
                if node not in self._members and node in self._links:
                    self._drop(self._links[node])

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
        acceptor = handshake.Acceptor(self._me, os.urandom(handshake.NONCE_BYTES))
        challenge = acceptor.on_hello(*await _receive_one(stream, reader))
        await stream.send_all(encode("challenge", challenge))
        peer = acceptor.on_proof(*await _receive_one(stream, reader))
        _check_certificate(stream, peer.node)
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


@dataclass(frozen=True, slots=True)
class _Call:
    """A connection from another node."""

    node: str
    boot: str
    scope: trio.CancelScope
    """Ends it."""


def _check_certificate(stream: trio.abc.Stream, node: str) -> None:
    """Raise `PeerRefused` when the other end shows the certificate of another node."""
    if isinstance(stream, trio.SSLStream):
        check_name(stream.getpeercert(), node)


async def _pause(link: _Link, pause_s: float) -> None:
    """Wait, but not long for a peer that dials in meanwhile."""
    link.redial = trio.Event()
    await trio.sleep(min(pause_s, PAUSE_S_USUAL))
    with trio.move_on_after(max(pause_s - PAUSE_S_USUAL, 0.0)):
        await link.redial.wait()


async def _receive_one(stream: trio.abc.Stream, reader: FrameReader) -> tuple[str, Any]:
    """Return the next frame of a handshake, where sides take turns."""
    while True:
        data = await stream.receive_some(handshake.HELLO_BYTES_MAX)
        if not data:
            raise PeerRefused("hung up during the handshake")
        frames = reader.feed(bytes(data))
        if len(frames) > 1:
            raise PeerRefused("spoke out of turn during the handshake")
        if frames:
            return frames[0]


def parse_address(text: str) -> Address:
    """Return `host:port` in two parts.  Raises `PeerRefused`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise PeerRefused(f"{text[:64]!r} is no host:port")
    return host, int(port)


def _tune(stream: trio.abc.Stream) -> None:
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
    if hasattr(trio.socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def _address(stream: trio.SocketStream) -> str:
    try:
        name = stream.socket.getpeername()
    except OSError:
        return "gone"
    return f"{name[0]}:{name[1]}"
