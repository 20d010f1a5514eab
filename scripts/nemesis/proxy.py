"""Links between nodes that can be cut, slowed and reset: a TCP proxy for each ordered pair.

    n1 ──dials──▶ 127.0.0.1:p12 ──▶ n2's peer port        carries what n1 says to n2
    n2 ──dials──▶ 127.0.0.1:p21 ──▶ n1's peer port        carries what n2 says to n1

So a cut of one link is a one-way cut.  Nothing is lost inside a TCP stream: a link that is cut
holds what comes, as a network does that lost it and sends it again later; what is held is
bounded by the sockets' buffers.  A reset ends the connections, as a firewall does.  A spoilt link
answers with noise and hangs up, as a broken build or a wrong port does.
"""

import random

import trio

CHUNK_BYTES = 64 * 1024
NOISE_BYTES = 200


class Link:
    """One ordered pair."""

    def __init__(self, source: str, target: str, chance: random.Random) -> None:
        self.source, self.target = source, target
        self.port = 0
        self.delay_s = 0.0
        """On the way, half to one and a half times as long."""
        self.spoilt = False
        """Whether whoever dials is answered with noise, and hung up on."""
        self._chance = chance
        self._open = trio.Event()
        self._open.set()
        self._connections: set[trio.CancelScope] = set()
        self._serving = trio.CancelScope()

    def cut(self) -> None:
        """Deliver nothing from now on."""
        if self._open.is_set():
            self._open = trio.Event()

    def mend(self) -> None:
        """Deliver again, also what was held."""
        self._open.set()

    @property
    def is_cut(self) -> bool:
        return not self._open.is_set()

    def reset(self) -> None:
        """End the connections of this moment."""
        for scope in tuple(self._connections):
            scope.cancel()

    def spoil(self) -> None:
        """Answer with noise from now on, as something that is no node; end what goes on."""
        self.spoilt = True
        self.reset()

    def close(self) -> None:
        """Answer nobody from now on, for good: the machine is gone."""
        self._serving.cancel()

    async def serve(
        self, to_port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Forward to `to_port` of this machine until cancelled; started with the port here."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]

        async def forward(client: trio.SocketStream) -> None:
            await self._forward(client, to_port)

        with self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, forward, listeners)
                task_status.started(self.port)

    async def _forward(self, client: trio.SocketStream, to_port: int) -> None:
        with trio.CancelScope() as scope:
            self._connections.add(scope)
            try:
                if self.spoilt:
                    return await self._babble(client)
                async with (
                    client,
                    await trio.open_tcp_stream("127.0.0.1", to_port) as server,
                    trio.open_nursery() as nursery,
                ):
                    nursery.start_soon(self._pump, client, server, nursery.cancel_scope)
                    nursery.start_soon(self._pump, server, client, nursery.cancel_scope)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                self._connections.discard(scope)

    async def _babble(self, client: trio.SocketStream) -> None:
        async with client:
            await client.receive_some(CHUNK_BYTES)
            await client.send_all(self._chance.randbytes(NOISE_BYTES))

    async def _pump(
        self, source: trio.SocketStream, target: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        while data := await source.receive_some(CHUNK_BYTES):
            if self.delay_s:
                await trio.sleep(self.delay_s * self._chance.uniform(0.5, 1.5))
            await self._open.wait()
            await target.send_all(data)
        scope.cancel()


class Network:
    """All links of a cluster."""

    def __init__(self, names: tuple[str, ...], chance: random.Random) -> None:
        self.links = {(a, b): Link(a, b, chance) for a in names for b in names if a != b}

    def between(self, some: set[str], others: set[str]) -> list[Link]:
        """Return the links from one group to another, one way."""
        return [link for (a, b), link in self.links.items() if a in some and b in others]

    def heal(self) -> None:
        """Let every link deliver at once."""
        for link in self.links.values():
            link.mend()
            link.delay_s = 0.0
            link.spoilt = False
