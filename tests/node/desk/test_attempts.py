"""Attempts to log in: so many of an account, and of an address."""

import pytest

from node.desk.attempts import ACCOUNT, ADDRESS, Attempts, TooMany
from node.edge.addresses import network_of


def test_attempts_are_counted_by_account_and_by_address() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(ACCOUNT):
        attempts.begin("ada", "192.0.2.1")
    with pytest.raises(TooMany) as caught:
        attempts.begin("ada", "192.0.2.2")
    assert (caught.value.rule, caught.value.wait_s) == ("rate.account", 6.0)
    for number in range(ADDRESS - ACCOUNT):
        attempts.begin(f"user{number}", "192.0.2.1")
    with pytest.raises(TooMany) as caught:
        attempts.begin("another", "192.0.2.1")
    assert caught.value.rule == "rate.address"
    now[0] = 6.0
    attempts.begin("ada", "192.0.2.2")
    now[0] = 1_000.0
    attempts.forget_idle()
    attempts.begin("ada", "192.0.2.1")


def test_addresses_of_one_ipv6_network_are_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("local socket") == "local socket"
