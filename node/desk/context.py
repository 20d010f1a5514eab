"""What all parts of the desk share: the port, the clocks, the other nodes.  No I/O of its own.

    standing                        a client that says hello hears
    serving                         welcome
    starting, catching_up, fenced   bye 4009: no quorum here yet, or no longer
    failed                          bye 4007
    draining                        bye 4001

Times are milliseconds UTC for `now_ms`, seconds of a monotonic clock for `clock`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.ids import Ulids
from cluster.port import Port, ReplicaStatus, Standing, Unavailable
from cluster.state.drains import drained
from cluster.state.state import State
from node.auth import Verifier
from node.desk.rates import Rates
from node.desk.session import Session
from node.desk.statistics import Tally
from node.protocol.catalogue import NodeAddress
from node.protocol.codes import Close
from node.tracing.requests import RequestTraces

Health = Literal["ok", "degraded", "minority"]

_GOODBYES: dict[Standing, Close] = {
    "starting": Close.MINORITY,
    "catching_up": Close.MINORITY,
    "fenced": Close.MINORITY,
    "failed": Close.NODE_LEAVING,
}


@dataclass(slots=True)
class Context:
    """Shared by the parts of one desk."""

    port: Port
    cluster: str
    told: dict[str, str]
    """Client addresses by node id, as configured; what a node says itself goes first."""
    verifier: Verifier
    clock: Callable[[], float]
    clock_ms: Callable[[], int]
    ids: Ulids
    rng: random.Random
    """Spreads goodbyes; no secret depends on it."""
    start: Callable[..., None]
    """`start(async function, *arguments)`: run it beside everything else."""
    schedule: Callable[[Session], None]
    """See to it that the session is looked at when its next deadline comes."""
    rates: Rates
    """How fast principals may ask."""
    tally: Tally = field(default_factory=Tally)
    traces: RequestTraces = field(default_factory=lambda: RequestTraces(0.0))
    draining: bool = False
    overloaded: bool = False
    """Whether memory is all used: who is not needed is sent elsewhere."""
    status: ReplicaStatus = field(init=False)
    """The replica's, as of the last change of standing or sweep."""

    def __post_init__(self) -> None:
        self.status = self.port.status()

    @property
    def state(self) -> State:
        """What was applied here so far."""
        return self.port.state

    @property
    def nodes(self) -> tuple[NodeAddress, ...]:
        """All members with their client addresses, this one included."""
        known = self.state.nodes
        urls = {
            name: known[name].url if name in known else self.told.get(name, "")
            for name in self.port.members().by_id
        }
        return tuple(NodeAddress(id=name, url=url) for name, url in urls.items() if url)

    @property
    def taking(self) -> list[NodeAddress]:
        """The members that take clients: not those that operators drained, unless all are."""
        closed = drained(self.state)
        return [node for node in self.nodes if node.id not in closed] or list(self.nodes)

    def now_ms(self) -> int:
        """Return cluster time: never before what was already applied."""
        return max(self.clock_ms(), self.port.state.now_ms)

    def closed(self) -> tuple[Close, str] | None:
        """Return why nobody is let in now, or None."""
        if self.draining:
            return Close.DRAIN, "this node is being stopped"
        if self.status.standing == "draining":
            return Close.DRAIN, "this node is being drained"
        goodbye = _GOODBYES.get(self.status.standing)
        return None if goodbye is None else (goodbye, self.status.why or self.status.standing)

    def others(self) -> list[NodeAddress]:
        """Return where else clients may go, the nodes that this one reaches first."""
        peers = self.status.peers
        others = [node for node in self.taking if node.id != self.port.node_id]
        return sorted(others, key=lambda node: not peers.get(node.id, {}).get("connected", False))

    def health(self) -> Health:
        """Return the cluster's health as seen from here."""
        if self.status.standing not in ("serving", "draining"):
            return "minority"
        missing = any(not peer.get("connected", False) for peer in self.status.peers.values())
        return "degraded" if missing else "ok"

    def elsewhere(self) -> dict[str, Any]:
        """Return an error's `data` that names the other nodes."""
        return {"nodes": [{"id": node.id, "url": node.url} for node in self.others()]}


class NotServed(Exception):
    """The cluster gave no answer; `answer` says why."""

    def __init__(self, answer: Unavailable) -> None:
        super().__init__(answer.message)
        self.answer = answer
