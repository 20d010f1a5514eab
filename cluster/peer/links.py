"""Links to the other nodes over trio TCP: whom there is one to.  Talks to sockets; decides nothing.

Every node dials every other one: a link carries frames one way, from dialer (`Outgoing`) to
acceptor (`Incoming`).  Who dials in and is no member is a guest: it is dialled back for as long
as it stays.  A frame for a peer that is away or slow is dropped once `QUEUE_BYTES_MAX` wait: Raft
and the proposals above it send again whatever matters.

Mutual TLS when a certificate is given; a node refuses to listen beyond loopback without.  When it
is renewed (`cluster.peer.tls`), the links are re-made one after the other.
"""

import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import trio

from cluster.heal.picture import Troubles
from cluster.hooks import Wire
from cluster.peer import handshake
from cluster.peer.address import Address, parse_address
from cluster.peer.frames import PeerRefused
from cluster.peer.incoming import Incoming
from cluster.peer.link import Link, LinkStatistics
from cluster.peer.meetings import Meetings
from cluster.peer.outgoing import Outgoing
from cluster.peer.patience import TroubleBook
from cluster.peer.tls import Certificates, PeerTls, TlsStatistics

REMOVED_S = 5.0
"""Longer than an election timeout, after which who was removed asks whether it is known."""
GUESTS_MAX = 16
LOOK_S = 2.0
"""How often is looked whether the certificate was renewed."""
REMAKE_S = (0.05, 0.5)
"""Pause before a link is re-made, of a random length: not all nodes at one moment."""


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
        self._links = {peer: Link(peer, address) for peer, address in peers.items()}
        self._members = frozenset(peers)
        self._nursery: trio.Nursery | None = None
        meetings = meetings or Meetings()
        self._certificates = Certificates(tls) if tls is not None else None
        self._troubles = TroubleBook()
        self._outgoing = Outgoing(
            me,
            certificates=self._certificates,
            meetings=meetings,
            troubles=self._troubles,
            on_lost=on_lost,
        )
        self._incoming = Incoming(
            me,
            self,
            certificates=self._certificates,
            meetings=meetings,
            troubles=self._troubles,
            on_frame=on_frame,
            wire=wire,
        )

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

    def _may_hear(self, link: Link) -> bool:
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
            if self._nursery is not None and self._incoming.has(peer):
                self._nursery.start_soon(self._part, link)
            else:
                self._drop(link)
        for peer, address in peers.items():
            known = self._links.get(peer)
            if known is not None and known.address != address:
                self._drop(known)
            if peer not in self._links:
                self._add(Link(peer, address))

    def move_on(self, cluster_id: str) -> None:
        """Be of `cluster_id` from here on, a later epoch; everybody is met anew."""
        self._me = replace(self._me, cluster=cluster_id)
        for link in self._links.values():
            link.call.cancel()
        self._outgoing.me = self._incoming.me = self._me
        self._incoming.hang_up()

    def _add(self, link: Link) -> None:
        self._links[link.peer] = link
        if self._nursery is not None:
            self._nursery.start_soon(self._outgoing.keep_dialled, link)

    def _drop(self, link: Link) -> None:
        del self._links[link.peer]
        link.life.cancel()

    async def _part(self, link: Link) -> None:
        await trio.sleep(REMOVED_S)
        if link.peer not in self._members and self._links.get(link.peer) is link:
            self._drop(link)

    # -- who dials in, called by `incoming`

    def came(self, peer: handshake.Peer) -> None:
        """Dial back whoever came and is no member: it is a guest, while it stays."""
        node = peer.node
        if node not in self._links:
            if len(self.guests) >= GUESTS_MAX:
                raise PeerRefused(f"{node} is no member, and {GUESTS_MAX} such nodes are here")
            self._add(Link(node, parse_address(peer.address)))
        self._links[node].redial.set()

    def went(self, node: str) -> None:
        """A guest that is gone is dialled no more."""
        if node not in self._members and node in self._links:
            self._drop(self._links[node])

    # -- figures

    def troubles(self) -> dict[str, Troubles]:
        """Return who refused, reset or made no sense, and how often since the start."""
        return self._troubles.all()

    def statistics(self) -> dict[str, LinkStatistics]:
        return {peer: link.statistics() for peer, link in self._links.items()}

    def tls_statistics(self) -> TlsStatistics | None:
        """Return how this node's certificate does; None without TLS."""
        return self._certificates.statistics() if self._certificates is not None else None

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and dial until cancelled; started once the port is bound.

        Raises `OSError` when the port cannot be had.
        """
        self._listeners = listeners = await self._open_listeners()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._keep_fresh)
            for link in self._links.values():
                nursery.start_soon(self._outgoing.keep_dialled, link)
            serve = trio.serve_listeners
            await nursery.start(
                lambda task_status: serve(self._incoming.accept, listeners, task_status=task_status)
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

    # -- renewed certificates

    async def _keep_fresh(self) -> None:
        """Take a renewed certificate into use, on the links that there are too."""
        certificates = self._certificates
        while certificates is not None:
            await trio.sleep(LOOK_S)
            certificates.look()
            for link in list(self._links.values()):
                if link.connected and link.generation != certificates.generation:
                    await trio.sleep(random.uniform(*REMAKE_S))  # noqa: S311 - spreads, no secret
                    await self._outgoing.remake(link)
