"""Who else is in a conversation, beside its visitor and its owner.  No I/O.

    Invitation   an agent is asked in, or asked to take over: pending ──▶ accepted, declined,
                 timeout, withdrawn, lost, closed; then it is forgotten but for its event
    Member       an agent who accepted: follows and speaks; owns nothing, counts against nothing
    Overseer     a supervisor who joined, for as long as the session lasts from which they did

A warm transfer is an invitation that `takes`.  One to a queue has no agent until the leader chooses
one, and asks the next when that one declines.

Times are integer milliseconds of cluster time.
"""

import msgspec

from cluster.state.commands import By, SupervisionMode


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An agent who takes part."""

    agent: str
    name: str
    since_ms: int


class Overseer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A supervisor who joined."""

    id: str
    name: str
    mode: SupervisionMode
    sid: str
    """The session from which they did; it ends with that."""
    node: str
    boot: str
    since_ms: int


class Invitation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pending invitation."""

    iid: str
    cv: str
    by: By
    made_ms: int
    deadline_ms: int
    """When it ends; of a warm transfer to a queue, when the one who is asked has let it lapse, or
    when nobody was found."""
    agent: str = ""
    """Who is asked now."""
    takes: bool = False
    """Whether who accepts becomes the owner: a warm transfer."""
    keep: bool = False
    """Whether the owner then stays as a member."""
    queue: str = ""
    """A warm transfer's, to whoever of it."""
    skills: dict[str, int] = {}
    """What that queue asks of agents."""
    until_ms: int = 0
    """How long somebody of the queue is looked for."""
    passed: tuple[str, ...] = ()
    """Who of the queue declined, or let it lapse."""
    note: str = ""
