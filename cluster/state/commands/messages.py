"""What is said in a conversation, and corrected later.  No I/O."""

from typing import Any, Literal

from cluster.state.commands.base import By, CommandBase

Visibility = Literal["all", "agents"]


class SendMessage(CommandBase, frozen=True, tag="msg.send"):
    cv: str
    mid: str
    by: By
    key: str
    type: Literal["text", "file", "card", "event"]
    body: Any
    visibility: Visibility = "all"
    reply_to: str = ""
    fence: int | None = None
    after: int | None = None


class EditMessage(CommandBase, frozen=True, tag="msg.edit"):
    cv: str
    mid: str
    by: By
    key: str
    body: Any


class DeleteMessage(CommandBase, frozen=True, tag="msg.del"):
    cv: str
    mid: str
    by: By
    key: str
