"""What is made of whom this node meets: twins, strangers, and those of a later epoch.  No I/O.

met                                              done                                    rule
-----------------------------------------------  --------------------------------------  ----
a later epoch, and no leader was ever here       move on to it: there is nothing to lose  17
a later epoch, and there is data of the past     end, and say how to come back            17
a peer hears another process of our id           end: that one has promised, and lives    12
two processes of another node's id               note it; the links refused the newer     12
a foreign cluster, a release too far away        note it, once an hour each               13
"""

from collections.abc import Callable
from typing import Protocol

from cluster.heal import ending, rules
from cluster.heal.journal import Journal
from cluster.heal.seldom import Seldom
from cluster.peer.meetings import Meetings


class Host(Protocol):
    """What the decisions need of a replica."""

    @property
    def node_id(self) -> str: ...

    @property
    def cluster_id(self) -> str:
        """With its epoch."""
        ...

    @property
    def is_blank(self) -> bool:
        """Whether nothing is in its folder that could be of the past."""
        ...

    def end(self, why: ending.MustEnd) -> None: ...

    def move_on(self, cluster_id: str) -> None: ...


class Neighbours(Meetings):
    """One node's; the links tell it."""

    def __init__(self, host: Host, heal: Journal, clock: Callable[[], float]) -> None:
        self._host = host
        self._heal = heal
        self._seldom = Seldom(clock)

    def superseded(self, peer: str, cluster_id: str) -> None:
        host = self._host
        if host.is_blank:
            host.move_on(cluster_id)
        else:
            host.end(ending.superseded(host.node_id, peer, host.cluster_id, cluster_id))

    def told_twin(self, peer: str, why: str) -> None:
        self._host.end(ending.twin(self._host.node_id, why))

    def met_twin(self, node: str, present: str, refused: str, address: str) -> None:
        if self._seldom.is_due("twin", node, refused):
            self._heal.note(
                rules.TWIN,
                f"two processes of {node}: boot {present} is here, boot {refused} came",
                "the one that came was refused, and told to end",
                node=node,
                present=present,
                refused=refused,
                address=address,
            )

    def met_stranger(self, who: str, why: str, address: str) -> None:
        if self._seldom.is_due("stranger", who, why):
            self._heal.note(rules.STRANGER, why, "its hello was refused", node=who, address=address)
