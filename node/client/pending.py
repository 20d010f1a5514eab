"""Requests that wait for an answer, over any number of connections.  No I/O.

made ──sent──▶ waiting ──ok───────────────────▶ result
        ▲         │  └───err, not to be retried──▶ RequestFailed
        └─────────┘
  connection lost, or err to be retried: again, with the same key
"""

from typing import Any

import msgspec
import trio

from node.client.failures import RequestFailed, Stopped
from node.protocol.catalogue import Err, Ok, Request

IN_FLIGHT_MAX = 48
"""Requests sent and not answered; a node takes 64 of a connection."""


class Pending:
    """One request and what became of it."""

    __slots__ = ("_refusals", "attempts", "done", "failure", "last_error", "request", "result")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.attempts = 0
        self._refusals = 0
        """Attempts of which a node said that they changed nothing."""
        self.done = trio.Event()
        self.result: dict[str, Any] | None = None
        self.failure: RequestFailed | Stopped | None = None
        self.last_error: Err | None = None
        """The last answer that asked for patience."""

    def numbered(self, number: int) -> Request:
        """Return the request as it goes out with this `id`."""
        self.attempts += 1
        return msgspec.structs.replace(self.request, id=number)

    def take(self, reply: Ok | Err) -> bool:
        """Take the answer; say whether that was the end of it."""
        if isinstance(reply, Ok):
            self.result = reply.r
        elif reply.retry:
            self.last_error = reply
            self._refusals += reply.code != "timeout"
            return False
        else:
            self.failure = RequestFailed(reply.code, reply.msg, reply.data)
        self.done.set()
        return True

    def fail(self, failure: RequestFailed | Stopped) -> None:
        """End it."""
        self.failure = failure
        self.done.set()

    def overdue(self, timeout_s: float, trouble: str) -> RequestFailed:
        """Return why there is no answer after `timeout_s`: `timeout` if it may have been done."""
        last = self.last_error
        if last is not None and self._refusals == self.attempts:
            return RequestFailed(last.code, f"{last.msg} (tried for {timeout_s:g} s)", last.data)
        why = last.msg if last is not None else trouble or "no node answered"
        return RequestFailed("timeout", f"no answer within {timeout_s:g} s: {why}")
