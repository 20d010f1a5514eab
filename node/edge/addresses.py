"""How many sockets one address may have, and how soon it may open more.  No I/O.

    open sockets of the address         at most `connections_max`
    new ones a second, on the average   at most `connects_per_s`; BURST_S worth of them at once

Whoever goes beyond is turned away unread.  Addresses behind which there are many - proxies, and
this machine itself - are exempt.

Source: the generic cell rate algorithm, ITU-T I.371, annex A.
"""

import functools
import ipaddress
from collections.abc import Sequence

BURST_S = 5.0
IPV6_PREFIX = 64
"""What one customer of a provider has: an address each would be any number of them."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Addresses:
    """Sockets by address.  Seconds are those of the caller's clock; a limit of 0 is none."""

    def __init__(
        self, *, connections_max: int, connects_per_s: int, exempt: Sequence[Network] = ()
    ) -> None:
        self._connections_max = connections_max
        self._connects_per_s = connects_per_s
        self._exempt = tuple(exempt)
        self._open: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._is_exempt = functools.lru_cache(maxsize=1024)(self._look_up)

    def __len__(self) -> int:
        return len(self._open.keys() | self._until.keys())

    def enter(self, address: str, now: float) -> bool:
        """Count a new socket; say whether it may stay.  `leave` is due either way."""
        self._open[address] = count = self._open.get(address, 0) + 1
        if self._is_exempt(address):
            return True
        if self._connections_max and count > self._connections_max:
            return False
        if not self._connects_per_s:
            return True
        until = max(self._until.get(address, 0.0), now) + 1 / self._connects_per_s
        if until - now > BURST_S:
            return False
        self._until[address] = until
        return True

    def leave(self, address: str) -> None:
        """Forget one socket."""
        left = self._open.get(address, 0) - 1
        if left > 0:
            self._open[address] = left
        else:
            self._open.pop(address, None)

    def forget_idle(self, now: float) -> None:
        """Drop addresses that have opened nothing lately: it is as if they never had."""
        for address in [one for one, until in self._until.items() if until <= now]:
            del self._until[address]

    def _look_up(self, address: str) -> bool:
        return is_exempt(address, self._exempt)


def is_exempt(address: str, networks: Sequence[Network]) -> bool:
    """Say whether many may be behind `address`: one of `networks`, or of this machine."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True  # no address at all: a local socket
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return found.is_loopback or any(found in network for network in networks)


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the network of a customer, a /64."""
    try:
        found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)
