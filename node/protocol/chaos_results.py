"""What is broken on purpose, as operators are told.  No I/O."""

import msgspec

from cluster.state.commands import By, FaultKind
from node.protocol.results import Result


class ChaosStarted(Result):
    fault: str
    until: int
    """When it ends by itself."""
    groups: list[str]
    dup: bool = False


class ChaosEnded(Result):
    ended: list[str]


class ChaosNode(msgspec.Struct):
    """One node, and whether it may be broken."""

    node: str
    zone: str
    enabled: bool


class FaultView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Something that is broken now."""

    fault: str
    kind: FaultKind
    groups: list[str]
    by: By
    since: int
    until: int
    amount: int = 0
    jitter_ms: int = 0
    clients: bool = False
    zone: str = ""


class ChaosNow(Result):
    nodes: list[ChaosNode]
    faults: list[FaultView]
    now: int
    """Cluster time."""
