"""Nodes of two epochs never come together, and the older one is told so with a proof."""

from dataclasses import replace

import pytest

from cluster.peer.frames import PeerRefused
from cluster.peer.handshake import Acceptor, Self, Stranger, Superseded, answer, hello

NONCE = b"d" * 16
OLD = Self("acme", "n1", "boot1", b"k" * 32, "one:7201")
NEW = Self("acme+1.5f0c2a9b", "n2", "boot2", b"k" * 32, "two:7201")


def challenge(me: Self, dialer: Self) -> tuple[Acceptor, object]:
    acceptor = Acceptor(me, b"a" * 16)
    return acceptor, acceptor.on_hello("hello", hello(dialer, me.node, NONCE))


def test_a_dialer_that_was_left_behind_hears_it_from_who_has_the_key() -> None:
    acceptor, said = challenge(NEW, OLD)
    with pytest.raises(Superseded) as told:
        answer(OLD, "n2", NONCE, "challenge", said)
    assert told.value.cluster_id == NEW.cluster
    with pytest.raises(PeerRefused, match="an earlier epoch"):
        acceptor.on_proof("proof", {"proof": b""})


def test_whoever_has_not_the_key_ends_nobody() -> None:
    _, said = challenge(replace(NEW, key=b"x" * 32), OLD)
    with pytest.raises(PeerRefused, match="keys differ"):
        answer(OLD, "n2", NONCE, "challenge", said)
    with pytest.raises(Stranger, match="went on from 'acme' without this node"):
        challenge(OLD, NEW)  # a hello proves nothing: it is refused, and that is all


def test_two_recoveries_made_apart_are_two_clusters() -> None:
    with pytest.raises(Stranger):
        challenge(NEW, replace(OLD, cluster="acme+1.00000000"))
