"""ULIDs: ids that sort by the moment they were made.  No I/O.

      01ARZ3NDEK  TSV4RRFFQ69G5FAV        26 characters of Crockford's base 32
      48 bit of   80 bit of chance,
      milliseconds  plus one within the same millisecond

Every id of one `Ulids` is greater than the one before, also when the clock stands or steps
back: then the last moment is kept and the chance part counts up.

Source: github.com/ulid/spec, section "Monotonicity".
"""

from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BYTES = 10
_RANDOM_BITS = 8 * RANDOM_BYTES
_CHARACTERS = frozenset(ALPHABET)
_FIRST = frozenset("01234567")
"""128 bits in 26 characters of 5: the first holds only three."""


class Ulids:
    """Makes ids, each greater than the last."""

    __slots__ = ("_clock_ms", "_last", "_random_bytes")

    def __init__(self, clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        """`clock_ms` is milliseconds UTC, `random_bytes(n)` returns n bytes of chance."""
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._last = 0

    def new(self) -> str:
        """Return an id that no other call returned."""
        moment = self._clock_ms()
        if moment <= self._last >> _RANDOM_BITS:
            self._last += 1
        else:
            chance = int.from_bytes(self._random_bytes(RANDOM_BYTES), "big")
            self._last = moment << _RANDOM_BITS | chance
        return _encode(self._last)


def is_ulid(text: str) -> bool:
    """Say whether `text` is the text of a ULID."""
    return len(text) == LENGTH and text[0] in _FIRST and _CHARACTERS.issuperset(text)


def _encode(number: int) -> str:
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
