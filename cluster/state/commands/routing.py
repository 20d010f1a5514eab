"""Where a conversation waits and whom it is offered to.  No I/O."""

from cluster.state.commands.base import By, CommandBase
from cluster.state.route import Choice, Route


class RouteConversation(CommandBase, frozen=True, tag="cv.route"):
    """The router's decision; refused when the conversation is offered or assigned."""

    cv: str
    route: Route
    step: int = 0
    """With which of its steps it begins."""
    skipped: tuple[tuple[int, str], ...] = ()
    """Steps before it, and why each was skipped."""
    erred: tuple[str, ...] = ()
    """Rules that could not be told, for the record (`cluster.state.routings`)."""
    shadows: tuple[tuple[str, str], ...] = ()
    """(rule, queue) of shadow rules that would have matched, for the record."""


class AdvanceStep(CommandBase, frozen=True, tag="cv.advance"):
    """The step is over: on to step `to`; re-checked against the step's deadline."""

    cv: str
    step: int
    """Where it was when that was seen."""
    to: int
    skipped: tuple[tuple[int, str], ...] = ()
    """Steps between the two, and why each was skipped."""


class OverflowConversation(CommandBase, frozen=True, tag="cv.overflow"):
    """Nobody took it in time, or too many wait: what its route says happens, once a wait."""

    cv: str


class QueueAlert(CommandBase, frozen=True, tag="queue.alert"):
    """Nobody is there for a queue in its hours; re-checked but for the hours."""

    queue: str


class SlaDue(CommandBase, frozen=True, tag="sla.due"):
    """A clock of the conversation reached its warning, or its deadline; re-checked."""

    cv: str


class MakeOffer(CommandBase, frozen=True, tag="offer.make"):
    """The dispatcher's choice; every condition of it is checked again when applied."""

    oid: str
    cv: str
    agent: str
    ttl_ms: int
    choice: Choice | None = None
    """Why this agent."""


class AcceptOffer(CommandBase, frozen=True, tag="offer.accept"):
    oid: str
    by: By
    key: str


class DeclineOffer(CommandBase, frozen=True, tag="offer.decline"):
    oid: str
    by: By
    reason: str = ""


class ExpireOffer(CommandBase, frozen=True, tag="offer.expire"):
    oid: str


class TakeConversation(CommandBase, frozen=True, tag="cv.take"):
    """An agent helps themselves to what waits."""

    cv: str
    by: By
    key: str
