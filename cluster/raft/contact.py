"""When this node last heard the others, and a majority of them.  No I/O.

    a leader     a majority answered it                  `Leadership.quorum_heard_s`
    a follower   its leader spoke                        `Elections.heard_s`
    else         nobody: it ages from the last of these

Times are seconds of the engine's clock.
"""

from collections.abc import Iterable

from cluster.raft.leadership import Leadership
from cluster.raft.parts import Parts


class Contact:
    """Begins as if all had been heard just now."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._heard_s: dict[str, float] = {}
        self._quorum_s = parts.clock()

    def set_peers(self, peers: Iterable[str]) -> None:
        """The members are others from now on."""
        now_s = self._parts.clock()
        self._heard_s = {peer: self._heard_s.get(peer, now_s) for peer in peers}

    def heard(self, peer: str) -> None:
        """Something came from `peer`."""
        if peer in self._heard_s:
            self._heard_s[peer] = self._parts.clock()

    def ages_s(self) -> dict[str, float]:
        """Return per other member how long nothing came from it, since start at most."""
        now_s = self._parts.clock()
        return {peer: now_s - heard_s for peer, heard_s in self._heard_s.items()}

    def quorum_age_s(self, leadership: Leadership | None) -> float:
        """Return how long no majority followed this leader, or this node heard no leader."""
        now_s = self._parts.clock()
        if leadership is not None:
            self._quorum_s = leadership.quorum_heard_s(now_s)
        elif self._parts.core.leader is not None:
            self._quorum_s = max(self._quorum_s, self._parts.elections.heard_s)
        return now_s - self._quorum_s
