"""Leadership transfer: to a successor that is asked for, or to anybody as a term ends.  No I/O.

    begin ──▶ a successor that holds all that is committed; no more proposals
                │ holds the whole log            TimeoutNow: it campaigns at once
                └ not within an election timeout this node leads on

    the end of a term that nobody answers        TimeoutNow to whoever is furthest

Source: Raft thesis (Ongaro 2014), section 3.10.
"""

from cluster.raft.leadership import Leadership
from cluster.raft.messages import TimeoutNow
from cluster.raft.parts import Parts


class Transfer:
    """Of the leadership of this node; what is under way is noted there."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, leadership: Leadership, target: str | None) -> bool:
        """Begin to hand leadership to `target`; see `Engine.transfer_leadership`."""
        now_s = self._parts.clock()
        ready = [
            (self._parts.core.match_index(peer), peer)
            for peer, follower in leadership.followers.items()
            if self._parts.core.match_index(peer) >= self._parts.core.commit_index
            and now_s - follower.heard_s < self._parts.timing.election_max_s
            and target in (None, peer)
            and follower.votes
        ]
        if not ready:
            return False
        leadership.handing_to = self._parts.choose([peer for _, peer in sorted(ready)])
        leadership.hand_over_until_s = now_s + self._parts.timing.election_min_s
        return True

    def is_under_way(self, leadership: Leadership) -> bool:
        """Whether new proposals would only delay the successor."""
        # The time alone will not do: a slow sync outlasts it, and the next tick looks who is level.
        return (
            leadership.handing_to is not None or self._parts.clock() < leadership.hand_over_until_s
        )

    def tick(self, leadership: Leadership, now_s: float) -> None:
        """Let the successor campaign once it holds the whole log, or give it up."""
        target = leadership.handing_to
        if target is None:
            return
        if self._parts.core.match_index(target) == self._parts.journal.last_index:
            # Also when a slow sync let the time run out: it was level before the next proposal.
            leadership.handing_to = None
            leadership.hand_over_until_s = now_s + self._parts.timing.election_min_s
            self._parts.promise(target, TimeoutNow(leadership.term))
        elif now_s >= leadership.hand_over_until_s:
            leadership.handing_to = None  # it did not come in time: this node leads on

    def say_farewell(self, leadership: Leadership) -> None:
        """Let a follower campaign at once: this node heard no majority, and may yet be heard.

        Who cannot hear it waits for an election timeout, as ever; who is in a later term by then
        takes no notice.
        """
        level = [
            (self._parts.core.match_index(peer), peer)
            for peer, follower in leadership.followers.items()
            if follower.votes and not follower.memory.life
        ]
        if level:
            _, target = max(level)
            self._parts.promise(target, TimeoutNow(leadership.term))
