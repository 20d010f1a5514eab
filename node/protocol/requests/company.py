"""Who else is asked into a conversation, and who looks after it.  No I/O."""

from cluster.state.commands import SupervisionMode
from node.protocol.requests.base import AGENT, SERVICE, SUPERVISOR, Request


class CvInvite(Request, tag="cv.invite"):
    """Ask another agent to take part; they hear of it as an `offer` that `asks` them to join.

    Who accepts is a member: follows, and speaks; the owner stays the one who is responsible.
    """

    roles = AGENT | SUPERVISOR | SERVICE

    cv: str
    agent: str
    note: str = ""
    """Shown with the invitation."""


class CvLeave(Request, tag="cv.leave"):
    """Take part no more.  A supervisor may name a member who is to leave."""

    roles = AGENT | SUPERVISOR

    cv: str
    agent: str = ""


class SupJoin(Request, tag="sup.join"):
    """Join a conversation, and follow it: for as long as this connection lasts.

    `monitor`: unseen.  `whisper`: what is said with `vis` agents reaches the agents as a whisper.
    `barge`: speaks to all, who are told.  Again, with another mode, changes it.
    """

    needs_connection = True
    roles = SUPERVISOR

    cv: str
    mode: SupervisionMode


class SupLeave(Request, tag="sup.leave"):
    """Leave a conversation that was joined."""

    roles = SUPERVISOR

    cv: str
