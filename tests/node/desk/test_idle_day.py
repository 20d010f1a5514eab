"""Clients that say nothing but that they are there: after a day of it a node holds what it held.

Real sockets, the whole desk and edge, a clock that jumps.  Half of the clients answer the desk's
ping, half only the WebSocket's.  Memory is counted in the interpreter's allocated blocks: a block
kept for every ping of every client would make tens of thousands in a day.

Deadlines are looked at every five seconds instead of every quarter, so that a day is a matter of
seconds.
"""

import gc
import select
import socket
import sys
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from node.desk.application import Desk
from node.edge.connection import Connection
from scripts.crowd.clients import UPGRADE, frames, masked
from tests.node.desk.office import office, token
from tests.node.desk.test_over_sockets import listening

CLIENTS = 10
HOUR_S = 3600.0
BLOCKS_MAX = 1_000
"""Of growth.  A dictionary that has just doubled is no leak; a block for each ping would be."""


@pytest.fixture(autouse=True)
def _coarse_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("node.edge.reactor", "node.desk.application"):
        monkeypatch.setattr(f"{module}.TICK_S", 5.0)


class Idlers:
    """Clients that listen, in one task over an epoll of their own."""

    def __init__(self, port: int) -> None:
        self._poller = select.epoll()
        self._handles: dict[int, socket.socket] = {}
        self.heard: Counter[str] = Counter()
        for number in range(CLIENTS):
            handle = socket.create_connection(("127.0.0.1", port))
            handle.setblocking(False)
            bearer = token("visitor", f"v{number}", ttl_s=48 * 3600)
            said = (
                b'{"op":"hello","ver":"1","token":"%b"}' % bearer.encode(),
                b'{"op":"cv.open","id":1,"key":"k%d","text":"hi"}' % number,
            )
            handle.send(UPGRADE.encode() + b"".join(masked(1, one) for one in said))
            self._handles[handle.fileno()] = handle
            self._poller.register(handle.fileno(), select.EPOLLIN)

    async def listen(self) -> None:
        """Answer pings, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._poller.fileno())
            for fd, _ in self._poller.poll(0):
                self._read(self._handles[fd])

    def _read(self, handle: socket.socket) -> None:
        data = handle.recv(65_536)
        assert data, "a node hung up on a client that answered its pings"
        data = data.rpartition(b"\r\n\r\n")[2]
        found, rest = frames(data)
        assert not rest
        for opcode, payload in found:
            if opcode == 9:
                self.heard["ping of the edge"] += 1
                handle.send(masked(10, payload))
            elif payload == b'{"op":"ping"}':
                self.heard["ping of the desk"] += 1
                if handle.fileno() % 2:
                    handle.send(masked(1, b'{"op":"pong"}'))

    def hang_up(self) -> None:
        self._poller.close()
        for handle in self._handles.values():
            handle.close()


async def grown_blocks(desk: Desk, port: int, hours: float) -> tuple[int, Counter[str]]:
    """Return how many blocks more there are after so many idle hours, and what was heard."""
    idlers = Idlers(port)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(idlers.listen)
            await trio.sleep(HOUR_S / 4)  # whatever is allocated once
            before, heard = _blocks(), Counter(idlers.heard)
            await trio.sleep(hours * HOUR_S)
            grown = _blocks() - before
            assert desk.statistics().sessions == {"visitor": CLIENTS}
            nursery.cancel_scope.cancel()
    finally:
        idlers.hang_up()
    return grown, idlers.heard - heard


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


async def test_a_day_of_idle_pings_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        grown, heard = await grown_blocks(desk.desks["n1"], port, hours=24)
        assert heard["ping of the desk"] >= CLIENTS * 24 * HOUR_S / 30
        assert heard["ping of the edge"] >= CLIENTS / 2 * 24 * HOUR_S / 40
        assert grown < BLOCKS_MAX


async def test_a_block_for_each_pong_would_be_noticed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    received = Connection.received

    def leaking(connection: Connection, data: bytes) -> None:
        kept.append(data)
        received(connection, data)

    monkeypatch.setattr(Connection, "received", leaking)
    async with office() as desk, listening(desk.desks["n1"]) as port:
        grown, _ = await grown_blocks(desk.desks["n1"], port, hours=2)
        assert grown > BLOCKS_MAX
