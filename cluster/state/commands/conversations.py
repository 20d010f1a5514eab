"""What happens to one conversation, from its opening to its end.  No I/O."""

from typing import Any, Literal

from cluster.state.commands.base import By, CommandBase


class OpenConversation(CommandBase, frozen=True, tag="cv.open"):
    cv: str
    by: By
    key: str
    channel: str = "web"
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    queue_hint: str = ""
    text: str = ""
    mid: str = ""
    """Id of the first message; used when `text` is given."""


class SetFields(CommandBase, frozen=True, tag="cv.fields"):
    """Set and unset some of a conversation's tags, or of its attributes."""

    cv: str
    by: By
    what: Literal["tags", "attrs"]
    set: dict[str, Any] = {}
    unset: tuple[str, ...] = ()


class CloseConversation(CommandBase, frozen=True, tag="cv.close"):
    cv: str
    by: By
    key: str
    reason: str = ""


class ReopenConversation(CommandBase, frozen=True, tag="cv.reopen"):
    """A closed one goes on: with its last agent, if they are here, else routed anew."""

    cv: str
    by: By
    key: str


class RateConversation(CommandBase, frozen=True, tag="cv.rate"):
    """What whoever opened it thinks of it: 1 to 5, and words."""

    cv: str
    by: By
    key: str
    score: int
    text: str = ""


class PurgeConversations(CommandBase, frozen=True, tag="cv.purge"):
    """Forget conversations closed longer ago than the retention; others named are left."""

    cvs: tuple[str, ...]
