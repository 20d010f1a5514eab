"""Which commands the cluster may use: those that every node understands.  No I/O.

    level   commands
    1       all but those of higher levels
    2       RaiseLevel, NoteHeal, DrainNode, DismissSession, AllowChaos, StartChaos, EndChaos

A release understands the commands up to its `LEVEL`.  Nodes tell each other theirs when they meet,
and the leader raises the cluster's to what all members understand; it never falls.  Until then a
newer node neither proposes nor applies a newer command, so nodes of two releases have the same
state, and either can go on with the other's log.

From then on earlier releases are refused, wherever they come in:

    a hello of one              by both sides (`cluster.peer.handshake`)
    its start on the folder     by the folder's format, which is the level (`wal.identity`)
    a snapshot, a `RaiseLevel`  by itself, as `Outgrown` (releases that know levels)
    taking a node over          by the process before it (`node.handover.messages`)

Source: the same is called cluster version in etcd and in CockroachDB.
"""

from typing import Any

import msgspec

from cluster.state.change import Change, No, no
from cluster.state.commands import (
    AllowChaos,
    Command,
    DismissSession,
    DrainNode,
    EndChaos,
    NoteHeal,
    RaiseLevel,
    StartChaos,
)
from cluster.state.outcome import Refused

LEVEL = 2
"""What this release understands."""
FIRST = 1
"""Of releases that say none."""

STANDBY = 2
"""Members may have this role: a value that earlier releases cannot read."""

_SINCE: dict[type[Any], int] = {
    NoteHeal: 2,
    DrainNode: 2,
    DismissSession: 2,
    AllowChaos: 2,
    StartChaos: 2,
    EndChaos: 2,
}
_FIELDS_SINCE: dict[type[Any], dict[str, int]] = {}
"""Fields that came to a command later, with their level: `{SendMessage: {"mood": 3}}`.  Where one
has its default, the command is what it was."""


class Outgrown(Exception):
    """The log goes on with commands that this release does not know: it must not apply it."""


def beyond(level: int) -> str:
    """Return in words that a cluster of `level` is not for this release, and the mend."""
    return (
        f"this cluster uses commands of level {level}, and this release knows those up to {LEVEL}:"
        " start the release that ran here before, or a later one; the data is untouched"
    )


def since(command: Command) -> int:
    """Return the level with which the command came, or what it says in later fields."""
    kind = type(command)
    level = _SINCE.get(kind, FIRST)
    if kind in _FIELDS_SINCE:
        plain = {one.name: one.default for one in msgspec.structs.fields(kind)}
        for name, came in _FIELDS_SINCE[kind].items():
            if getattr(command, name) != plain[name]:
                level = max(level, came)
    return level


def commands_since(level: int) -> tuple[str, ...]:
    """Return the names of the commands, and of fields, that came above `level`."""
    names = [_tag(kind) for kind, came in _SINCE.items() if came > level]
    for kind, fields in _FIELDS_SINCE.items():
        names += [f"{_tag(kind)} {name}" for name, came in fields.items() if came > level]
    return tuple(sorted(names))


def _tag(kind: type[Any]) -> str:
    return str(kind.__struct_config__.tag)


def refusal(command: Command, level: int) -> Refused | None:
    """Return what to say to a command that is not for a cluster of `level`, else None."""
    if since(command) <= level:
        return None
    return Refused(
        "conflict",
        f"this needs level {since(command)}, and the cluster has {level}: some node is of an"
        " earlier release; see `unidesk upgrade check`",
    )


def check(command: Command, level: int) -> None:
    """Refuse a command that is not for a cluster of `level`."""
    refused = refusal(command, level)
    if refused is not None:
        raise No(refused)


def raise_level(change: Change, command: RaiseLevel) -> dict[str, Any]:
    """Let the cluster have `command.level` from here on.

    Raises `Outgrown`: a node that went on would be wrong without knowing it.  No node proposes
    such a level while a member of this release is there, so this is an earlier release that was
    started on a folder of a later one.
    """
    state = change.state
    if command.level > LEVEL:
        raise Outgrown(beyond(command.level))
    if command.level <= state.level:
        no("conflict", f"the cluster has level {state.level}; asked for {command.level}")
    state.level = command.level
    return {"level": state.level}
