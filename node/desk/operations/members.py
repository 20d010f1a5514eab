"""Operators' questions and wishes about who takes part in the cluster.  Waits for the port alone.

    members.get      who takes part, who waits to be added
    members.change   one step of a person; what follows of itself: `cluster.raft.members`

Only the leader can change members: another node answers `not_leader` and says where it is.
"""

from collections.abc import Callable
from functools import partial

from cluster.peer.address import parse_address
from cluster.peer.frames import PeerRefused
from cluster.port import NotLeading
from cluster.raft.members import Members, MembersRefused, Role
from cluster.state.commands import AddAudit
from node.auth import Principal
from node.desk.audit_lines import write_down
from node.desk.context import Context
from node.desk.lookup import Answered, Later
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed
from node.protocol import catalogue as ops
from node.tables import NAME


class Membership:
    """Serves both operations."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def handlers(self) -> Handlers:
        return {ops.MembersGet: self._get, ops.MembersChange: self._change}

    def _get(self, asker: Asker, principal: Principal, request: ops.MembersGet) -> Answered:
        return self._members()

    def _members(self) -> Answered:
        """Return the members as this node knows them."""
        context = self._context
        members, status = context.port.members(), context.port.status()
        nodes = context.state.nodes
        rows = [
            {
                "id": name,
                "role": member.role,
                "address": member.address,
                "url": nodes[name].url if name in nodes else "",
                "leads": name == status.leader,
            }
            for name, member in members.by_id.items()
        ]
        waiting = [
            {"id": name, "address": at} for name, at in sorted(context.port.guests().items())
        ]
        return Answered({"members": rows, "waiting": waiting})

    def _change(self, asker: Asker, principal: Principal, request: ops.MembersChange) -> Later:
        """Begin a change; the reply comes when it is committed.  Raises `NotAllowed`."""
        check_node(request.node, "node")
        change = self._asked(request)
        detail = {"change": request.change, "member": request.node, "new": request.new}
        line = AddAudit(principal.by, "members.change", detail)
        return Later(partial(self._change_members, change, line))

    async def _change_members(
        self, change: Callable[[Members], Members], line: AddAudit
    ) -> Answered:
        context = self._context
        try:
            unavailable = await context.port.change_members(change)
        except NotLeading as error:
            raise NotAllowed("not_leader", f"{error}: ask there") from None
        except MembersRefused as refused:
            raise NotAllowed("conflict", str(refused)) from None
        if unavailable is not None:
            raise NotAllowed(unavailable.code, unavailable.message)
        write_down(context.port, line)
        return self._members()

    def _asked(self, request: ops.MembersChange) -> Callable[[Members], Members]:
        node = request.node
        match request.change:
            case "add" | "add_learner" | "add_standby":
                address = self._address(node, request.address)
                role = _ROLES[request.change]
                return lambda members: members.add(node, address, role=role)
            case "promote":
                return lambda members: members.promote(node)
            case "remove":
                return lambda members: members.remove(node)
            case "keep":
                return lambda members: members.keep(node)
            case "replace":
                new = request.new
                check_node(new, "new")
                address = self._address(new, request.address)
                return lambda members: members.replace(node, new, address)

    def _address(self, node: str, given: str) -> str:
        """Return where the others will reach `node`: as given, or as it says itself."""
        port = self._context.port
        address = given or port.guests().get(node, "")
        if node in port.members().by_id:
            return ""  # to be refused as a member, and not for want of an address
        if not address:
            raise NotAllowed(
                "conflict",
                f"{node} has not called: start it with the addresses of this cluster in [nodes],"
                " or give its address",
            )
        try:
            parse_address(address)
        except PeerRefused as error:
            raise NotAllowed("bad_request", f"address: {error}") from None
        return address


_ROLES: dict[str, Role] = {
    "add": "joining",
    "add_learner": "learner",
    "add_standby": "standby",
}


def check_node(node: str, field: str) -> None:
    """Refuse what no `node.toml` could have as its node's id.  Raises `NotAllowed`."""
    if not NAME.fullmatch(node):
        raise NotAllowed("bad_request", f"{field}: {node[:64]!r} is no node's id")
