"""How often one address may ask for what costs more than it looks.  No I/O.

Addresses behind which there are many - proxies that are named, and this machine itself - are
exempt, as they are for sockets; of IPv6 the network of a customer counts as one.

Source: the generic cell rate algorithm (`node.desk.rates`).
"""

from collections.abc import Callable, Sequence

from node.desk.rates import Pace
from node.edge.addresses import Network, is_exempt, network_of
from node.edge.http import Request

ADDRESSES_MAX = 100_000
FULL_WAIT_S = 5.0


class AddressPace:
    """One pace for each address.  Seconds are those of `clock`."""

    def __init__(
        self, per_s: float, burst_s: float, clock: Callable[[], float], exempt: Sequence[Network]
    ) -> None:
        """`per_s` of 0 allows any number."""
        self._pace = Pace(per_s, burst_s, clock)
        self._exempt = tuple(exempt)

    def wait_s(self, request: Request) -> float:
        """Return 0 and count a request that may be made now; else how long to wait with it."""
        address = request.peer.rpartition(":")[0].strip("[]")
        if is_exempt(address, self._exempt):
            return 0.0
        if len(self._pace) >= ADDRESSES_MAX:
            return FULL_WAIT_S
        return self._pace.wait_s(network_of(address))

    def forget_idle(self) -> None:
        """Drop addresses that have asked for nothing lately."""
        self._pace.forget_idle()
