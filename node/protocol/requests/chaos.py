"""Breaking something on purpose.  No I/O."""

from cluster.state.commands import FaultKind
from node.protocol.requests.base import OPERATOR, Request


class ChaosStart(Request, tag="chaos.start"):
    """Break something for a while, at nodes whose node.toml has `[chaos] enabled`.

    `partition`, `one_way`, `delay`, `loss` and `reset` are of the links between `groups`; a group
    alone is against all others.  With a `zone`, its nodes are the first group and all others the
    second.  The other kinds befall the nodes of one group.  A fault ends by itself.
    """

    roles = OPERATOR
    signed = frozenset({"amount"})

    key: str
    kind: FaultKind
    groups: list[str] = []
    """Each some nodes: `n1,n2`."""
    zone: str = ""
    for_ms: int = 10_000
    """At most ten minutes; `kill` and `pause` too count as over then."""
    amount: int = 0
    """Of `delay`, `reset`, `slow_disk`, `clock_skew` (behind: below 0) ms, of `loss` percent."""
    jitter_ms: int = 0
    """On top of a `delay`, by chance."""
    clients: bool = False
    """Of a `partition`: the first group loses its clients too."""


class ChaosStop(Request, tag="chaos.stop"):
    """End these faults before their time; all, when none is named."""

    roles = OPERATOR

    faults: list[str] = []


class ChaosStatus(Request, tag="chaos.status"):
    """Which nodes may be broken, and what is broken now."""

    roles = OPERATOR
