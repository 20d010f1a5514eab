"""What is asked of a replica and takes turns to come true.  Waits; never for ever.

barrier                all that was acknowledged before is applied here
change_members         the change is committed
hand_over              another node leads: the one that was named, or the best; or why not
hand_over_leadership   another node leads, or not in time: before this process leaves
"""

from collections.abc import Callable

import trio

from cluster.handing_over import begin, reason_against
from cluster.participant import Participant
from cluster.port import HandOverRefused, NotLeading, Unavailable
from cluster.raft.members import Members
from cluster.state.drains import drained

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
        part, engine = self._part, self._part.engine
        if not self._leads:
            raise NotLeading(part.leader or "")
        self._check_hand_over(to)
        term, begun, ends_s = engine.term, "", trio.current_time() + BARRIER_S
        level_by_s, again_s = trio.current_time() + LEVEL_S, 0.0
        while (now_s := trio.current_time()) < ends_s:
            if not engine.is_leader and part.leader is not None and engine.term > term:
                return part.leader
            if engine.is_leader and now_s >= again_s:
                begun = begin(engine, to, drained(part.state)) or begun
                again_s = now_s + (self._election_min_s if begun else 0.0)
                self._wake()
            if not begun and now_s >= level_by_s:
                self._check_hand_over(to)
                raise HandOverRefused("no other voter holds all that is committed: wait a moment")
            await trio.sleep(LEADERSHIP_POLL_S)
        if engine.is_leader:
            raise HandOverRefused(f"{to or begun} did not take over in time; {part.node} leads on")
        return Unavailable("no_leader", "this node leads no more, and hears of nobody who does")

    def _check_hand_over(self, to: str) -> None:
        why = reason_against(self._part.engine, to, drained(self._part.state))
        if why:
            raise HandOverRefused(why)

    async def hand_over_leadership(self, s_max: float) -> bool:
        """Return whether another node leads, after `s_max` at most; begin that if need be."""
        engine = self._part.engine
        again_s = 0.0
        with trio.move_on_after(s_max):
            while engine.is_leader or self._part.leader is None:
                if engine.members.voters == (self._part.node,):
                    return False
                if engine.is_leader and trio.current_time() >= again_s:
                    engine.transfer_leadership()  # or nobody is level yet: try again
                    again_s = trio.current_time() + self._election_min_s
                    self._wake()
                await trio.sleep(LEADERSHIP_POLL_S)
            return True
        return False
