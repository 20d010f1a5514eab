"""Who else takes part: colleagues, and supervisors.  No I/O."""

from typing import Literal

from cluster.state.commands.base import By, CommandBase

SupervisionMode = Literal["monitor", "whisper", "barge"]


class TransferConversation(CommandBase, frozen=True, tag="cv.transfer"):
    """Cold transfer: the owner lets go, the conversation waits with its original age.

    Another queue asks for its own skills; an agent who is named needs none.  A warm one: the owner
    keeps it until a colleague has accepted.
    """

    cv: str
    by: By
    key: str
    to_agent: str = ""
    to_queue: str = ""
    note: str = ""
    fence: int | None = None
    to_rule: str | None = None
    """Routed anew: by the rule of this name, or by all when empty."""
    warm: bool = False
    keep: bool = False
    """Warm: whoever hands it over stays as a member."""
    iid: str = ""
    """Id of the invitation that a warm transfer is."""


class InviteAgent(CommandBase, frozen=True, tag="cv.invite"):
    """Ask another agent to take part; they have `ttl_ms` to accept, as with an offer."""

    cv: str
    by: By
    agent: str
    iid: str
    ttl_ms: int
    note: str = ""


class AskColleague(CommandBase, frozen=True, tag="cv.ask"):
    """The leader's choice whom of a queue a warm transfer is offered to."""

    iid: str
    agent: str
    ttl_ms: int


class LeaveConversation(CommandBase, frozen=True, tag="cv.leave"):
    """Take part no more; a supervisor may name another member."""

    cv: str
    by: By
    agent: str = ""


class JoinConversation(CommandBase, frozen=True, tag="sup.join"):
    """A supervisor listens, whispers or speaks, for as long as their session `sid` lasts."""

    cv: str
    by: By
    mode: SupervisionMode
    sid: str
    node: str
    boot: str


class EndSupervision(CommandBase, frozen=True, tag="sup.leave"):
    """A supervisor leaves.

    The node says so for them, as the system, when the session is over from which they joined: also
    of somebody whose account is disabled, whose own commands count no more.
    """

    cv: str
    by: By
    supervisor: str = ""
    sid: str = ""
    """Only if they joined from that session."""
