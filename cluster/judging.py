"""What a node makes of what it heard, turn by turn: who leads, and its own standing.  No I/O.

frames of peers ──▶ Hearing ──for how long no leader, and who else──▶ Judge ──▶ the standing
the state       ──whether it knows this boot, and operators drained the node──▶    │
a read barrier  ◀──────────────────────────while it catches up─────────────────────┘
"""

from cluster.barriers import Barriers
from cluster.hearing import Hearing
from cluster.port import Unavailable
from cluster.raft.engine import Engine
from cluster.settings import ReplicaSettings
from cluster.standing import Judge
from cluster.state import levels
from cluster.state.state import State


class Judging:
    """One boot of a node."""

    def __init__(
        self,
        settings: ReplicaSettings,
        boot: str,
        *,
        engine: Engine,
        hearing: Hearing,
        barriers: Barriers,
    ) -> None:
        self._node = settings.node
        self._boot = boot
        self._engine = engine
        self._hearing = hearing
        self._barriers = barriers
        self.judge = Judge(settings.timing.election_max_s)
        self._catching_up = False
        self._announced = False
        self.replaced_by = ""
        """Boot of another process that took this one's place in the log; this one must end."""

    @property
    def leader(self) -> str | None:
        """Who leads, as far as that was heard lately; Raft itself remembers for ever."""
        engine = self._engine
        return engine.leader if self.judge.believes(engine.quorum_age_s()) else None

    @property
    def cut_off(self) -> Unavailable | None:
        """What to answer while nothing can be acknowledged here, else None."""
        if self.judge.standing in ("fenced", "failed"):
            return Unavailable("minority", self.judge.why)
        return None

    def look(self, state: State) -> None:
        """Judge anew, once a turn."""
        known = state.nodes.get(self._node)
        announced = known is not None and known.boot == self._boot
        members = self._engine.members
        self._hearing.turn(self._engine.quorum_age_s(), members.by_id)
        silence = self._hearing.silence(
            members.voters,
            abstains=self._engine.journal.abstains,
            all_tell=state.level > levels.FIRST,
        )
        self.judge.listen(silence)
        self.judge.look(
            led=self.leader is not None,
            silence=silence,
            announced=announced,
            drained=known is not None and known.drained_ms > 0,
        )
        if known is not None and self._announced and not announced:
            self.replaced_by = known.boot
        self._announced = self._announced or announced

    def catch_up(self) -> None:
        """Ask for a read barrier, where one is due."""
        waits = self.judge.standing == "catching_up" and not self.judge.caught_up
        if waits and self.leader and not self._catching_up:
            self._catching_up = self._barriers.add(self._on_caught_up)

    def _on_caught_up(self, result: Unavailable | None) -> None:
        self._catching_up = False
        if result is None:
            self.judge.note_caught_up()
