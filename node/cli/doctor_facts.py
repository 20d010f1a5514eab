"""What `unidesk doctor` gathers, and what it says of it.  No I/O.

Machine   this machine, by its node.toml: key, certificates, disk, limits
Nodes     what all nodes say of themselves: standing, copies, clocks, zones
Finding   one thing to mend: what is wrong, and how
"""

from dataclasses import dataclass, field
from typing import Literal

from node.cli.nodes import Statuses

Weight = Literal["wrong", "warning"]
"""`wrong`: something does not work, or is not safe; `warning`: it works, and should be mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend."""

    weight: Weight
    check: str
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate that node.toml names."""

    file: str
    days_left: float | None
    """None when it cannot be read; `why` says so."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of this machine; None is unknown, or not asked."""

    config: str
    node: str
    key_mode: int | None = None
    key_file: str = ""
    certificates: tuple[CertificateFacts, ...] = ()
    beyond_loopback_without_tls: tuple[str, ...] = ()
    clients_from_beyond: bool = False
    """Whether the port of the clients is reachable from other machines."""
    observe: str = ""
    """Where machines look; empty: at the port of the clients."""
    folder: str = ""
    folder_why: str = ""
    """Why its data folder cannot be used."""
    filesystem: str = ""
    free_bytes: int | None = None
    total_bytes: int | None = None
    sync_ms: float | None = None
    """Median of some `fdatasync` of 4 KiB."""
    ports: dict[str, str] = field(default_factory=dict)
    """Name of a port to why it can neither be had nor reached."""
    files_max: int | None = None
    memory_free_bytes: int | None = None
    python: tuple[int, int, int] = (0, 0, 0)
    libraries: dict[str, str] = field(default_factory=dict)
    """Library to what is wrong with its version."""
    workers: int = 0
    migrate_requests: int | None = None
    """net.ipv4.tcp_migrate_req."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the nodes said, all asked within a moment."""

    found: Statuses
    peer_ports: dict[str, str] = field(default_factory=dict)
    """Node to why its port for the other nodes cannot be reached from here."""
    wall_ms: dict[str, float] = field(default_factory=dict)
    """Node to how far its clock is ahead of this machine's at least, milliseconds."""
    digests: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Node to index and checksum of its state."""
