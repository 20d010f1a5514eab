"""Sealed texts open for one cluster, one purpose, and not for long."""

import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.auth import mint
from node.login.seal import TEXT_CHARACTERS_MAX, BadSeal, LateSeal, Seal
from tests.node.desk.office import CLUSTER, KEY

SEAL = Seal(KEY, "one thing")


def test_what_was_sealed_opens() -> None:
    opened = SEAL.open(SEAL.seal({"a": "b"}, 60))
    assert (opened["a"], opened["exp"] > time.time()) == ("b", True)


@pytest.mark.parametrize(
    "text",
    [
        Seal(KEY, "another thing").seal({"a": "b"}, 60),
        Seal(b"another key", "one thing").seal({"a": "b"}, 60),
        mint(KEY, CLUSTER, role="agent", subject="ada", ttl_s=60),
        jwt.encode({"exp": 2**40}, KEY.ljust(32, b"\0"), algorithm="HS256"),
        jwt.encode({"exp": 2**40}, "", algorithm="none"),
        jwt.encode({"a": "b"}, SEAL._key, algorithm="HS256"),
        "",
        "a" * (TEXT_CHARACTERS_MAX + 1),
    ],
)
def test_nothing_else_does(text: str) -> None:
    with pytest.raises(BadSeal):
        SEAL.open(text)


def test_late_is_told_apart() -> None:
    with pytest.raises(LateSeal):
        SEAL.open(SEAL.seal({}, -1))


def test_what_is_derived_is_the_same_for_the_same_use_and_seed_alone() -> None:
    first = SEAL.derive("state", "seed")
    others = (
        SEAL.derive("nonce", "seed"),
        SEAL.derive("state", "seek"),
        Seal(KEY, "another thing").derive("state", "seed"),
    )
    assert (SEAL.derive("state", "seed"), len(first)) == (first, 43)
    assert first not in others


@given(st.text(max_size=100))
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(BadSeal):
        SEAL.open(text)
