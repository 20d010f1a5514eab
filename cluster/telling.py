"""What a node tells the others of itself, beside the log, and who can hear it.  No I/O.

vitals   twice a second, and more often while nobody leads, to all members whose release knows
         them
trace    as a proposal is traced (`cluster.tracing`)
"""

from typing import Any

from cluster import vitals
from cluster.applying import Applying
from cluster.hearing import Hearing
from cluster.peer.frames import encode
from cluster.port import Standing
from cluster.raft.engine import Engine
from cluster.settings import ReplicaSettings
from cluster.state import levels
from cluster.vitals import Circle, Vitals
from cluster.world import Peers, World


class Telling:
    """One node's; take a `turn` every turn."""

    def __init__(
        self,
        settings: ReplicaSettings,
        boot: str,
        world: World,
        peers: Peers,
        *,
        engine: Engine,
        applying: Applying,
        circle: Circle,
        hearing: Hearing,
    ) -> None:
        self._settings = settings
        self._boot = boot
        self._world = world
        self._peers = peers
        self._engine = engine
        self._applying = applying
        self._circle = circle
        self._hearing = hearing
        self._told_s = float("-inf")

    def vitals(self, standing: Standing, leader: str | None) -> Vitals:
        """Return what this node tells the others of itself."""
        return Vitals(
            boot=self._boot,
            level=levels.LEVEL,
            version=self._settings.version,
            zone=self._settings.zone,
            standing=standing,
            wall_ms=self._world.wall_ms(),
            applied_index=self._applying.applied_index,
            hears=tuple(self._hearing.within),
            storage=self._world.storage(),
            leader=leader or "",
            digest=self._applying.digests.latest,
            abstains=self._engine.journal.abstains,
        )

    def turn(self, standing: Standing, leader: str | None) -> None:
        """Tell, if it is time."""
        now_s = self._world.clock()
        if now_s - self._told_s < self._hearing.every_s:
            return
        self._told_s = now_s
        self._circle.keep(self._engine.members.by_id)
        self.tell("vitals", vitals.encode(self.vitals(standing, leader)))

    def hurry(self) -> None:
        """Let the next turn tell: it may be the last one."""
        self._told_s = float("-inf")

    def tell(self, kind: str, body: Any) -> None:
        """Send a frame to those whose release knows its kind."""
        frame = encode(kind, body)
        for peer in self._others():
            if self._peers.level(peer) > levels.FIRST:
                self._peers.send(peer, frame)

    def common_level(self) -> int:
        """Return the level that every member's release has; 0 while one is unknown."""
        return min([levels.LEVEL, *map(self._peers.level, self._others())])

    def _others(self) -> list[str]:
        return self._engine.members.others(self._settings.node)
