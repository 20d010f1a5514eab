"""Canned responses: written by supervisors and operators, found by agents.  No I/O."""

from node.protocol.requests.base import AGENT, OPERATOR, SUPERVISOR, Request


class CannedPut(Request, tag="canned.put"):
    """Write a canned response, or write it anew.

    Texts may hold `{{visitor.name}}`, `{{agent.name}}`, `{{queue}}`, `{{subject}}`, `{{channel}}`,
    `{{cv}}`, `{{tags.NAME}}` and `{{attrs.NAME}}`.
    """

    roles = SUPERVISOR | OPERATOR

    key: str
    shortcut: str
    """What an agent types for it; letters, digits, `-`, `_`, `.` and `/`."""
    title: str
    texts: dict[str, str]
    """By language: `en`, `zh` ..."""
    queues: list[str] = []
    """Whose conversations it is for; none named is all."""
    rev_expected: int | None = None
    """Refused unless the response is at this revision; 0: unless there is none."""


class CannedRemove(Request, tag="canned.remove"):
    """Take a canned response away."""

    roles = SUPERVISOR | OPERATOR

    key: str
    shortcut: str
    rev_expected: int | None = None


class CannedGet(Request, tag="canned.get"):
    """One canned response, as it was written."""

    roles = AGENT | SUPERVISOR | OPERATOR

    shortcut: str


class CannedList(Request, tag="canned.list"):
    """Canned responses as they were written, by shortcut: those behind `after`.

    At most `limit`, and about as much as a frame holds.
    """

    roles = AGENT | SUPERVISOR | OPERATOR

    after: str = ""
    limit: int = 200


class CannedFind(Request, tag="canned.find"):
    """The canned responses that fit what an agent types, the best first.

    First the shortcut that is `q`, then those that begin with it, then those whose title or text
    has its words, or in Chinese its characters; a third of them at least.  Nothing typed: all, by
    shortcut.  With `cv` those of its queue alone, filled in for it.
    """

    roles = AGENT | SUPERVISOR | OPERATOR

    q: str = ""
    lang: str = ""
    """Whose text is wanted; else the conversation's, else English, else any."""
    cv: str = ""
    queue: str = ""
    """Those of this queue alone, without `cv`."""
    limit: int = 20
