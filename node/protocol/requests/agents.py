"""An agent's own day: status, and what is offered.  No I/O."""

from typing import Literal

from node.protocol.requests.base import AGENT, OPERATOR, SUPERVISOR, Request

Status = Literal["online", "away", "busy", "offline", "transfer_only"]


class StatusSet(Request, tag="status.set"):
    """The agent's own status; a supervisor or an operator names whose."""

    roles = AGENT | SUPERVISOR | OPERATOR

    status: Status
    reason: str = ""
    until: int = 0
    """When they are again what they were before, milliseconds UTC; 0: when they say so."""
    agent: str = ""
    """Whose; empty for one's own."""


class OfferAccept(Request, tag="offer.accept"):
    """Take what is offered, or do what an invitation asks."""

    roles = AGENT

    oid: str
    key: str


class OfferDecline(Request, tag="offer.decline"):
    """Let somebody else have it; it waits with its original age.  Or decline an invitation."""

    roles = AGENT

    oid: str
    reason: str = ""


class CvTake(Request, tag="cv.take"):
    """Help yourself to what waits, out of turn.

    Refused: what is offered or assigned, or waits for another; what is beyond your capacity, or
    asks for skills that you do not have.
    """

    roles = AGENT

    cv: str
    key: str


class WrapDone(Request, tag="wrap.done"):
    """Nothing is left to do for a conversation that ended or went on: the next may be offered."""

    roles = AGENT

    cv: str
