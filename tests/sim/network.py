"""The network between simulated nodes: late, lossy, repeating, cut.  No I/O.

A message is delivered once after a random delay, unless the weather of the moment loses it,
doubles it, or its link is cut or stalled.  Each message draws its own delay, so messages
overtake each other; with `in_order` a link keeps their order, as TCP does.
"""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Weather:
    """What the network does to messages; times are seconds."""

    delay_s: float = 0.002
    loss: float = 0.0
    doubling: float = 0.0
    in_order: bool = False


CALM = Weather()


@dataclass(slots=True)
class Network:
    """Who may talk to whom, and how well; the world keeps the time."""

    rng: random.Random
    weather: Weather = field(default_factory=Weather)
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """Links, one way each, that lose everything."""
    stalls: dict[tuple[str, str], float] = field(default_factory=dict)
    """Links that deliver nothing before a time, and then all at once."""
    _last_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def arrivals(self, source: str, target: str, now_s: float) -> list[float]:
        """Return when a message sent now arrives: never, once, or more often."""
        link = (source, target)
        weather = self.weather
        if link in self.cuts or self.rng.random() < weather.loss:
            return []
        copies = 2 if self.rng.random() < weather.doubling else 1
        return [self._arrival(link, now_s) for _ in range(copies)]

    def _arrival(self, link: tuple[str, str], now_s: float) -> float:
        at_s = now_s + 0.0002 + self.rng.expovariate(1 / self.weather.delay_s)
        at_s = max(at_s, self.stalls.get(link, 0.0))
        if self.weather.in_order:
            at_s = max(at_s, self._last_s.get(link, 0.0) + 1e-6)
            self._last_s[link] = at_s
        return at_s

    def heal(self) -> None:
        """Every message arrives from now on, once and soon."""
        self.cuts.clear()
        self.stalls.clear()
        self.weather = CALM
