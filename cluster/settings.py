"""What a replica is told at start.  No I/O."""

from dataclasses import dataclass, field
from pathlib import Path

from cluster.heal.digests import DIGEST_EVERY
from cluster.heal.settings import HealSettings
from cluster.peer.address import Address
from cluster.peer.tls import PeerTls
from cluster.raft.compaction import SNAPSHOT_EVERY_ENTRIES
from cluster.raft.engine import Timing
from cluster.raft.members import Members


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica is told at start."""

    cluster: str
    node: str
    key: bytes
    data: Path
    listen: Address
    peers: dict[str, Address]
    """Every other voter of a cluster that begins; once the log names the members, they count."""
    address: Address | None = None
    """Where the other nodes reach this one; None when that is `listen`."""
    zone: str = ""
    """Where this node is: what fails together has one zone."""
    heal: HealSettings = field(default_factory=HealSettings)
    version: str = ""
    """Of the program, for people."""
    url: str = ""
    """Where clients reach this node; told to the others."""
    tls: PeerTls | None = None
    timing: Timing = field(default_factory=Timing)
    offer_ttl_ms: int = 20_000
    snapshot_every_entries: int = SNAPSHOT_EVERY_ENTRIES
    digest_every_entries: int = DIGEST_EVERY
    """Between two checksums of a small state; the same on all nodes."""

    @property
    def reached_at(self) -> str:
        """`host:port` for the other nodes."""
        host, port = self.address or self.listen
        return f"{host}:{port}"

    @property
    def configured(self) -> Members:
        """The members of a cluster that begins."""
        others = {name: f"{host}:{port}" for name, (host, port) in self.peers.items()}
        return Members.of({self.node: self.reached_at, **others})
