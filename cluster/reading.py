"""What is in an entry of the log, in words that people and `jq` read.  No I/O; nothing secret.

    entry's first byte   becomes
    COMMAND              {kind: commands, now_ms, commands: [{op, node, boot, number, …}, …]}
    MEMBERS              {kind: members, members: {id: {role, address}}, perhaps stood_in_ms}
    NO_OP                {kind: no_op}: a new leader's first

Secrets stay where they are: hashes of passwords and of services' secrets read `(redacted)`.
"""

from typing import Any

import msgspec

from cluster.raft.members import Members
from cluster.raft.messages import COMMAND, MEMBERS, NO_OP
from cluster.state import commands
from cluster.state.entry import decode_entry

REDACTED = "(redacted)"
SECRETS = frozenset({"secret", "secrets", "token", "password", "key_secret"})
"""Fields of commands that nobody but the cluster may read."""


def read_entry(payload: bytes) -> dict[str, Any]:
    """Return what one entry of the log says; of what is none of ours, that it is `unknown`."""
    kind, rest = payload[:1], payload[1:]
    if kind == COMMAND:
        return _read_commands(rest)
    if kind == MEMBERS:
        try:
            members = Members.decode(rest)
        except (ValueError, msgspec.MsgspecError) as error:
            return {"kind": "unknown", "why": str(error)}
        by_id = {
            name: {"role": one.role, "address": one.address} for name, one in members.by_id.items()
        }
        stood_in = {"stood_in_ms": members.stood_in_ms} if members.stood_in_ms else {}
        return {"kind": "members", "members": by_id, **stood_in}
    if payload == NO_OP:
        return {"kind": "no_op"}
    return {"kind": "unknown", "why": f"of type {kind.hex() or 'none'}, {len(payload)} bytes"}


def _read_commands(data: bytes) -> dict[str, Any]:
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return {"kind": "unknown", "why": str(error)}
    found = [
        {"node": batch.node, "boot": batch.boot, "number": proposal.number}
        | read_command(bytes(proposal.command))
        for batch in entry.batches
        for proposal in batch.proposals
    ]
    return {"kind": "commands", "now_ms": entry.now_ms, "commands": found}


def read_command(data: bytes) -> dict[str, Any]:
    """Return a command's operation and fields, without secrets."""
    try:
        command = commands.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return {"op": "unknown", "why": f"of a later release, or none: {error}"}
    fields = {
        name: REDACTED if name in SECRETS and value else _plain(value)
        for name, value in msgspec.structs.asdict(command).items()
    }
    return {"op": str(type(command).__struct_config__.tag), "fields": fields}


def _plain(value: Any) -> Any:
    """Return `value` as JSON has it; structs by their fields' names."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(one) for name, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return value
