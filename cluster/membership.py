"""Who takes part, as far as this node's links follow it.  No I/O.

    Raft's members ──▶ where each one is ──▶ the links, to these and to nobody else

Who takes part is Raft's to say (`cluster.raft.members`), committed or not.
"""

from contextlib import suppress

import structlog

from cluster.peer.address import Address, parse_address
from cluster.peer.frames import PeerRefused
from cluster.raft.engine import Engine
from cluster.settings import ReplicaSettings
from cluster.world import Peers

log = structlog.get_logger()


class Membership:
    """Begins with the members that Raft knows at the start; `follow` them every turn."""

    def __init__(self, settings: ReplicaSettings, engine: Engine, peers: Peers) -> None:
        self._settings = settings
        self._engine = engine
        self._peers = peers
        self._members = engine.members

    def others(self) -> list[str]:
        """Return all members but this node."""
        return self._members.others(self._settings.node)

    def addresses(self) -> dict[str, Address]:
        """Return where the other members are; what this node was told itself goes first."""
        addresses: dict[str, Address] = {}
        for name in self.others():
            told, said = self._settings.peers.get(name), self._members.by_id[name].address
            if told is not None:
                addresses[name] = told
            elif said:
                with suppress(PeerRefused):  # no such port: nobody is there
                    addresses[name] = parse_address(said)
        return addresses

    def follow(self) -> None:
        """Link up with who takes part, and with nobody else."""
        if self._engine.members is self._members:
            return
        self._members = self._engine.members
        roles = {name: member.role for name, member in self._members.by_id.items()}
        log.info("members", roles=roles)
        self._peers.set_peers(self.addresses())
