"""What a node is told at start: the values of its `node.toml`, checked.  No I/O.

`node.config_file` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.heal.settings import HealSettings
from cluster.raft.members import Members
from node.issuers.config import IssuerConfig
from node.logs import Format, Level
from node.tables import Address, Network

HEARTBEAT = "50ms"
ELECTION = "300ms-600ms"


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What all nodes share."""

    id: str
    key: bytes = field(repr=False)
    """Signs tokens and proves nodes to each other."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Which node this is."""

    id: str
    data: Path
    workers: int = 0
    """Processes that serve the clients; 0: the node's own does."""
    zone: str = ""
    """Data centre, or whatever fails together; empty: none is named."""


@dataclass(frozen=True, slots=True)
class ClientTlsConfig:
    """What clients are shown."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Where clients come in."""

    listen: Address
    url: str
    """What clients are told to come to."""
    tls: ClientTlsConfig | None = None
    deflate: bool = False
    """Whether clients that ask for permessage-deflate are given it."""


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """Where clients come in by gRPC, and how many."""

    listen: Address
    calls_max: int = 1_000
    streams_max: int = 10_000
    connection_age_s: float = 0.0
    """So old a connection is given up, so that clients spread anew; 0 for never."""


@dataclass(frozen=True, slots=True)
class ObserveConfig:
    """Where machines look, without a token: probes, figures, the cluster's page."""

    listen: Address
    hosts: tuple[str, ...] = ()
    """More names by which a browser may ask; see `node.desk.rebinding`."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Mutual TLS between nodes."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """Where the other nodes come in."""

    listen: Address
    tls: TlsConfig | None = None


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """One node of the cluster as the others reach it."""

    id: str
    peer: Address
    url: str


@dataclass(frozen=True, slots=True)
class TimingConfig:
    """How soon things happen."""

    heartbeat_s: float = 0.05
    election_min_s: float = 0.3
    election_max_s: float = 0.6
    offer_ms: int = 20_000
    """Time to accept an offer where the rules say nothing."""
    drain_s: float = 10.0
    """How long the goodbyes of a full node may take."""


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """How long tokens live that are issued here."""

    people_s: int = 8 * 3600
    """A shift."""
    services_s: int = 3600
    """A program fetches the next one by itself."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """How much a node takes."""

    connections_max: int = 100_000
    visitor_requests_per_s: int = 20
    requests_per_s: int = 100
    """Of an agent, a supervisor or an operator."""
    service_requests_per_s: int = 1_000
    """A principal's, at this node; 0 for as many as there are."""
    address_connections_max: int = 10_000
    address_connects_per_s: int = 500
    """Sockets of one address; behind a proxy that is named in `trusted_addresses`, any number."""
    trusted_addresses: tuple[Network, ...] = ()
    memory_bytes_max: int = 0
    """Of the process; 0 for most of what the machine, or the container, has."""


@dataclass(frozen=True, slots=True)
class VisitorsConfig:
    """Who gets a visitor's token without saying who they are."""

    origins: tuple[str, ...] = ()
    """Of the pages that may ask; none: nobody does."""
    ttl_s: int = 24 * 3600
    per_minute: int = 60
    """Tokens for one address; 0 for any number."""


@dataclass(frozen=True, slots=True)
class DeskConfig:
    """How the people of the desk work."""

    away_after_s: float = 0.0
    """An agent silent on all devices for so long is set away; 0: nobody is."""
    stale_guard: bool = False
    """Whether an agent's message must say what they have seen."""
    invite_ms: int = 30_000
    """Time to accept an invitation into a conversation."""


@dataclass(frozen=True, slots=True)
class ChaosConfig:
    """Whether operators may break this node on purpose."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class LogConfig:
    """How the process logs."""

    format: Format = "json"
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class TraceConfig:
    """Which requests are traced, and where to."""

    endpoint: str = ""
    """Of a collector that takes OTLP/HTTP; empty: spans are debug lines of the log, no more."""
    sample: float = 0.0
    """Share of the requests that are traced though their client does not ask for it."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything in `node.toml`, checked."""

    cluster: ClusterConfig
    node: NodeConfig
    client: ClientConfig
    peer: PeerConfig
    nodes: Mapping[str, MemberConfig]
    grpc: GrpcConfig | None = None
    observe: ObserveConfig | None = None
    issuers: tuple[IssuerConfig, ...] = ()
    tokens: TokensConfig = TokensConfig()
    timing: TimingConfig = TimingConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    visitors: VisitorsConfig = VisitorsConfig()
    desk: DeskConfig = DeskConfig()
    heal: HealSettings = field(default_factory=HealSettings)
    chaos: ChaosConfig = ChaosConfig()
    trace: TraceConfig = TraceConfig()
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Plugins that `[plugins.NAME]` switches on, with their settings."""

    @property
    def members(self) -> Members:
        """The members of a cluster that begins."""
        return Members.of({one.id: f"{one.peer[0]}:{one.peer[1]}" for one in self.nodes.values()})

    @property
    def plugins(self) -> dict[str, Mapping[str, Any]]:
        """All plugins that are on, by name."""
        return {**({"chaos": {}} if self.chaos.enabled else {}), **self.others}

    @property
    def peers(self) -> dict[str, Address]:
        """Where the other nodes listen for this one, by id."""
        return {one.id: one.peer for one in self.nodes.values() if one.id != self.node.id}
