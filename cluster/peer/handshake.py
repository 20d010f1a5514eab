"""How two nodes prove to each other that they belong together.  No I/O.

    dialer                                   acceptor
      hello {magic, version, cluster, node, to, boot, address, origin, nonce} ──▶
      ◀── challenge {cluster, node, boot, origin, nonce, proof}     or  refused "reason"
      proof {proof} ──▶
      ◀── accepted {}                                       or  refused "reason"

Each proof is an HMAC-SHA256 over both nonces, both names and the cluster id with the
cluster key, so neither the key nor a replayable token crosses the wire, and a node of
another cluster, or of another protocol version, is told so in words before anything else.

Two sides of one cluster but of different epochs (`wal.epoch`) never come together: the one that was
left behind is told so by a proof of the other, and must end.

Whoever has the cluster key may come in, a member or not: a node that is behind may not know
its own leader yet, and one that waits to be added has to be heard.  But for a release that does
not know the commands that the cluster uses already: it would go wrong, and not know it.  Each side
says the level of its release, and as `uses` that of its state; each refuses, so that it does not
matter which of them is of a release that knows levels.

The origin says which history a node's state is of: "first" for that of a cluster that began empty,
else the backup that it was restored from.  Two histories never meet, whatever their ids are: a node
that held nothing when it met others ends its links to another history when it is filled.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.peer.frames import PeerRefused
from cluster.state.levels import FIRST, LEVEL
from wal.epoch import precedes

MAGIC = "unidesk-peer"
VERSION = 1
NONCE_BYTES = 16
HELLO_BYTES_MAX = 4096
TEXT_CHARS_MAX = 300
LEVEL_MAX = 1_000_000
NO_ORIGIN = ""
"""Of a node that holds nothing yet, and of earlier releases."""


def _holds_nothing() -> str:
    return NO_ORIGIN


class Stranger(PeerRefused):
    """The other side is of another cluster, or of a release too far away."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(why)
        self.who = who
        """Its name, as it says."""


class Superseded(PeerRefused):
    """The other side, which has the key, is of a later epoch of this cluster."""

    def __init__(self, peer: str, cluster_id: str) -> None:
        super().__init__(f"{peer} is of {cluster_id!r}, a later epoch of this cluster")
        self.peer, self.cluster_id = peer, cluster_id


class TwinRefused(PeerRefused):
    """`peer` hears another process of the node that came, which lives."""

    def __init__(self, peer: str, why: str) -> None:
        super().__init__(why)
        self.peer = peer


@dataclass(frozen=True, slots=True)
class Self:
    """Who this node is to the others."""

    cluster: str
    """Its id with the epoch."""
    node: str
    boot: str
    key: bytes
    address: str
    """`host:port` where the others reach it."""
    origin: Callable[[], str] = _holds_nothing
    """Which history the state is of that it holds now."""
    uses: Callable[[], int] = lambda: FIRST
    """Return the level of the cluster's commands, as far as this node knows."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the other side proved to be."""

    node: str
    boot: str
    address: str = ""
    """Where it says that it is reached; the dialer knows already."""
    level: int = FIRST
    """Which commands its release understands; see `cluster.state.levels`."""
    origin: str = NO_ORIGIN
    """Which history its state was of when it said so."""


def hello(me: Self, to: str, nonce: bytes) -> dict[str, Any]:
    """Return what the dialer says first."""
    return {
        "magic": MAGIC,
        "version": VERSION,
        "cluster": me.cluster,
        "node": me.node,
        "to": to,
        "boot": me.boot,
        "address": me.address,
        "origin": me.origin(),
        "level": LEVEL,
        "uses": me.uses(),
        "nonce": nonce,
    }


class Acceptor:
    """The accepting side of one handshake."""

    def __init__(self, me: Self, nonce: bytes) -> None:
        self._me = me
        self._nonce = nonce
        self._peer: Peer | None = None
        self._their_nonce = b""
        self.left_behind = ""
        """Cluster id of a dialer of an earlier epoch: it may be told, and not let in."""

    def on_hello(self, kind: str, body: Any) -> dict[str, Any]:
        """Return the challenge.  Raises `PeerRefused` with the reason to send back."""
        if kind != "hello" or not isinstance(body, dict) or body.get("magic") != MAGIC:
            raise PeerRefused("not a unidesk node: no hello")
        who, cluster = _said(body, "node"), _said(body, "cluster")
        if body.get("version") != VERSION:
            raise Stranger(
                who,
                f"peer protocol {body.get('version')!r}; this node speaks {VERSION}:"
                " bring both to neighbouring releases",
            )
        if precedes(cluster, self._me.cluster):
            self.left_behind = cluster
        elif cluster != self._me.cluster:
            raise Stranger(who, _foreign(cluster, self._me.cluster))
        if body.get("to") != self._me.node:
            raise PeerRefused(
                f"looking for node {str(body.get('to'))[:64]!r}; this is {self._me.node!r}:"
                " check the addresses in [nodes]"
            )
        self._peer = Peer(
            _text(body, "node"),
            _text(body, "boot"),
            _text(body, "address"),
            _level(body),
            _origin(body),
        )
        if self._peer.node == self._me.node:
            raise PeerRefused(f"a second node {self._me.node!r}: is the data folder a copy?")
        check_levels(self._me, self._peer, _level(body, "uses"))
        check_origin(self._me, self._peer)
        self._their_nonce = _nonce(body)
        return {
            "cluster": self._me.cluster,
            "node": self._me.node,
            "boot": self._me.boot,
            "origin": self._me.origin(),
            "level": LEVEL,
            "uses": self._me.uses(),
            "nonce": self._nonce,
            "proof": _proof(self._me, "accept", self._their_nonce, self._nonce, self._peer.node),
        }

    def on_proof(self, kind: str, body: Any) -> Peer:
        """Return who it is.  Raises `PeerRefused`."""
        assert self._peer is not None
        if self.left_behind:
            raise PeerRefused(f"{self._peer.node} is of {self.left_behind!r}, an earlier epoch")
        expected = _proof(self._me, "dial", self._nonce, self._their_nonce, self._peer.node)
        if kind != "proof" or not _same(body, expected):
            raise PeerRefused("wrong proof: the cluster keys differ")
        return self._peer


