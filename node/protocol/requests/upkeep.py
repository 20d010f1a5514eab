"""What is corrected, sorted and taken up again in a conversation.  No I/O."""

from typing import Any

from node.protocol.requests.base import AGENT, SERVICE, SUPERVISOR, TALKERS, Request


class CvTag(Request, tag="cv.tag"):
    """Set and unset tags.  What they are already is no event."""

    roles = AGENT | SUPERVISOR | SERVICE

    cv: str
    set: dict[str, Any] = {}
    unset: list[str] = []


class CvAttr(Request, tag="cv.attr"):
    """Set and unset attributes: what is known of the conversation."""

    roles = AGENT | SUPERVISOR | SERVICE

    cv: str
    set: dict[str, Any] = {}
    unset: list[str] = []


class MsgEdit(Request, tag="msg.edit"):
    """Give one's own message another body; nothing of the old one is kept.  A supervisor: any."""

    roles = TALKERS

    cv: str
    mid: str
    key: str
    body: Any


class MsgDel(Request, tag="msg.del"):
    """Take one's own message back; only that there was one is kept.  A supervisor: any."""

    roles = TALKERS

    cv: str
    mid: str
    key: str


class CvReopen(Request, tag="cv.reopen"):
    """Let a closed conversation go on: with its last agent if here, else as the rules say.

    Whoever opened it, its last agent, supervisors and services; while it is kept.
    """

    roles = TALKERS

    cv: str
    key: str
