"""What the benchmarks propose: one command that works, one that is nearly free.  No I/O.

message   a visitor's message of 100 bytes to a conversation: keys, checks, an event
cheap     a command of 100 bytes that is refused after one look-up: what consensus costs
"""

import secrets
from typing import Literal

from cluster.state.commands import By, Command, ExpireOffer, OpenConversation, SendMessage

Kind = Literal["message", "cheap"]

BY = By("visitor", "bench")
BODY_BYTES = 100
_CHEAP = ExpireOffer("x" * BODY_BYTES)


def opening(cv: str) -> Command:
    """Return the command that opens a conversation to write to."""
    return OpenConversation(cv, BY, secrets.token_hex(8))


def opening_with_text(number: int, run: str) -> Command:
    """Return the command that opens the conversation `number` of a `run`, with a first message."""
    cv = f"{run}{number:018d}"
    return OpenConversation(cv, BY, cv, text="x" * BODY_BYTES, mid=f"m{cv}")


class Maker:
    """Makes commands that no other maker made."""

    def __init__(self, kind: Kind, *, body_bytes: int = BODY_BYTES) -> None:
        self._kind = kind
        self._run = secrets.token_hex(4)
        self._body = "x" * body_bytes
        self._number = 0

    def make(self, cv: str) -> Command:
        """Return the next command; a message goes to conversation `cv`."""
        if self._kind == "cheap":
            return _CHEAP
        self._number += 1
        name = f"{self._run}{self._number:018d}"
        return SendMessage(cv, name, BY, name, "text", self._body)
