"""What goes wrong, at random, one thing after the other and sometimes at once.

    kill · kill all · pause · lose the disk                              processes
    isolate · halves · bridge · one way · flap · reset · delay           links
    sync error · slow disk · full disk · clock                           inside a process

Each fault lasts a moment and is taken back.  Most of the voters always remember: a disk is lost
only while every other node votes.
"""

import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from scripts.nemesis.stage import Stage

Fault = Callable[[], AbstractAsyncContextManager[None]]


class Faults:
    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._network = stage.network
        self._shims = stage.shims
        self._chance = chance
        self.down = stage.down
        self.kinds: dict[str, Fault] = {
            "kill": self._kill,
            "kill all": self._kill_all,
            "pause": self._pause,
            "lose the disk": self._lose_disk,
            "isolate": self._isolate,
            "halves": self._halves,
            "bridge": self._bridge,
            "one way": self._one_way,
            "flap": self._flap,
            "reset": self._reset,
            "delay": self._delay,
        }
        if self._shims:
            self.kinds |= {
                "sync error": self._sync_error,
                "slow disk": self._slow_disk,
                "full disk": self._full_disk,
                "clock": self._clock,
            }

    def heal(self) -> None:
        """Take back whatever is left."""
        self._network.heal()
        for shim in self._shims.values():
            shim.heal()
        for name in self._cluster.names:
            self._cluster.resume(name)
        self.down.clear()

    def _one(self) -> str:
        return self._chance.choice(self._cluster.names)

    async def _last(self, shortest_s: float = 0.3, longest_s: float = 3.0) -> None:
        await trio.sleep(self._chance.uniform(shortest_s, longest_s))

    # -- processes

    @asynccontextmanager
    async def _kill(self) -> AsyncIterator[None]:
        name = self._one()
        self.down.add(name)
        await self._cluster.kill(name)
        await self._last(0.0, 2.0)
        yield
        self.down.discard(name)

    @asynccontextmanager
    async def _kill_all(self) -> AsyncIterator[None]:
        self.down |= set(self._cluster.names)
        await self._cluster.kill_all()
        yield
        self.down.clear()

    @asynccontextmanager
    async def _pause(self) -> AsyncIterator[None]:
        name = self._one()
        self._cluster.pause(name)
        try:
            await self._last(0.3, 4.0)
            yield
        finally:
            self._cluster.resume(name)

    @asynccontextmanager
    async def _lose_disk(self) -> AsyncIterator[None]:
        name = self._one()
        if await self._stage.all_vote_but(name):
            self.down.add(name)
            await self._cluster.kill(name)
            data = self._cluster.folder.data(name)
            await trio.to_thread.run_sync(lambda: shutil.rmtree(data, ignore_errors=True))
        yield
        self.down.discard(name)

    # -- links

    @asynccontextmanager
    async def _cut(self, *groups: tuple[set[str], set[str]]) -> AsyncIterator[None]:
        links = [link for some, others in groups for link in self._network.between(some, others)]
        for link in links:
            link.cut()
        await self._last()
        yield
        for link in links:
            link.mend()

    def _isolate(self) -> AbstractAsyncContextManager[None]:
        one = {self._one()}
        rest = set(self._cluster.names) - one
        return self._cut((one, rest), (rest, one))

    def _halves(self) -> AbstractAsyncContextManager[None]:
        some = set(self._chance.sample(self._cluster.names, len(self._cluster.names) // 2))
        rest = set(self._cluster.names) - some
        return self._cut((some, rest), (rest, some))

    def _bridge(self) -> AbstractAsyncContextManager[None]:
        names = self._chance.sample(self._cluster.names, len(self._cluster.names))
        half = len(names) // 2
        left, right = set(names[1 : half + 1]), set(names[half + 1 :])
        return self._cut((left, right), (right, left))

    def _one_way(self) -> AbstractAsyncContextManager[None]:
        one = {self._one()}
        rest = set(self._cluster.names) - one
        return self._cut((one, rest) if self._chance.random() < 0.5 else (rest, one))

    @asynccontextmanager
    async def _flap(self) -> AsyncIterator[None]:
        a, b = self._chance.sample(self._cluster.names, 2)
        link = self._network.links[a, b]
        for _ in range(self._chance.randrange(3, 10)):
            link.mend() if link.is_cut else link.cut()
            await trio.sleep(0.2)
        yield
        link.mend()

    @asynccontextmanager
    async def _reset(self) -> AsyncIterator[None]:
        one = {self._one()}
        rest = set(self._cluster.names) - one
        for link in self._network.between(one, rest) + self._network.between(rest, one):
            link.reset()
        yield

    @asynccontextmanager
    async def _delay(self) -> AsyncIterator[None]:
        delay_s = self._chance.choice((0.005, 0.02, 0.08))
        for link in self._network.links.values():
            link.delay_s = delay_s
        await self._last(1.0, 3.0)
        yield
        for link in self._network.links.values():
            link.delay_s = 0.0

    # -- inside a process

    @asynccontextmanager
    async def _sync_error(self) -> AsyncIterator[None]:
        self._shims[self._one()].fail_syncs(1)
        await self._last(0.3, 1.0)
        yield

    @asynccontextmanager
    async def _slow_disk(self) -> AsyncIterator[None]:
        shim = self._shims[self._one()]
        shim.slow_syncs(self._chance.choice((0.002, 0.02, 0.2)))
        await self._last(1.0, 4.0)
        yield
        shim.slow_syncs(0.0)

    @asynccontextmanager
    async def _full_disk(self) -> AsyncIterator[None]:
        shim = self._shims[self._one()]
        shim.fill(True)
        await self._last(0.5, 2.0)
        yield
        shim.fill(False)

    @asynccontextmanager
    async def _clock(self) -> AsyncIterator[None]:
        ms = self._chance.choice((-3_600_000, -5_000, -300, 300, 5_000, 60_000))
        self._shims[self._one()].skew(ms)
        await self._last(1.0, 4.0)
        yield  # the clock stays where it was set, until it is set again
