"""Two nodes prove to each other that they belong together, or say why not."""

import dataclasses
from typing import Any

import pytest

from cluster.peer.frames import PeerRefused
from cluster.peer.handshake import Acceptor, Peer, Self, answer, hello
from cluster.state.levels import FIRST, LEVEL

KEY = b"k" * 32
N1 = Self("acme", "n1", "boot1", KEY, "one:7201")
N2 = Self("acme", "n2", "boot2", KEY, "two:7201")
NONCE = b"d" * 16


def acceptor(me: Self = N2) -> Acceptor:
    return Acceptor(me, b"a" * 16)


def test_both_sides_learn_who_the_other_is() -> None:
    accepting = acceptor()
    challenge = accepting.on_hello("hello", hello(N1, "n2", NONCE))
    peer, proof = answer(N1, "n2", NONCE, "challenge", challenge)
    assert peer == Peer("n2", "boot2", level=LEVEL)
    assert accepting.on_proof("proof", proof) == Peer("n1", "boot1", "one:7201", LEVEL)


def test_a_release_that_says_no_level_has_the_first() -> None:
    accepting = acceptor()
    said = hello(N1, "n2", NONCE)
    del said["level"]
    challenge = accepting.on_hello("hello", said)
    _, proof = answer(N1, "n2", NONCE, "challenge", challenge)
    assert accepting.on_proof("proof", proof).level == FIRST


USES_NEWER = dataclasses.replace(N2, uses=lambda: LEVEL)
EARLIER_IS_REFUSED = f"commands of level {LEVEL}, and 'n1' knows those up to 1: upgrade 'n1'"
BEYOND = LEVEL + 1
THIS_IS_REFUSED = f"commands of level {BEYOND}, and 'n2' knows those up to {LEVEL}: upgrade 'n2'"


def test_a_cluster_that_uses_newer_commands_refuses_an_earlier_release_that_dials() -> None:
    said = hello(N1, "n2", NONCE)
    del said["level"], said["uses"]
    with pytest.raises(PeerRefused, match=EARLIER_IS_REFUSED):
        acceptor(USES_NEWER).on_hello("hello", said)
    assert acceptor(USES_NEWER).on_hello("hello", hello(N1, "n2", NONCE))["uses"] == LEVEL


def test_a_cluster_that_uses_newer_commands_refuses_an_earlier_release_that_is_dialled() -> None:
    challenge = acceptor(N1).on_hello("hello", hello(USES_NEWER, "n1", NONCE))
    answer(USES_NEWER, "n1", NONCE, "challenge", challenge)
    del challenge["level"], challenge["uses"]
    with pytest.raises(PeerRefused, match=EARLIER_IS_REFUSED):
        answer(USES_NEWER, "n1", NONCE, "challenge", challenge)


def test_a_release_that_the_cluster_has_outgrown_refuses_itself_on_either_side() -> None:
    later = {"level": BEYOND, "uses": BEYOND}
    with pytest.raises(PeerRefused, match=THIS_IS_REFUSED):
        acceptor(N2).on_hello("hello", hello(N1, "n2", NONCE) | later)
    challenge = acceptor(N1).on_hello("hello", hello(N2, "n1", NONCE)) | later
    with pytest.raises(PeerRefused, match=THIS_IS_REFUSED):
        answer(N2, "n1", NONCE, "challenge", challenge)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"magic": "http"}, "not a unidesk node"),
        ({"version": 99}, "peer protocol 99"),
        ({"cluster": "other"}, "cluster 'other'.*of 'acme'"),
        ({"to": "n7"}, "looking for node 'n7'"),
        ({"node": "n2"}, "a second node 'n2'"),
        ({"node": 7}, "without: node"),
        ({"boot": ""}, "without: boot"),
        ({"address": "x" * 301}, "without: address"),
        ({"level": "2"}, "without: level"),
        ({"level": 0}, "without: level"),
        ({"uses": -1}, "without: uses"),
        ({"nonce": b"short"}, "without a nonce"),
    ],
)
def test_a_hello_that_does_not_fit_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    with pytest.raises(PeerRefused, match=words):
        acceptor().on_hello("hello", hello(N1, "n2", NONCE) | change)


@pytest.mark.parametrize("body", [None, 7, [], "hello", b"hello"])
def test_a_hello_that_is_no_map_is_refused(body: Any) -> None:
    with pytest.raises(PeerRefused, match="no hello"):
        acceptor().on_hello("hello", body)


def test_a_dialer_with_another_key_is_refused_by_the_acceptor() -> None:
    accepting = acceptor()
    challenge = accepting.on_hello("hello", hello(N1, "n2", NONCE))
    thief = dataclasses.replace(N1, key=b"x" * 32)
    with pytest.raises(PeerRefused, match="keys differ"):
        answer(thief, "n2", NONCE, "challenge", challenge)
    with pytest.raises(PeerRefused, match="keys differ"):
        accepting.on_proof("proof", {"proof": b"x" * 32})


def test_a_proof_recorded_once_is_worth_nothing_later() -> None:
    first = acceptor()
    _, proof = answer(N1, "n2", NONCE, "challenge", first.on_hello("hello", hello(N1, "n2", NONCE)))
    second = Acceptor(N2, b"z" * 16)
    second.on_hello("hello", hello(N1, "n2", NONCE))
    with pytest.raises(PeerRefused, match="keys differ"):
        second.on_proof("proof", proof)


def test_a_challenge_of_the_wrong_node_or_cluster_is_refused_by_the_dialer() -> None:
    challenge = acceptor().on_hello("hello", hello(N1, "n2", NONCE))
    with pytest.raises(PeerRefused, match="expected 'n3'"):
        answer(N1, "n3", NONCE, "challenge", challenge)
    with pytest.raises(PeerRefused, match="of 'else'"):
        answer(N1, "n2", NONCE, "challenge", challenge | {"cluster": "else"})
    with pytest.raises(PeerRefused, match="n2 refused: go away"):
        answer(N1, "n2", NONCE, "refused", "go away")
    with pytest.raises(PeerRefused, match="not a unidesk node"):
        answer(N1, "n2", NONCE, "welcome", {})
