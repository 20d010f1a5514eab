"""Passwords: hashed as they should be, a few at once, and nobody's like somebody's."""

import time

import pytest
import trio

from node.desk.passwords import (
    CHARACTERS_MIN,
    HASHES_AT_ONCE,
    HASHES_WAITING_MAX,
    NOBODYS,
    BadPassword,
    Busy,
    Passwords,
)
from tests.node.desk.hashed import HASHER, HASHES, NEXT, SECRET


async def test_a_password_matches_its_own_hash_and_no_other() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(SECRET)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches((hashed,), SECRET)
    assert not await passwords.matches((hashed,), SECRET + "!")
    assert not await passwords.matches((), SECRET)
    assert not await passwords.matches(("$argon2id$nonsense",), SECRET)
    assert not await passwords.matches((hashed,), "\ud800" * 20)


@pytest.mark.parametrize(
    "bad", ["", "x" * (CHARACTERS_MIN - 1), "x" * 1025, "ü" * 600, "\ud800" * 20]
)
async def test_what_is_no_password_is_told_before_it_is_hashed(bad: str) -> None:
    with pytest.raises(BadPassword):
        await Passwords().hash(bad)


async def test_nobodys_hash_takes_as_long_as_somebodys() -> None:
    """By its parameters, and by what the processor does for it: machines are busy."""
    assert not HASHER.check_needs_rehash(NOBODYS)
    passwords = Passwords()

    async def taken_s(*hashes: str, secret: str = NEXT) -> float:
        before = time.process_time()
        await passwords.matches(hashes, secret)
        return time.process_time() - before

    somebodys, nobodys, too_long = [], [], []
    for _ in range(7):
        somebodys.append(await taken_s(HASHES[SECRET]))
        nobodys.append(await taken_s())
        too_long.append(await taken_s(secret="x" * 2000))
    for found in (nobodys, too_long):
        assert 0.5 < min(found) / min(somebodys) < 2


async def test_no_more_wait_for_a_hash_than_may() -> None:
    passwords = Passwords()
    outcomes: list[str] = []

    async def one() -> None:
        try:
            await passwords.matches((), SECRET)
            outcomes.append("looked at")
        except Busy:
            outcomes.append("busy")

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(one)
    assert outcomes.count("looked at") == HASHES_AT_ONCE + HASHES_WAITING_MAX
    assert outcomes[0] == "busy", "told at once"
