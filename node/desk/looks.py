"""Who looked into conversations that they have no part in, for the audit log.  Talks to the port.

    supervisor, operator    reads, or follows, a conversation    one line an hour for each
                            searches all for words               the same
    agent, visitor          reads their own                      none
    service                 reads any: that is what it is for    none

The line is not waited for: a look is answered at once, and noted within the moment.
"""

from collections.abc import Callable

from cluster.port import Port
from cluster.state.commands import AddAudit
from node.auth import Principal
from node.desk.audit_lines import write_down

OVERSEERS = frozenset({"supervisor", "operator"})
AGAIN_S = 3600.0
LOOKS_MAX = 10_000
"""Beyond them the oldest is noted once more when it is repeated."""


class Looks:
    """Notes looks at this node.  Seconds are those of `clock`."""

    def __init__(self, port: Port, clock: Callable[[], float]) -> None:
        self._port = port
        self._clock = clock
        self._noted: dict[tuple[str, ...], float] = {}

    def note(self, principal: Principal, cv: str) -> None:
        """Note that `principal` looks into `cv`, unless that was noted lately."""
        self._note(principal, "conversation.read", {"cv": cv})

    def note_search(self, principal: Principal, query: str) -> None:
        """Note that `principal` searches what others said, unless that was noted lately."""
        self._note(principal, "conversation.search", {"q": query})

    def _note(self, principal: Principal, what: str, detail: dict[str, str]) -> None:
        if principal.role not in OVERSEERS:
            return
        look = (principal.role, principal.id, what, *detail.values())
        now_s = self._clock()
        if now_s < self._noted.get(look, -AGAIN_S) + AGAIN_S:
            return
        self._noted.pop(look, None)
        self._noted[look] = now_s
        if len(self._noted) > LOOKS_MAX:
            del self._noted[next(iter(self._noted))]
        write_down(self._port, AddAudit(principal.by, what, detail))
