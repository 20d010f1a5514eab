"""`node.client.roaming`: which node next, and how soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.address import Address, BadAddress
from node.client.roaming import NODES_MAX, Roaming
from node.client.timing import Timing
from node.protocol.catalogue import Bye, NodeAddress

TIMING = Timing(retry_s_min=0.25, retry_s_max=10.0)


def most(low: float, high: float) -> float:
    return high


def bye(code: int, *urls: str, **retry: int) -> Bye:
    nodes = [NodeAddress(url, url) for url in urls]
    return Bye(code=code, reason="", resume=True, retry=retry, nodes=nodes)


def test_the_first_attempt_is_at_the_first_node_at_once() -> None:
    assert Roaming(["a", "b"], TIMING, most).next() == ("a", 0.0)


def test_attempts_go_round_all_nodes_with_a_doubling_wait_up_to_the_cap() -> None:
    roaming = Roaming(["a", "b"], TIMING, most)
    tries = [roaming.next() for _ in range(9)]

    assert [url for url, _ in tries] == ["a", "b", "a", "b", "a", "b", "a", "b", "a"]
    assert [wait for _, wait in tries] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("code", [None, 1006, 4006, 4007, 4009])
def test_a_broken_socket_or_a_node_without_quorum_is_left_at_once(code: int | None) -> None:
    roaming = Roaming(["a", "b", "c"], TIMING, most)
    roaming.next()
    roaming.lost("a", code, lived_s=60, bye=None)
    order = [roaming.next() for _ in range(3)]

    assert order[0][1] == 0.0
    assert order[-1][0] == "a"


def test_a_bye_is_followed_to_the_nodes_it_names_within_the_wait_it_names() -> None:
    roaming = Roaming(["a", "b"], TIMING, most)
    roaming.next()
    roaming.lost("a", 4001, lived_s=60, bye=bye(4001, "ws://c", min_ms=0, max_ms=3000))

    assert roaming.next() == ("ws://c", 3.0)


def test_an_overloaded_node_is_not_stormed() -> None:
    roaming = Roaming(["a"], TIMING, most)
    roaming.next()
    roaming.lost("a", 4005, lived_s=60, bye=None)

    assert roaming.next() == ("a", 0.25)


def test_a_welcome_that_does_not_last_does_not_make_the_waits_short_again() -> None:
    roaming = Roaming(["a", "b"], TIMING, most)
    waits = []
    for _ in range(5):
        url, wait_s = roaming.next()
        waits.append(wait_s)
        roaming.lost(url, 4009, lived_s=0.1, bye=None)

    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_what_a_node_names_and_nobody_can_go_to_is_passed_over() -> None:
    roaming = Roaming(["a", "b"], TIMING, most)
    roaming.learn(["ws://[::1", "", "ws://c"])
    roaming.next()
    roaming.lost("a", 4007, lived_s=60, bye=bye(4007, "ws://host:99999999/"))

    assert sorted(roaming.urls) == ["a", "b", "ws://c"]
    assert roaming.next()[0] in ("b", "ws://c")


def test_a_pinned_client_learns_no_other_node() -> None:
    roaming = Roaming(["a"], TIMING, most, pinned=True)
    roaming.next()
    roaming.lost("a", 4009, lived_s=60, bye=bye(4009, "b"))

    assert [roaming.next()[0] for _ in range(3)] == ["a", "a", "a"]


@given(st.lists(st.from_regex(r"ws://[a-z]{1,3}", fullmatch=True), min_size=1, max_size=200))
def test_nodes_known_are_bounded_and_never_none(urls: list[str]) -> None:
    roaming = Roaming(urls[:1], TIMING, most)
    roaming.learn(urls)

    assert 1 <= len(roaming.urls) <= NODES_MAX


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("ws://127.0.0.1:7101/v1/ws", "127.0.0.1", 7101, "/v1/ws"),
        ("ws://[::1]:7101", "::1", 7101, "/v1/ws"),
        ("ws://desk.example/other", "desk.example", 80, "/other"),
        ("wss://desk.example", "desk.example", 443, "/v1/ws"),
        ("ws://desk-ä.example", "desk-ä.example", 80, "/v1/ws"),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int, path: str) -> None:
    address = Address.parse(url)

    assert (address.host, address.port, address.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "desk.example",
        "ftp://desk",
        "ws://",
        "ws://a:99999",
        "ws://[::1",
        "x" * 3000,
        "ws://..:80",
        f"ws://{'a' * 70}.example/",
    ],
)
def test_what_is_no_address_is_refused_with_what_one_looks_like(url: str) -> None:
    with pytest.raises(BadAddress):
        Address.parse(url)
