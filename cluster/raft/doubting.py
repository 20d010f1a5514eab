"""Whether a follower still holds what it proved to hold.  No I/O.

    why a rejection says less than was proven        what is done
    -----------------------------------------------  -----------------------------------------------
    it was sent before the proof, and came late      nothing: it answers an earlier request
    what follows the proven entry is of another      nothing: Raft goes back, and replaces that
    term there
    its disk lost frames that it had synced, whole   it must abstain (`cluster.raft.abstaining`)
    ones at the end of the log: it started on less

A follower cannot know that its disk lied: such a log is a good one, of a moment before.  Its leader
can, and asks:

    leader                                 follower
      append, prev = the proven entry ──▶    holds it, so it takes that, whatever comes behind
      memory_lost, that entry         ◀──    rejected: it held the entry in this term, and lost it
                                      ──▶    abstains; is filled and vouched for like any other

The question was sent after the proof had come, and in one term nobody takes back what a leader's
entries proved.  So only a log that has become shorter by itself can reject it.

What is not seen: a loss that the next leader meets first, as it believes nothing yet.

Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018; Rebello
et al., "Can Applications Recover from fsync Failures?", ATC 2020.
"""

from dataclasses import dataclass

from cluster.raft.messages import AppendAck


@dataclass(slots=True)
class Doubt:
    """What a leader asks one follower."""

    index: int = 0
    """Of the entry that was asked for; 0 while nothing is asked."""
    _request: int = 0
    _not_before_s: float = float("-inf")

    def arises(self, ack: AppendAck, proven_index: int, now_s: float) -> bool:
        """Whether to ask: an answer says that less is held than was proven."""
        less = not ack.success and ack.next_index <= proven_index
        return less and now_s >= self._not_before_s

    def asked(self, index: int, request: int, *, again_s: float) -> None:
        """An empty append behind `index` left as `request`; not again before `again_s`."""
        self.index, self._request, self._not_before_s = index, request, again_s

    def is_confirmed(self, ack: AppendAck) -> bool:
        """Whether an answer is the one to the question, and a rejection."""
        return bool(self.index) and ack.request == self._request and not ack.success
