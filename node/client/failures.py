"""How a client's wishes fail.  No I/O.

Stopped         41xx: nothing will go on until somebody acts (a new token, a new client)
RequestFailed   one request was refused, or not answered before its deadline
Lost            one connection is over; the client goes on at another node by itself
"""

import os
import socket
import ssl
from typing import Any

from node.protocol.codes import Close

_TLS_WORDS = {
    "WRONG_VERSION_NUMBER": "the other end speaks none; if it is a node without it, write ws://"
}
"""What OpenSSL calls reasons that are the caller's to mend."""
_NAMES = {int(close): close.name.lower() for close in Close}


class Stopped(Exception):
    """The cluster sent this client away for good."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        """A close code of 41xx."""
        self.reason = reason
        self.name = _NAMES.get(code, str(code))
        super().__init__(f"{self.name}: {reason}" if reason else self.name)


class RequestFailed(Exception):
    """A request has no result; nothing more will be tried."""

    def __init__(self, code: str, message: str, data: dict[str, Any] | None = None) -> None:
        self.code = code
        """A code of `unidesk.v1`; `timeout` also when no node could be reached in time."""
        self.message = message
        self.data = data or {}
        super().__init__(f"{code}: {message}")


class Lost(Exception):
    """The connection is over, or was never made."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        self.reason = reason
        self.code = code
        """The close code, when the server said one."""
        super().__init__(reason)


def plainly(error: BaseException) -> str:
    """Return what went wrong without the names of Python's classes."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None and len(causes) < 8:
        causes.append(causes[-1].__cause__)
    for cause in reversed(causes):
        if isinstance(cause, BaseExceptionGroup) and cause.exceptions:
            return plainly(cause.exceptions[0])
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", "") or getattr(cause, "reason", "")
            return f"TLS: {_TLS_WORDS.get(said, said) or cause}"
        if isinstance(cause, socket.gaierror):  # whose numbers are no errno
            return (cause.strerror or "the name cannot be looked up").lower()
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return str(error) or type(error).__name__
