"""What a cluster does meanwhile, as every node says of itself.  Talks to nodes by HTTP.

GET /cluster of each node, four times a second
    another leader       an event          a node's standing changes, or it is silent: an event
    another process      an event          all serve: a sample
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from node.chaos.record import EventKind, Happened
from node.client.address import Address
from node.client.http import Unreachable
from node.client.status import NodeStatus, Proof, fetch_status

LOOK_EVERY_S = 0.25
LOOK_S = 1.0
SILENT = "silent"


@dataclass(slots=True)
class _Seen:
    standing: str = ""
    boot: str = ""
    answered: bool = False


@dataclass(slots=True)
class Watching:
    """One task per node looks, and writes down what is new."""

    addresses: dict[str, Address]
    proof: Callable[[], Proof]
    """What lets one read `/cluster`."""
    now_s: Callable[[], float]
    """Since the run began."""
    tell: Callable[[str], None]
    events: list[Happened] = field(default_factory=list)
    samples: list[tuple[float, bool]] = field(default_factory=list)
    """When, and whether every node served."""
    leader: str = ""
    version: dict[str, str] = field(default_factory=dict)
    _term: int = 0
    _seen: dict[str, _Seen] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        async with trio.open_nursery() as nursery:
            for name in self.addresses:
                self._seen[name] = _Seen()
                nursery.start_soon(self._follow, name)
            while True:
                await trio.sleep(LOOK_EVERY_S)
                whole = all(one.standing == "serving" for one in self._seen.values())
                self.samples.append((self.now_s(), whole))

    async def _follow(self, name: str) -> None:
        while True:
            try:
                status = await fetch_status(
                    self.addresses[name], token=self.proof(), timeout_s=LOOK_S
                )
            except Unreachable:
                self._take_standing(name, SILENT, "")
            else:
                self._take(name, status)
            await trio.sleep(LOOK_EVERY_S)

    def _take(self, name: str, status: NodeStatus) -> None:
        self.version[name] = status.version
        seen = self._seen[name]
        if seen.boot and seen.boot != status.boot:
            self.note("process", name, f"{name} was started again")
        seen.boot = status.boot
        self._take_standing(name, status.standing, status.why)
        if status.leads and status.term > self._term:
            self._term = status.term
            if self.leader:
                self.note("leader", name, f"{name} leads, term {status.term}")
            self.leader = name

    def _take_standing(self, name: str, standing: str, why: str) -> None:
        seen = self._seen[name]
        if seen.standing == standing:
            return
        first, seen.standing = not seen.standing, standing
        if not first:
            words = "does not answer" if standing == SILENT else standing.replace("_", " ")
            what = f"{name} {words}{f': {why}' if why else ''}"
            self.note("standing", name, what, standing)

    def note(self, kind: EventKind, node: str, what: str, standing: str = "") -> None:
        """Write something down, and tell it."""
        at_s = round(self.now_s(), 3)
        self.events.append(Happened(at_s=at_s, kind=kind, node=node, what=what, standing=standing))
        self.tell(what)
