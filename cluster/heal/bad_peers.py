"""Row 16, peers that reset or speak no sense: written down once per episode.  No I/O.

    FEW troubles within WINDOW_S ──▶ note ──WINDOW_S without one──▶ note, with how many

The links wait longer and longer before they dial again, by themselves (`cluster.peer.patience`);
other peers do not notice.
"""

from dataclasses import dataclass

from cluster.heal.decision import Decision, Figures
from cluster.heal.picture import Seen, Troubles
from cluster.heal.rules import BAD_PEER

FEW = 5
WINDOW_S = 60.0


@dataclass(slots=True)
class _Episode:
    """Of one peer, or one address."""

    first: int
    """The count of troubles before it began."""
    since_s: float
    last: int
    last_s: float
    told: bool = False


class BadPeers:
    """Who makes trouble."""

    def __init__(self) -> None:
        self._episodes: dict[str, _Episode] = {}
        self._seen: dict[str, int] = {}

    def look(self, seen: Seen) -> list[Decision]:
        decisions: list[Decision] = []
        for name, troubles in seen.troubles.items():
            if troubles.total > self._seen.get(name, 0):
                decisions += self._happened(seen.now_s, name, troubles)
            self._seen[name] = troubles.total
        for name, episode in list(self._episodes.items()):
            if seen.now_s - episode.last_s >= WINDOW_S:
                decisions += self._over(name, episode)
        for name in self._seen.keys() - seen.troubles.keys():
            del self._seen[name]
        return decisions

    def _happened(self, now_s: float, name: str, troubles: Troubles) -> list[Decision]:
        before = self._seen.get(name, 0)
        episode = self._episodes.setdefault(name, _Episode(before, now_s, before, now_s))
        episode.last, episode.last_s = troubles.total, now_s
        count = episode.last - episode.first
        if episode.told or count < FEW:
            return []
        episode.told = True
        figures: Figures = {"peer": name, "times": count, "pause_ms": troubles.pause_ms}
        words = f"{name} failed {count} times: {troubles.why[:200]}"
        return [Decision(BAD_PEER, words, "dials it more and more rarely", figures)]

    def _over(self, name: str, episode: _Episode) -> list[Decision]:
        del self._episodes[name]
        if not episode.told:
            return []
        times = episode.last - episode.first
        figures: Figures = {"peer": name, "times": times}
        words = f"no trouble with {name} for {WINDOW_S:.0f} s, after {times} times"
        return [Decision(BAD_PEER, words, "none", figures)]
