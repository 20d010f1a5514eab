"""A cluster that can be talked to in anybody's name.  No I/O."""

from typing import Any, Protocol

from node.client.status import Proof
from node.protocol.catalogue import Role


class Reached(Protocol):
    """`node.local.LocalCluster` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' ids."""
        ...

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect, in the order of `names`."""
        ...

    def url(self, name: str) -> str:
        """Return where clients of node `name` connect."""
        ...

    def mint(self, role: Role, subject: str, **claims: Any) -> str:
        """Return a token for this cluster."""
        ...

    def pass_for_pages(self) -> Proof:
        """Return what lets one read what its nodes say of themselves, and do nothing else."""
        ...