def answer(me: Self, to: str, nonce: bytes, kind: str, body: Any) -> tuple[Peer, dict[str, Any]]:
    """Return `(peer, proof)`: the dialer's answer to a challenge.  Raises `PeerRefused`."""
    if kind == "refused":
        raise PeerRefused(f"{to} refused: {str(body)[:500]}")
    if kind != "challenge" or not isinstance(body, dict):
        raise PeerRefused(f"{to} is not a unidesk node")
    cluster = _said(body, "cluster")
    later = precedes(me.cluster, cluster)
    if body.get("node") != to or not (later or cluster == me.cluster):
        raise Stranger(
            _said(body, "node"),
            f"expected {to!r} of {me.cluster!r}, found {str(body.get('node'))[:64]!r}"
            f" of {str(body.get('cluster'))[:64]!r}",
        )
    theirs = _nonce(body)
    expected = _proof(me, "accept", nonce, theirs, me.node, acceptor=to, cluster=cluster)
    if not _same(body, expected):
        raise PeerRefused(f"{to}: wrong proof: the cluster keys differ")
    if later:
        raise Superseded(to, cluster)
    peer = Peer(to, _text(body, "boot"), level=_level(body), origin=_origin(body))
    check_origin(me, peer)
    check_levels(me, peer, _level(body, "uses"))
    return peer, {"proof": _proof(me, "dial", theirs, nonce, me.node, acceptor=to)}


def check_levels(me: Self, peer: Peer, uses: int = FIRST) -> None:
    """Refuse a release that does not know the commands in use: the peer's, or this one.

    `uses` is what the peer says.  Raises `PeerRefused`.
    """
    for level, behind, knows in ((me.uses(), peer.node, peer.level), (uses, me.node, LEVEL)):
        if knows < level:
            raise PeerRefused(
                f"this cluster uses commands of level {level}, and {behind!r} knows those up to"
                f" {knows}: upgrade {behind!r}"
            )


def check_origin(me: Self, peer: Peer) -> None:
    """Refuse a peer whose state is of another history than this node's is now.

    Raises `PeerRefused`.
    """
    ours, theirs = me.origin(), peer.origin
    if is_another_history(ours, theirs):
        raise PeerRefused(
            f"{peer.node} has the history {theirs[:16]!r}, and {me.node} has {ours[:16]!r}: one of"
            " them was restored from another backup; empty its data folder, and let it join"
        )


def is_another_history(ours: str, theirs: str) -> bool:
    """Whether two origins must not meet; who holds nothing yet may meet anybody."""
    return NO_ORIGIN not in (ours, theirs) and ours != theirs


def refusal(error: PeerRefused) -> tuple[str, str]:
    """Return the frame that tells the dialer why it may not come in."""
    return "twin" if isinstance(error, TwinRefused) else "refused", str(error)


def check_accepted(peer: str, kind: str, body: Any) -> None:
    """Raise `PeerRefused` unless the acceptor's last word lets this node in."""
    if kind == "twin":
        raise TwinRefused(peer, f"{peer} refused: {str(body)[:500]}")
    if kind != "accepted":
        raise PeerRefused(f"{peer} refused: {str(body)[:500]}")


def _foreign(theirs: str, ours: str) -> str:
    if precedes(ours, theirs):
        return (
            f"cluster {theirs!r}, which went on from {ours!r} without this node:"
            " this node's data is of the past; see `unidesk cluster recover`"
        )
    return (
        f"cluster {theirs!r}; this node is of {ours!r}:"
        " check [cluster] id and the address in [nodes]"
    )


def _proof(
    me: Self,
    side: str,
    first: bytes,
    second: bytes,
    dialer: str,
    *,
    acceptor: str | None = None,
    cluster: str | None = None,
) -> bytes:
    of = cluster or me.cluster
    names = f"{VERSION}\0{side}\0{of}\0{dialer}\0{acceptor or me.node}\0".encode()
    return hmac.digest(me.key, names + first + second, hashlib.sha256)


def _same(body: Any, proof: bytes) -> bool:
    given = body.get("proof") if isinstance(body, dict) else None
    return isinstance(given, bytes) and hmac.compare_digest(given, proof)


def _said(body: dict[Any, Any], field: str) -> str:
    """Return what a stranger says, cut to what may be shown."""
    return str(body.get(field))[:64]


def _text(body: dict[Any, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARS_MAX:
        raise PeerRefused(f"hello without: {field}")
    return value


def _level(body: dict[Any, Any], field: str = "level") -> int:
    value = body.get(field, FIRST)  # earlier releases say none
    if not isinstance(value, int) or not FIRST <= value <= LEVEL_MAX:
        raise PeerRefused(f"hello without: {field}")
    return value


def _origin(body: dict[Any, Any]) -> str:
    value = body.get("origin", NO_ORIGIN)
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise PeerRefused("hello without: origin")
    return value


def _nonce(body: dict[Any, Any]) -> bytes:
    value = body.get("nonce")
    if not isinstance(value, bytes) or len(value) != NONCE_BYTES:
        raise PeerRefused("hello without a nonce")
    return value
