"""Agents' sessions, statuses and wrap-ups.  No I/O."""

from typing import Literal

from cluster.state.commands.base import By, CommandBase, PrincipalKind


class OpenSession(CommandBase, frozen=True, tag="session.open"):
    """An agent's socket said hello at `node`; opening a known `sid` again moves it there."""

    sid: str
    by: By
    node: str
    boot: str
    skills: dict[str, int] = {}
    capacity: int = 1
    langs: tuple[str, ...] = ()
    seen: tuple[str, str, int] | None = None
    """Node, boot and `since_ms` of the session where the proposer saw it, when there was one: an
    opening that comes late must not take it from where it went since."""


class LoseSession(CommandBase, frozen=True, tag="session.lose"):
    """The socket broke: the grace period starts.  Refused unless it is still at `node`, `boot`."""

    sid: str
    node: str
    boot: str


class CloseSession(CommandBase, frozen=True, tag="session.close"):
    """The agent logged out: no grace.  Refused unless it is still at `node`, `boot`, if given."""

    sid: str
    node: str = ""
    boot: str = ""


class ExpireSession(CommandBase, frozen=True, tag="session.expire"):
    """The grace period of a lost session is over; re-checked against its deadline."""

    sid: str


class DismissSession(CommandBase, frozen=True, tag="session.dismiss"):
    """Send a client away: to another node, or, with `stop`, for good.

    `sid` names a session of an agent; without it all connections of principal `kind`, `id`.
    """

    by: By
    sid: str = ""
    kind: PrincipalKind | None = None
    id: str = ""
    stop: bool = False
    to: str = ""
    """The node where it should go; empty for any."""


class IdleSession(CommandBase, frozen=True, tag="session.idle"):
    """An agent did nothing on this device for long, or does something again.

    Without a `sid`: did something that came by no session of theirs.
    """

    agent: str
    idle: bool
    sid: str = ""
    node: str = ""
    boot: str = ""


class SetStatus(CommandBase, frozen=True, tag="status.set"):
    by: By
    agent: str
    status: Literal["online", "away", "busy", "offline", "transfer_only"]
    reason: str = ""
    until_ms: int = 0
    """When the agent is again what they were before; 0: they say so themselves."""


class EndStatus(CommandBase, frozen=True, tag="status.end"):
    """A status was set until a time that has come; re-checked against it."""

    agent: str


class FinishWrapUp(CommandBase, frozen=True, tag="wrap.done"):
    """The agent is done with what was left to do for a conversation."""

    by: By
    cv: str


class EndWrapUp(CommandBase, frozen=True, tag="wrap.end"):
    """The time for a wrap-up has passed; re-checked against its deadline."""

    agent: str
    cv: str
