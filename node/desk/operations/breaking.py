"""Operators' wishes to break something on purpose: to the log, once all who are in it agree.
No I/O: waits for the port.

    zone "dc2"       its nodes against all others
    a group alone    against all others, where it is about links

Everybody between whom links are cut must have chaos on, also those who seem to be out of it: a
node of which nobody knows the zone may be of that zone.
"""

from functools import partial

import msgspec

from cluster.ids import is_ulid
from cluster.state import chaos, commands
from cluster.state.model import Consent, Fault
from node.auth import Principal
from node.desk.context import Context
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_key
from node.protocol import catalogue as ops
from node.protocol.chaos_results import FaultView
from node.tables import NAME

GROUPS_MAX = 9
FAULTS_NAMED_MAX = 64


class Breaking:
    """Serves the operations of chaos."""

    def __init__(self, context: Context, lookup: Lookup) -> None:
        self._context = context
        self._lookup = lookup

    def handlers(self) -> Handlers:
        return {
            ops.ChaosStart: self._start,
            ops.ChaosStop: self._stop,
            ops.ChaosStatus: self._status,
        }

    def _start(self, asker: Asker, principal: Principal, request: ops.ChaosStart) -> Effect:
        check_key(request.key)
        groups = _parsed(request.groups)
        names = [name for group in groups for name in group]
        for name in [*names, request.zone] if request.zone else names:
            if not NAME.fullmatch(name):
                raise NotAllowed("bad_request", f"{name[:64]!r} is no id of a node, or of a zone")
        if len(groups) > GROUPS_MAX:
            raise NotAllowed("bad_request", f"groups: over {GROUPS_MAX}")
        return Later(partial(self._begin, principal, request))

    async def _begin(self, principal: Principal, request: ops.ChaosStart) -> commands.StartChaos:
        await self._lookup.barrier()
        return commands.StartChaos(
            by=principal.by,
            key=request.key,
            fault=self._context.ids.new(),
            kind=request.kind,
            groups=self._groups(request),
            for_ms=request.for_ms,
            amount=request.amount,
            jitter_ms=request.jitter_ms,
            clients=request.clients,
            zone=request.zone,
        )

    def _groups(self, request: ops.ChaosStart) -> tuple[tuple[str, ...], ...]:
        """Return who is against whom.  Raises `NotAllowed`."""
        groups = _parsed(request.groups)
        if request.zone:
            if groups:
                raise NotAllowed("bad_request", "zone: either a zone or groups")
            groups = (self._nodes_of(request.zone),)
        if request.kind not in chaos.APART:
            return groups
        members = sorted(self._context.port.members().by_id)
        self._check_enabled(members)
        if len(groups) == 1:
            rest = tuple(name for name in members if name not in groups[0])
            if not rest:
                raise NotAllowed("bad_request", "groups: nobody is left on the other side")
            groups = (*groups, rest)
        return groups

    def _nodes_of(self, zone: str) -> tuple[str, ...]:
        consents = self._consents()
        found = tuple(sorted(name for name, one in consents.items() if one.zone == zone))
        if not found:
            zones = ", ".join(sorted({one.zone for one in consents.values() if one.zone}))
            raise NotAllowed(
                "not_found",
                f"no node with chaos on is in zone {zone}; there is {zones or 'none'}:"
                " [node] zone and [chaos] enabled in node.toml",
            )
        return found

    def _consents(self) -> dict[str, Consent]:
        """Return who may be broken as they run now."""
        state = self._context.state
        return {
            name: one
            for name, one in state.consents.items()
            if name in state.nodes and state.nodes[name].boot == one.boot
        }

    def _check_enabled(self, members: list[str]) -> None:
        off = [name for name in members if name not in self._consents()]
        if off:
            raise NotAllowed(
                "forbidden",
                f"chaos is off at {', '.join(off)}: [chaos] enabled in its node.toml, or start it",
                "chaos",
            )

    def _stop(self, asker: Asker, principal: Principal, request: ops.ChaosStop) -> Effect:
        if len(request.faults) > FAULTS_NAMED_MAX:
            raise NotAllowed("bad_request", f"faults: over {FAULTS_NAMED_MAX}")
        for fault in request.faults:
            if not is_ulid(fault):
                raise NotAllowed("not_found", f"no fault {fault[:32]!r}: see chaos.status")
        return commands.EndChaos(principal.by, tuple(request.faults))

    def _status(self, asker: Asker, principal: Principal, request: ops.ChaosStatus) -> Effect:
        return Later(self._look)

    async def _look(self) -> Answered:
        await self._lookup.barrier()
        context, consents = self._context, self._consents()
        nodes = [
            {
                "node": name,
                "zone": consents[name].zone if name in consents else "",
                "enabled": name in consents,
            }
            for name in sorted(context.port.members().by_id)
        ]
        faults = [_view(one) for one in context.state.faults.values()]
        return Answered({"nodes": nodes, "faults": faults, "now": context.now_ms()})


def _parsed(groups: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name.strip() for name in group.split(",")) for group in groups)


def _view(fault: Fault) -> dict[str, object]:
    view = FaultView(
        fault=fault.fault,
        kind=fault.kind,
        groups=[",".join(group) for group in fault.groups],
        by=fault.by,
        since=fault.started_ms,
        until=fault.started_ms + fault.for_ms,
        amount=fault.amount,
        jitter_ms=fault.jitter_ms,
        clients=fault.clients,
        zone=fault.zone,
    )
    found: dict[str, object] = msgspec.to_builtins(view)
    return found
