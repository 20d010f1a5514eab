"""What is asked of a replica and takes turns to come true.  Waits; never for ever.

barrier                all that was acknowledged before is applied here
change_members         the change is committed
hand_over              another node leads: the one that was named, or the best; or why not
hand_over_leadership   another node leads, or not in time: before this process goes
"""

from collections.abc import Callable

import trio

from cluster.handing_over import begin
from cluster.heal.candidates import reason_against
from cluster.participant import Participant
from cluster.port import HandOverRefused, NotLeading, Unavailable
from cluster.raft.members import Members

BARRIER_S = 3.0
MEMBERS_POLL_S = 0.02
LEADERSHIP_POLL_S = 0.005
LEVEL_S = 1.0
"""How long a hand-over waits for somebody to be level; under load that is a matter of moments."""


class Asking:
    """`wake` lets the participant take its next turn soon."""

    def __init__(
        self, part: Participant, wake: Callable[[], None], *, election_min_s: float
    ) -> None:
        self._part = part
        self._wake = wake
        self._election_min_s = election_min_s

    @property
    def _leads(self) -> bool:
        return self._part.engine.is_leader

    async def barrier(self) -> Unavailable | None:
        """See `Port.barrier`."""
        done = trio.Event()
        results: list[Unavailable | None] = []

        def on_passed(result: Unavailable | None) -> None:
            results.append(result)
            done.set()

        self._part.add_barrier(on_passed)
        self._wake()
        with trio.move_on_after(BARRIER_S):
            await done.wait()
            return results[0]
        return Unavailable("timeout", "no quorum confirmed a read in time")

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """See `Port.change_members`."""
        engine = self._part.engine
        term, index = self._part.propose_members(change)
        self._wake()
        with trio.move_on_after(BARRIER_S):
            while engine.term == term:
                if self._part.applying.applied_index >= index:
                    return None
                await trio.sleep(MEMBERS_POLL_S)
        return Unavailable("timeout", "it may still happen; look at the members again")

    async def hand_over(self, to: str) -> str | Unavailable:
        """See `Port.hand_over`."""
        part = self._part
        if not self._leads:
            raise NotLeading(part.leader or "")
        self._check_hand_over(to)
        begun, leader = await self._give_away(to, BARRIER_S, on_nobody=self._refuse_hand_over)
        if leader:
            return leader
        if part.engine.is_leader:
            raise HandOverRefused(f"{to or begun} did not take over in time; {part.node} leads on")
        return Unavailable("no_leader", "this node leads no more, and hears of nobody who does")

    async def hand_over_leadership(self, s_max: float) -> bool:
        """Return whether another node leads, after `s_max` at most; begin that if need be.

        This process is about to go: when nobody else is level for `LEVEL_S`, a drained node is
        better than none.
        """
        if self._part.engine.members.voters == (self._part.node,):
            return False
        _, leader = await self._give_away("", s_max, drained_too=True)
        return bool(leader)

    async def _give_away(
        self,
        to: str,
        s_max: float,
        *,
        drained_too: bool = False,
        on_nobody: Callable[[str], None] = lambda to: None,
    ) -> tuple[str, str]:
        """Return to whom it was begun to hand over last, and who leads instead of this node.

        `on_nobody` is called, and may raise, while nobody has been level for `LEVEL_S`.
        """
        part, engine = self._part, self._part.engine
        term = engine.term if self._leads else -1
        begun, again_s, level_by_s = "", 0.0, trio.current_time() + LEVEL_S
        with trio.move_on_after(s_max):
            while True:
                now_s = trio.current_time()
                if not self._leads and part.leader is not None and engine.term > term:
                    return begun, part.leader
                if self._leads and now_s >= again_s:
                    too = drained_too and now_s >= level_by_s
                    begun = begin(engine, part.picture(), to, drained_too=too) or begun
                    again_s = now_s + (self._election_min_s if begun else 0.0)
                    self._wake()
                if not begun and now_s >= level_by_s:
                    on_nobody(to)
                await trio.sleep(LEADERSHIP_POLL_S)
        return begun, ""

    def _check_hand_over(self, to: str) -> None:
        why = reason_against(self._part.picture(), to)
        if why:
            raise HandOverRefused(why)

    def _refuse_hand_over(self, to: str) -> None:
        self._check_hand_over(to)
        raise HandOverRefused("no other voter holds all that is committed: wait a moment")
