"""What happens between nodes beside frames: whom a handshake met.  No I/O.

Links tell it and decide nothing; whoever decides makes a class of this and overrides what it wants
to hear.
"""


class Meetings:
    """Ignores everything."""

    def superseded(self, peer: str, cluster_id: str) -> None:
        """`peer` proved that the cluster went on without this node, as `cluster_id`."""

    def told_twin(self, peer: str, why: str) -> None:
        """`peer` hears another process of this node's id, and refuses this one."""

    def met_twin(self, node: str, present: str, refused: str, address: str) -> None:
        """Two processes of `node` live: boot `present` was here, boot `refused` came."""

    def met_stranger(self, who: str, why: str, address: str) -> None:
        """A node that says to be `who` is of another cluster, or of a release too far away."""
