"""What healing can have done at its own node: leadership, log, taking part.  No I/O."""

from cluster.raft.engine import Engine
from cluster.standing import Judge


class OwnHands:
    """See `cluster.heal.healing.Hands`."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self._engine = engine
        self._judge = judge

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
