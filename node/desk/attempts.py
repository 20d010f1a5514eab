"""How often somebody may be wrong about a secret.  No I/O.

    wrong ones              at once    then
    of one account          ACCOUNT    one every ACCOUNT_PAUSE_S, whatever address they come from
    from one address        ADDRESS    one every ADDRESS_PAUSE_S, whatever account they are about

Every attempt counts when it begins, so that a thousand at once are a thousand; one that was right
is taken back.  A limited account lets nobody in, the right secret included: else the limit would
tell which one it was.  Each process counts for itself.

Source: the generic cell rate algorithm, ITU-T I.371, annex A; NIST SP 800-63B-4, 3.2.2.
"""

from collections.abc import Callable

from node.desk.rates import Pace
from node.edge.addresses import network_of
from node.protocol.refusals import Rule

ACCOUNT, ACCOUNT_PAUSE_S = 10, 6.0
ADDRESS, ADDRESS_PAUSE_S = 50, 1.0
KEYS_MAX = 100_000
"""Accounts or addresses of the last minute; beyond them nobody new is looked at."""


class TooMany(Exception):
    """Wait `wait_s` seconds; `rule` says on whose account."""

    def __init__(self, rule: Rule, wait_s: float) -> None:
        super().__init__("too many wrong secrets: wait a little")
        self.rule: Rule = rule
        self.wait_s = wait_s


class Attempts:
    """Counts attempts, and takes back the right ones.  Seconds are those of `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._by_account = Pace(1 / ACCOUNT_PAUSE_S, ACCOUNT * ACCOUNT_PAUSE_S, clock)
        self._by_address = Pace(1 / ADDRESS_PAUSE_S, ADDRESS * ADDRESS_PAUSE_S, clock)

    def begin(self, account: str, address: str) -> None:
        """Count an attempt.  Raises `TooMany`, and counts it not."""
        network = network_of(address)
        if len(self._by_account) >= KEYS_MAX or len(self._by_address) >= KEYS_MAX:
            raise TooMany("rate.address", ACCOUNT_PAUSE_S)
        wait_s = self._by_address.wait_s(network)
        if wait_s:
            raise TooMany("rate.address", wait_s)
        wait_s = self._by_account.wait_s(account)
        if wait_s:
            self._by_address.take_back(network)
            raise TooMany("rate.account", wait_s)

    def take_back(self, account: str, address: str) -> None:
        """The attempt was right, or was never looked at."""
        self._by_account.take_back(account)
        self._by_address.take_back(network_of(address))

    def forget_idle(self) -> None:
        """Drop whoever was not wrong lately."""
        self._by_account.forget_idle()
        self._by_address.forget_idle()
