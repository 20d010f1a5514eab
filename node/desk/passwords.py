"""Hashes of passwords and secrets, made and compared in threads: argon2id.  Talks to threads.

    memory 19 MiB, two passes, one lane         some 25 ms of one processor for one hash
    at once                                     HASHES_AT_ONCE, each with a thread and its memory
    waiting                                     HASHES_WAITING_MAX; for one more, `Busy` at once

The loop goes on meanwhile: a thread that hashes holds no lock of the interpreter.  A comparison
with nobody's hash takes as long as one with somebody's.

Source: RFC 9106; OWASP Password Storage Cheat Sheet (argon2id, m=19456, t=2, p=1); RFC 8265,
OpaqueString (a password typed on another keyboard is the same: NFC); NIST SP 800-63B-4, 3.1.1.2.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
HASHES_AT_ONCE = 2
"""40 MB; a machine of two cores still serves its clients."""
HASHES_WAITING_MAX = 32
"""Less than a second of work: who comes later is told to come again."""
CHARACTERS_MIN = 15
"""Where a password is the only proof; it may be any words."""
BYTES_MAX = 1024
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$lNKVIoxl1JaWKXjoFT1uYA"
    "$NMjgq9KK1TbjPkIMrq1Qw/PuEXlCYcLiLBRmEEWX/IM"
)
"""Of chance that nobody kept: what an unknown account is compared with."""


class Busy(Exception):
    """More wait for a hash than may."""


class BadPassword(Exception):
    """It is no password that an account may have; the message says what to mend."""


class Passwords:
    """Hashes and compares, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES)
        self._limiter = trio.CapacityLimiter(HASHES_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password that an account may have, in PHC form.

        Raises `BadPassword`, `Busy`.
        """
        data = _prepared(password)
        if len(password) < CHARACTERS_MIN:
            raise BadPassword(f"under {CHARACTERS_MIN} characters: a few words make a good one")
        return await self._in_thread(lambda: self._hasher.hash(data))

    async def matches(self, hashes: Iterable[str], password: str) -> bool:
        """Say whether `password` is what one of `hashes` was made from; none of them is slow too.

        Raises `Busy`.
        """
        tried = tuple(hashes) or (NOBODYS,)
        try:
            data = _prepared(password)
        except BadPassword:
            data, tried = b"", (NOBODYS,)  # nobody's, and not found out any sooner

        return await self._in_thread(lambda: any(self._is_of(one, data) for one in tried))

    def _is_of(self, hashed: str, data: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, data)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= HASHES_WAITING_MAX + HASHES_AT_ONCE:
            raise Busy("too many passwords are looked at just now")
        self._waiting += 1
        try:
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._waiting -= 1


def _prepared(password: str) -> bytes:
    """Return the bytes that are hashed."""
    if len(password) > BYTES_MAX:
        raise BadPassword(f"over {BYTES_MAX} bytes")
    try:
        data = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:  # JSON can say half a character
        raise BadPassword("holds half a character") from None
    if len(data) > BYTES_MAX:
        raise BadPassword(f"over {BYTES_MAX} bytes")
    return data
