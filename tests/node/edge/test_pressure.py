"""Who is turned away when there is no room, and who is not."""

import ipaddress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from wsproto.events import RejectConnection

from node.edge import reactor
from node.edge.addresses import BURST_S, Addresses
from node.edge.frame import encode_text
from node.edge.memory import ceiling_bytes, used_bytes
from node.edge.pressure import LAG_S_MAX, Level, Pressure
from node.edge.server import EdgeLimits
from tests.node.edge.client import GET, Client, Recorder, serving, wait_until

MAX = 1_000_000


def test_memory_has_three_levels_and_is_left_a_little_below_where_they_begin() -> None:
    pressure = Pressure(MAX)
    levels = [
        pressure.measure(share * MAX // 100, 0.0) for share in (0, 89, 90, 86, 85, 84, 90, 100, 96)
    ]
    calm, high, critical = Level
    assert levels == [calm, calm, high, high, high, calm, high, critical, critical]
    assert pressure.measure(94 * MAX // 100, 0.0) is high


def test_one_late_pass_turns_nobody_away_but_a_slow_loop_does() -> None:
    pressure = Pressure(0)
    assert pressure.measure(10 * MAX, 3 * LAG_S_MAX) is Level.CALM
    for _ in range(30):
        level = pressure.measure(0, 2 * LAG_S_MAX)
    assert level is Level.HIGH
    passes = 0
    while pressure.measure(0, 0.0) is Level.HIGH:
        passes += 1
    assert 4 < passes < 20


def test_a_process_knows_what_it_holds_and_what_there_is() -> None:
    assert 1 << 20 < used_bytes() < ceiling_bytes()


async def test_when_a_burst_is_over_its_memory_no_longer_counts() -> None:
    burst = [b"x" * 1_000 + str(number).encode() for number in range(150_000)]
    full = used_bytes()
    async with serving(Recorder(), EdgeLimits(memory_bytes_max=full // 2)) as edge:
        await wait_until(lambda: edge.server.statistics().level is Level.CRITICAL)
        burst[:] = burst[::1_000]  # what is left keeps the heap from shrinking by itself
        with trio.fail_after(30):
            while edge.server.statistics().memory_bytes > full - 100_000_000:
                await trio.sleep(0.05)
    assert len(burst) == 150


async def test_under_pressure_nobody_new_comes_in_and_who_is_in_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = 0
    monkeypatch.setattr(reactor, "used_bytes", lambda: used)
    application = Recorder()
    limits = EdgeLimits(memory_bytes_max=MAX, outbox_bytes_max=40_000)
    async with serving(application, limits) as edge:
        client = await edge.websocket()
        slow = await edge.websocket(receive_buffer=4096)
        used = 95 * MAX // 100
        await wait_until(lambda: edge.server.statistics().level is Level.HIGH)
        refused = await Client(await edge.connect()).open()
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 503
        assert b"200 OK" in await edge.exchange(GET.replace(b"1.1", b"1.0"))
        await client.text("still here")
        assert await client.receive_message() == "still here"
        to_slow = application.connections[1]
        while to_slow.open:
            to_slow.send_frame(encode_text(b"x" * 1000))
        assert to_slow.outbox_bytes < 20_000
        await slow.stream.aclose()
        used = 0
        await wait_until(lambda: edge.server.statistics().level is Level.CALM)
        await edge.websocket()


async def test_an_address_has_its_share_and_other_addresses_theirs() -> None:
    limits = EdgeLimits(address_connections_max=2)
    async with serving(Recorder(), limits) as edge:
        exempt = [await edge.websocket() for _ in range(3)]  # this machine's own
        assert len(exempt) == 3
        addresses = edge.server._reactor.addresses  # type: ignore[union-attr]
        addresses._is_exempt = lambda address: False
        assert (await edge.exchange(GET)).startswith(b"HTTP/1.1 429 ")
        for client in exempt[:2]:
            await trio.aclose_forcefully(client.stream)
        await wait_until(lambda: edge.server.statistics().connections == 1)
        await edge.websocket()
        assert edge.server.statistics().refused_total["429"] == 1


def test_new_sockets_of_an_address_come_at_a_rate() -> None:
    addresses = Addresses(connections_max=0, connects_per_s=10)
    entered = [addresses.enter("192.0.2.1", 0.0) for _ in range(100)]
    assert entered == [True] * 50 + [False] * 50
    assert addresses.enter("192.0.2.2", 0.0)
    assert addresses.enter("192.0.2.1", 1.0)
    addresses.forget_idle(2 * BURST_S)
    for _ in range(101):
        addresses.leave("192.0.2.1")
    addresses.leave("192.0.2.2")
    assert len(addresses) == 0


@pytest.mark.parametrize(
    ("address", "exempt"),
    [
        ("127.0.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("local", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fe80::1%eth0", False),
    ],
)
def test_this_machine_and_known_proxies_are_exempt(address: str, exempt: bool) -> None:
    networks = [ipaddress.ip_network("10.0.0.0/8")]
    addresses = Addresses(connections_max=1, connects_per_s=0, exempt=networks)
    assert addresses.enter(address, 0.0)
    assert addresses.enter(address, 0.0) is exempt


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_counts_come_back_to_nothing(steps: list[tuple[str, bool]]) -> None:
    addresses = Addresses(connections_max=2, connects_per_s=0)
    inside: list[str] = []
    for name, enters in steps:
        if enters:
            addresses.enter(name, 0.0)
            inside.append(name)
        elif name in inside:
            inside.remove(name)
            addresses.leave(name)
    for name in inside:
        addresses.leave(name)
    assert len(addresses) == 0
