"""How a part of the desk says which operations it serves.  No I/O."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from node.desk.frames import Encoding
from node.desk.lookup import Effect
from node.desk.views import Audience
from node.protocol.catalogue import Request

Handler = Callable[[Any, Any, Any], Effect]
"""Asker (a `Session` where the request needs a connection), principal, request."""
Handlers = Mapping[type[Request], Handler]


class Asker(Protocol):
    """The part of a session that an operation without a connection looks at."""

    @property
    def audience(self) -> Audience: ...
    @property
    def encoding(self) -> Encoding: ...
    @property
    def live(self) -> bool:
        """Whether anybody waits for the answer still."""
        ...
