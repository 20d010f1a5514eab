"""Connections that this node makes to others: dialled, proven, and made again.  Talks to sockets.

    dial ──▶ handshake ──▶ carry what is queued, until it breaks ──▶ pause, by `Patience` ──▶ dial
                             └──renewed certificate: a successor──▶ carries on

The successor is there before the old connection ends, and carries what is sent from then on.
"""

import os
import random
from collections.abc import Callable

import structlog
import trio

from cluster.peer import handshake
from cluster.peer.address import tune
from cluster.peer.frames import FrameReader, PeerRefused, encode
from cluster.peer.incoming import HANDSHAKE_S, check_certificate, receive_one
from cluster.peer.link import Link, Made
from cluster.peer.meetings import Meetings
from cluster.peer.patience import STEADY_S, Patience, TroubleBook
from cluster.peer.tls import Certificates, explain

SEND_S = 5.0
"""A peer that takes nothing for this long is hung up on."""

log = structlog.get_logger()


class Outgoing:
    """All connections from this node, each as its `Link` says."""

    def __init__(
        self,
        me: handshake.Self,
        *,
        certificates: Certificates | None,
        meetings: Meetings,
        troubles: TroubleBook,
        on_lost: Callable[[str], None],
    ) -> None:
        self.me = me
        self._certificates = certificates
        self._meetings = meetings
        self._troubles = troubles
        self._on_lost = on_lost

    async def keep_dialled(self, link: Link) -> None:
        """Dial the link's peer for as long as the link is wanted."""
        with link.life:
            await self._dial_again_and_again(link)

    async def _dial_again_and_again(self, link: Link) -> None:
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
            await link.pause(pause_s)

    async def _try(self, link: Link) -> str:
        """Have the link for as long as it lasts; return what trouble the peer made, in words."""
        link.reached = False
        try:
            with trio.CancelScope() as link.call:
                await self._dial(link)
        except PeerRefused as error:
            self._note_refusal(link, explain(self._certificates, link.peer, error))
            self._tell(error)
            return link.refused
        except trio.TooSlowError:  # nobody there, or a process that is stopped
            self._note_refusal(link, "TooSlowError: no answer in time")
            return ""
        except (OSError, trio.BrokenResourceError) as error:
            self._note_refusal(link, explain(self._certificates, link.peer, error))
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

    def _note_refusal(self, link: Link, why: str) -> None:
        if why != link.refused:
            log.info("peer link down", peer=link.peer, why=why)
        link.refused = why

    async def _dial(self, link: Link) -> None:
        """Connect, prove, and send what is queued until the link breaks."""
        made: Made | None = await self._connect(link)
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

    async def _connect(self, link: Link) -> Made:
        """Return a new connection to the peer, which has accepted this node."""
        with trio.fail_after(HANDSHAKE_S):
            tcp = await trio.open_tcp_stream(*link.address)
        link.reached = True
        try:
            tune(tcp)
            certificates = self._certificates
            if certificates is None:
                return Made(tcp, tcp, await self._introduce(tcp, link.peer), 0)
            stream = trio.SSLStream(tcp, certificates.client())
            generation = certificates.generation
            return Made(tcp, stream, await self._introduce(stream, link.peer), generation)
        except BaseException:
            await trio.aclose_forcefully(tcp)
            raise

    async def _carry(self, link: Link, made: Made) -> None:
        """Send on one connection until it breaks, or another one is to carry on."""
        async with made.tcp:
            link.level, link.origin = made.peer.level, made.peer.origin
            link.generation = made.generation
            link.pumping = False
            link.fd = made.tcp.socket.fileno() if made.stream is made.tcp else -1
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_for_end, made.stream, nursery.cancel_scope)
                    nursery.start_soon(self._pump, link, made.stream, nursery.cancel_scope)
            finally:
                link.fd = -1  # before it is closed: then its number is soon somebody else's

    async def remake(self, link: Link) -> None:
        """Let a new connection carry on for the link; the old one stays if there is none."""
        try:
            made = await self._connect(link)
        except (OSError, trio.TooSlowError, trio.BrokenResourceError, PeerRefused) as error:
            why = explain(self._certificates, link.peer, error)
            log.warning("peer link kept", peer=link.peer, why=why)
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
        await stream.send_all(encode("hello", handshake.hello(self.me, peer, nonce)))
        check_certificate(stream, peer)
        kind, body = await receive_one(stream, reader)
        found, proof = handshake.answer(self.me, peer, nonce, kind, body)
        await stream.send_all(encode("proof", proof))
        kind, body = await receive_one(stream, reader)
        handshake.check_accepted(peer, kind, body)
        return found

    async def _pump(self, link: Link, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
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
