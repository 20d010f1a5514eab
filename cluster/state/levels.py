"""Which commands the cluster may use: those that every node understands.  No I/O.

    level   commands
    1       all but those of higher levels
    2       RaiseLevel, NoteHeal, DrainNode, DismissSession, AddAudit of `leader.transfer`

A release understands the commands up to its `LEVEL`.  Nodes tell each other theirs when they meet,
and the leader raises the cluster's to what all members understand; it never falls.  Until then a
newer node neither proposes nor applies a newer command, so nodes of two releases have the same
state, and either can go on with the other's log.

Source: the same is called cluster version in etcd and in CockroachDB.
"""

from typing import Any

from cluster.state.change import Change, No, no
from cluster.state.commands import (
    AddAudit,
    Command,
    DismissSession,
    DrainNode,
    NoteHeal,
    RaiseLevel,
)
from cluster.state.outcome import Refused

LEVEL = 2
"""What this release understands."""
FIRST = 1
"""Of releases that say none."""

_SINCE: dict[type[Any], int] = {NoteHeal: 2, DrainNode: 2, DismissSession: 2}

_AUDITED_SINCE = {"leader.transfer": 2}
"""`AddAudit` of these."""


def since(command: Command) -> int:
    """Return the level with which the command came."""
    if isinstance(command, AddAudit):
        return _AUDITED_SINCE.get(command.what, FIRST)
    return _SINCE.get(type(command), FIRST)


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
    """Let the cluster have `command.level` from here on."""
    state = change.state
    if not state.level < command.level <= LEVEL:
        no("conflict", f"the cluster has level {state.level}; asked for {command.level}")
    state.level = command.level
    return {"level": state.level}
