"""What healing can have done at its own node: leadership, log, taking part.  No I/O."""

from collections.abc import Callable

from cluster.raft.engine import Engine
from cluster.raft.members import MembersRefused
from cluster.standing import Judge


class OwnHands:
    """See `cluster.heal.healing.Hands`."""

    def __init__(self, engine: Engine, judge: Judge, cluster_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._cluster_ms = cluster_ms
        self._judge = judge
        self.rebuilding = ""
        """Why this process must end and begin anew with nothing; empty: it need not."""

    def transfer_leadership(self, target: str) -> bool:
        return self._engine.transfer_leadership(target)

    def compact(self) -> bool:
        return self._engine.compact()

    def shut(self, why: str) -> bool:
        """Hear and write nothing: a leader is not answered, and steps down."""
        self._judge.held = why
        return True

    def reopen(self) -> bool:
        self._judge.held = ""
        return True

    def stand_in(self, old: str, standby: str) -> bool:
        try:
            members = self._engine.members.stand_in(old, standby, self._cluster_ms())
            self._engine.propose_members(members)
        except MembersRefused:
            return False
        return True

    def rebuild(self, why: str) -> bool:
        """Whoever drives the node sees it, and lets it begin anew."""
        self.rebuilding = why
        return True
