"""Heads of requests that have been parsed before.  No I/O.

Whoever asks again on a kept connection - a probe, a scraper, a console that polls - sends the very
same bytes.  To guard and parse a head takes h11 some twenty microseconds, to find its bytes in a
table takes less than one.

    kept       whole heads of up to `HEAD_BYTES_MAX`, `HEADS_MAX` of them; the oldest goes
    not kept   heads that announce a body, or carry credentials, cookies or a key for one use;
               what was refused

The same bytes mean the same request, whoever sends them: a head says nothing of the connection.
"""

from typing import NamedTuple

HEADS_MAX = 256
HEAD_BYTES_MAX = 2048
_SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"idempotency-key"})


class Head(NamedTuple):
    """A head that passed the guard and h11; names are lower case."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    version: str


class SeenHeads:
    """Parsed heads by their bytes."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def find(self, head: bytes) -> Head | None:
        """Return what was parsed from the same bytes before."""
        return self._heads.get(head)

    def keep(self, head: bytes, parsed: Head) -> None:
        """Remember a head that announces no body, unless it is long or holds a secret."""
        if len(head) > HEAD_BYTES_MAX or any(name in _SECRET for name, _ in parsed.headers):
            return
        if len(self._heads) >= HEADS_MAX:
            del self._heads[next(iter(self._heads))]
        self._heads[head] = parsed
