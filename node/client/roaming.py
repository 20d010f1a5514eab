"""Where to connect next, and when.  No I/O.

    the connection ended by       first try                       then
    4006 4007 4009, broken socket at once, at another node        jitter, doubling
    `bye` with `retry`            within min_ms … max_ms          jitter, doubling
    any other 40xx                jitter, elsewhere if possible   jitter, doubling

Nodes that a `bye` named come first, the one just lost comes last; all are tried in turn.
The wait before attempt n is a random part of `retry_s_min` x 2^n, at most `retry_s_max`
(full jitter): so a thousand clients that lost one node do not come all at once to the next.

Source: Marc Brooker, "Exponential Backoff and Jitter", 2015.
"""

from collections.abc import Callable, Iterable

from node.client.address import Address, BadAddress
from node.client.timing import Timing
from node.protocol.catalogue import Bye
from node.protocol.codes import Close

NODES_MAX = 64
IMMEDIATE = frozenset({int(Close.MOVED), int(Close.NODE_LEAVING), int(Close.MINORITY)})
_DOUBLINGS_MAX = 20

Chance = Callable[[float, float], float]
"""Returns a number between the two."""


class Roaming:
    """The nodes a client knows, and its patience with them."""

    __slots__ = ("_chance", "_failures", "_pinned", "_queue", "_timing", "_urls", "_wait_s")

    def __init__(
        self, urls: Iterable[str], timing: Timing, chance: Chance, *, pinned: bool = False
    ) -> None:
        """A `pinned` client stays with `urls`, whatever nodes say of others."""
        self._urls = list(dict.fromkeys(urls))
        assert self._urls
        self._timing = timing
        self._chance = chance
        self._pinned = pinned
        self._queue: list[str] = list(self._urls)
        self._failures = 0
        self._wait_s = 0.0

    @property
    def urls(self) -> tuple[str, ...]:
        """The nodes known, in no order that means anything."""
        return tuple(self._urls)

    def next(self) -> tuple[str, float]:
        """Return which node to try, and how many seconds to wait before."""
        if not self._queue:
            self._queue = list(self._urls)
        url, wait_s = self._queue.pop(0), self._wait_s
        self._wait_s = self._jitter(self._failures)
        self._failures += 1
        return url, wait_s

    def learn(self, urls: Iterable[str]) -> None:
        """Take note of nodes that a node named."""
        if self._pinned:
            return
        known = dict.fromkeys(self._urls)
        known.update(dict.fromkeys(url for url in urls if _is_address(url)))
        self._urls = list(known)[-NODES_MAX:]

    def lost(self, url: str, code: int | None, *, lived_s: float, bye: Bye | None) -> None:
        """The connection to `url`, which was welcomed `lived_s` ago, is over."""
        named = [node.url for node in bye.nodes if _is_address(node.url)] if bye else []
        self.learn(named)
        others = [other for other in dict.fromkeys((*named, *self._shuffled())) if other != url]
        self._queue = [other for other in others if other in self._urls]
        self._queue.append(url)
        if lived_s >= self._timing.stable_s:
            self._failures = 0
        if self._failures:
            self._wait_s = self._jitter(self._failures)
        elif bye is not None and bye.retry:
            self._wait_s = self._named_wait(bye)
        else:
            at_once = code is None or code < 4000 or code in IMMEDIATE
            self._wait_s = 0.0 if at_once else self._jitter(0)

    def _shuffled(self) -> list[str]:
        return sorted(self._urls, key=lambda _: self._chance(0.0, 1.0))

    def _jitter(self, failures: int) -> float:
        doubled = self._timing.retry_s_min * 2 ** min(failures, _DOUBLINGS_MAX)
        return self._chance(0.0, min(self._timing.retry_s_max, doubled))

    def _named_wait(self, bye: Bye) -> float:
        low = max(0, bye.retry.get("min_ms", 0)) / 1000
        high = max(0, bye.retry.get("max_ms", 0)) / 1000
        low = min(low, self._timing.retry_s_max)
        return self._chance(low, max(low, min(high, self._timing.retry_s_max)))


def _is_address(url: str) -> bool:
    """Whether a node named a place that can be gone to; nobody here can mend one that is none."""
    try:
        Address.parse(url)
    except BadAddress:
        return False
    return True
