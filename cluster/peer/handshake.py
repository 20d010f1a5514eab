"""How two nodes prove to each other that they belong together.  No I/O.

    dialer                                   acceptor
      hello {magic, version, cluster, node, to, boot, address, nonce} ──▶
      ◀── challenge {cluster, node, boot, nonce, proof}     or  refused "reason"
      proof {proof} ──▶
      ◀── accepted {}                                       or  refused "reason"

Each proof is an HMAC-SHA256 over both nonces, both names and the cluster id with the
cluster key, so neither the key nor a replayable token crosses the wire, and a node of
another cluster, or of another protocol version, is told so in words before anything else.

Whoever has the cluster key may come in, a member or not: a node that is behind may not know
its own leader yet, and one that waits to be added has to be heard.  But for a release that does
not know the commands that the cluster uses already: it would go wrong, and not know it.  Each side
says the level of its release, and as `uses` that of its state; each refuses, so that it does not
matter which of them is of a release that knows levels.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.peer.frames import PeerRefused
from cluster.state.levels import FIRST, LEVEL

MAGIC = "unidesk-peer"
VERSION = 1
NONCE_BYTES = 16
HELLO_BYTES_MAX = 4096
TEXT_CHARS_MAX = 300
LEVEL_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Self:
    """Who this node is to the others."""

    cluster: str
    node: str
    boot: str
    key: bytes
    address: str
    """`host:port` where the others reach it."""
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

    def on_hello(self, kind: str, body: Any) -> dict[str, Any]:
        """Return the challenge.  Raises `PeerRefused` with the reason to send back."""
        if kind != "hello" or not isinstance(body, dict) or body.get("magic") != MAGIC:
            raise PeerRefused("not a unidesk node: no hello")
        if body.get("version") != VERSION:
            raise PeerRefused(
                f"peer protocol {body.get('version')!r}; this node speaks {VERSION}:"
                " bring both to neighbouring releases"
            )
        if body.get("cluster") != self._me.cluster:
            raise PeerRefused(
                f"cluster {str(body.get('cluster'))[:64]!r}; this node is of"
                f" {self._me.cluster!r}: check [cluster] id and the address in [nodes]"
            )
        if body.get("to") != self._me.node:
            raise PeerRefused(
                f"looking for node {str(body.get('to'))[:64]!r}; this is {self._me.node!r}:"
                " check the addresses in [nodes]"
            )
        self._peer = Peer(
            _text(body, "node"), _text(body, "boot"), _text(body, "address"), _level(body)
        )
        check_levels(self._me, self._peer, _level(body, "uses"))
        if self._peer.node == self._me.node:
            raise PeerRefused(f"a second node {self._me.node!r}: is the data folder a copy?")
        self._their_nonce = _nonce(body)
        return {
            "cluster": self._me.cluster,
            "node": self._me.node,
            "boot": self._me.boot,
            "level": LEVEL,
            "uses": self._me.uses(),
            "nonce": self._nonce,
            "proof": _proof(self._me, "accept", self._their_nonce, self._nonce, self._peer.node),
        }

    def on_proof(self, kind: str, body: Any) -> Peer:
        """Return who it is.  Raises `PeerRefused`."""
        assert self._peer is not None
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
    if body.get("cluster") != me.cluster or body.get("node") != to:
        raise PeerRefused(
            f"expected {to!r} of {me.cluster!r}, found {str(body.get('node'))[:64]!r}"
            f" of {str(body.get('cluster'))[:64]!r}"
        )
    theirs = _nonce(body)
    if not _same(body, _proof(me, "accept", nonce, theirs, me.node, acceptor=to)):
        raise PeerRefused(f"{to}: wrong proof: the cluster keys differ")
    peer = Peer(to, _text(body, "boot"), level=_level(body))
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


def _proof(
    me: Self, side: str, first: bytes, second: bytes, dialer: str, *, acceptor: str | None = None
) -> bytes:
    names = f"{VERSION}\0{side}\0{me.cluster}\0{dialer}\0{acceptor or me.node}\0".encode()
    return hmac.digest(me.key, names + first + second, hashlib.sha256)


def _same(body: Any, proof: bytes) -> bool:
    given = body.get("proof") if isinstance(body, dict) else None
    return isinstance(given, bytes) and hmac.compare_digest(given, proof)


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


def _nonce(body: dict[Any, Any]) -> bytes:
    value = body.get("nonce")
    if not isinstance(value, bytes) or len(value) != NONCE_BYTES:
        raise PeerRefused("hello without a nonce")
    return value
