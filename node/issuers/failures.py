"""Why a token of a company's own issuer does not count, or not yet.  No I/O.

NotVouched       no, and it stays no
└─ Expired       it was good once
└─ UnknownKey    nobody can say now: ask again in a moment
   └─ Unasked    only the issuer can say: whoever can wait awaits `ask`
"""

from collections.abc import Awaitable, Callable
from typing import Any

Claims = dict[str, Any]
Ask = Callable[[], Awaitable[Claims]]


class NotVouched(Exception):
    """The token is not one of this issuer's that counts; the message says why."""


class Expired(NotVouched):
    """It was good once."""


class UnknownKey(NotVouched):
    """It may be good: its key is not known here yet, or its issuer does not answer."""


class Unasked(UnknownKey):
    """It may be good: `ask` returns its claims, or raises `NotVouched`."""

    def __init__(self, message: str, ask: Ask) -> None:
        super().__init__(message)
        self.ask = ask
