"""What a replica is told at start.  No I/O."""

from dataclasses import dataclass, field
from pathlib import Path

from cluster.peer.links import Address, PeerTls
from cluster.raft.compaction import SNAPSHOT_EVERY_ENTRIES
from cluster.raft.engine import Timing


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica is told at start."""

    cluster: str
    node: str
    key: bytes
    data: Path
    listen: Address
    peers: dict[str, Address]
    """Every other voter."""
    url: str = ""
    """Where clients reach this node; told to the others."""
    tls: PeerTls | None = None
    timing: Timing = field(default_factory=Timing)
    offer_ttl_ms: int = 20_000
    snapshot_every_entries: int = SNAPSHOT_EVERY_ENTRIES

    @property
    def fence_s(self) -> float:
        """Without a leader for this long the node calls itself fenced."""
        return 2 * self.timing.election_max_s
