"""What is asked of a conversation, and said in it.  No I/O."""

from typing import Any, Literal

import msgspec

from cluster.state.commands import Visibility
from node.protocol.requests.base import AGENT, SERVICE, SUPERVISOR, TALKERS, VISITOR, Request


class CvOpen(Request, tag="cv.open"):
    """Open a conversation."""

    roles = VISITOR | SERVICE

    key: str
    channel: str = "web"
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    hint: dict[str, str] = {}
    text: str = ""


class CvGet(Request, tag="cv.get"):
    """One conversation without its events.

    Visitors read what they opened, agents what they own, take part in or are offered, the others
    any; so for `cv.history` and `cv.sub`.
    """

    cv: str


class CvHistory(Request, tag="cv.history"):
    """Events after `after`, oldest first: at most `limit`, and about as much as a frame holds."""

    cv: str
    after: int = 0
    limit: int = 200


class CvSub(Request, tag="cv.sub"):
    """Follow a conversation: events from seq `from` on, that one included, and `caught`.

    Asking again begins anew.
    """

    needs_connection = True
    cv: str
    from_: int = msgspec.field(name="from", default=0)


class CvUnsub(Request, tag="cv.unsub"):
    """Hear no more of a conversation."""

    needs_connection = True
    cv: str


class MsgSend(Request, tag="msg.send"):
    """Say something.

    `after`: the last `seq` the sender has seen.  With a colleague's answer beyond it the message is
    refused as `stale`, with the events that were missed.
    """

    roles = TALKERS

    cv: str
    key: str
    body: Any
    type: Literal["text", "file", "card", "event"] = "text"
    reply_to: str = ""
    vis: Visibility = "all"
    fence: int | None = None
    after: int | None = None


class Ack(Request, tag="ack"):
    """Received up to `seq`, cumulative.  No reply."""

    needs_connection = True

    cv: str
    seq: int


class Read(Request, tag="read"):
    """Read up to `seq`, cumulative.  No reply."""

    needs_connection = True

    cv: str
    seq: int


class Typing(Request, tag="typing"):
    """Typing began or ended.  No reply, never stored."""

    needs_connection = True

    cv: str
    on: bool
    text: str = ""


class CvTransfer(Request, tag="cv.transfer"):
    """Let go of a conversation: to {agent}, {queue} or {rule}.

    `warm`: the owner keeps it until the colleague, or one of the queue, has accepted; with `keep`
    they stay as a member then.  {rule: ""} lets the rules decide anew, {rule: NAME} that one.
    """

    roles = AGENT | SUPERVISOR | SERVICE

    cv: str
    key: str
    to: dict[str, str]
    note: str = ""
    fence: int | None = None
    warm: bool = False
    keep: bool = False


class CvClose(Request, tag="cv.close"):
    """End a conversation."""

    roles = TALKERS

    cv: str
    key: str
    reason: str = ""
