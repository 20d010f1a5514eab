"""Links that lose, hold back or break.  Calls come from the loop's thread; tasks push what waits.

    frame ──▶ mute, lossy? lost       whole frames, as a link that broke loses them
          ──▶ slow?        waits      in order: a later frame never overtakes, as on TCP
          ──▶ else         leaves at once

Lost frames are not told to whoever sent them: the connection stands, as when a network swallows.
The frame `chaos` always passes, both ways: by it a node that is cut off hears that a fault ended.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from cluster.hooks import Outgoing
from cluster.peer.frames import encode
from node.chaos.faults import Arming

HELD_BYTES_MAX = 32 * 1024 * 1024
"""For one peer; what is beyond is lost, as in `cluster.peer.link`."""
KIND = "chaos"
IDLE_S = 3600.0


class ChaosWire:
    """Implements `cluster.hooks.Wire`."""

    def __init__(
        self, arming: Callable[[], Arming | None], on_end: Callable[[str], None], seed: int
    ) -> None:
        self._arming = arming
        self._on_end = on_end
        self._chance = random.Random(seed)  # noqa: S311 - a loss, no secret
        self._links: Outgoing | None = None
        self._held: dict[str, deque[tuple[float, bytes]]] = {}
        self._held_bytes: dict[str, int] = {}
        self._wake = trio.Event()
        self.lost = 0
        """Frames so far."""

    def attach(self, links: Outgoing) -> None:
        """See `Wire.attach`."""
        self._links = links

    def takes(self, peer: str, frame: bytes) -> bool:
        """See `Wire.takes`."""
        arming = self._arming()
        if arming is None:
            return False
        effect = arming.effect()
        if effect.holds(peer, self._chance):
            self.lost += 1
            return True
        delay_s = effect.delay_s(peer, self._chance)
        if not delay_s and not self._held.get(peer):
            return False
        self._hold(peer, frame, delay_s)
        return True

    def swallows(self, peer: str, kind: str, body: Any) -> bool:
        """See `Wire.swallows`."""
        arming = self._arming()
        if kind == KIND:
            if isinstance(body, str):
                self._on_end(body)
            return True
        if arming is None or peer not in arming.effect().deaf_to:
            return False
        self.lost += 1
        return True

    def tell_end(self, peer: str, fault: str) -> None:
        """Let `peer` hear that `fault` is over, past everything."""
        assert self._links is not None
        self._links.push(peer, encode(KIND, fault))

    def reset(self, peer: str) -> None:
        """Break the connection to `peer`."""
        assert self._links is not None
        self._links.reset(peer)

    async def run(self) -> None:
        """Push what was held back, when its time has come."""
        while True:
            self._wake = trio.Event()
            now_s = trio.current_time()
            for peer, held in self._held.items():
                self._release(peer, held, now_s)
            due_s = min((held[0][0] for held in self._held.values() if held), default=None)
            with trio.move_on_at(due_s if due_s is not None else now_s + IDLE_S):
                await self._wake.wait()

    def _hold(self, peer: str, frame: bytes, delay_s: float) -> None:
        waiting = self._held_bytes.get(peer, 0) + len(frame)
        if waiting > HELD_BYTES_MAX:
            self.lost += 1
            return
        held = self._held.setdefault(peer, deque())
        due_s = trio.current_time() + delay_s
        if held:
            due_s = max(due_s, held[-1][0])
        held.append((due_s, frame))
        self._held_bytes[peer] = waiting
        if len(held) == 1:
            self._wake.set()

    def _release(self, peer: str, held: deque[tuple[float, bytes]], now_s: float) -> None:
        assert self._links is not None
        while held and held[0][0] <= now_s:
            _, frame = held.popleft()
            self._held_bytes[peer] -= len(frame)
            self._links.push(peer, frame)
