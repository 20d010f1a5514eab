"""The leader's side of a change of members: when it may begin, and the steps that follow.  No I/O.

    refused while            because
    -----------------------  ---------------------------------------------------------------
    nothing of its own term  the change of an earlier leader may still come to light (thesis
    is committed             4.1, and raft-dev 2015)
    another is under way     two changes at once may have majorities that do not meet
    it would remove itself   it hands over first
    those who answer now     one loss more, and nothing could be committed any more
    would be no majority

What is wanted is in the members' roles (`cluster.raft.members`); every leader makes the step that
is due.
"""

import contextlib

from cluster.raft.leading import Leading
from cluster.raft.members import Members, MembersRefused
from cluster.raft.messages import MEMBERS, PeerError, check_command
from cluster.raft.parts import Parts

READY_LAG_MAX = 64
"""Entries that a node may be behind when it begins to vote: less than one election takes."""


class Changing:
    """Acts only while this node leads."""

    def __init__(self, parts: Parts, leading: Leading) -> None:
        self._parts = parts
        self._leading = leading

    def propose(self, members: Members) -> int:
        """Let `members` be appended next; return their index.  Raises `MembersRefused`."""
        leadership, journal = self._leading.current, self._parts.journal
        if leadership is None or self._leading.handing_over:
            raise MembersRefused("this node does not lead")
        if self._leading.own_commit_index() is None:
            raise MembersRefused("the leader has just begun; try again")
        if max(leadership.members_index, journal.members_index) > self._parts.core.commit_index:
            raise MembersRefused("another change of the members is under way; try again")
        if self._parts.node_id not in members.voters:
            raise MembersRefused("who leads cannot leave: hand leadership over first")
        assert members.is_neighbour(journal.members)
        able = [name for name in members.voters if self._is_able(name)]
        if 2 * len(able) <= len(members.voters):
            raise MembersRefused(
                f"of the voters {', '.join(members.voters)} only {', '.join(able)} could commit:"
                " mend the others first"
            )
        entry = MEMBERS + members.encode()
        try:
            check_command(entry, journal.last_index)
        except PeerError as error:
            raise MembersRefused(str(error)) from None
        leadership.members_index = self._parts.core.propose(entry)
        return leadership.members_index

    def record(self) -> None:
        """Let the log name the members that only configuration knows."""
        journal = self._parts.journal
        if journal.members_index == 1 and self._parts.core.is_leader:
            with contextlib.suppress(MembersRefused):  # then at one of the next turns
                self.propose(journal.members)

    def tick(self) -> None:
        """Make the step that is due; see `Members.next_step`."""
        leadership = self._leading.current
        if leadership is None:
            return
        members, node_id = self._parts.journal.members, self._parts.node_id
        if members.must_leave(node_id) and leadership.handing_to is None:
            self._leading.hand_over(None)
            return
        step = members.next_step(node_id, self._is_ready)
        if step is not None:
            with contextlib.suppress(MembersRefused):  # then at one of the next ticks
                self.propose(step)

    def _is_ready(self, node: str) -> bool:
        """Whether a learner holds what this leader holds, and could vote."""
        leadership = self._leading.current
        if leadership is None or not self._is_able(node):
            return False
        lag = self._parts.journal.last_index - leadership.followers[node].proven_index
        return lag <= READY_LAG_MAX

    def _is_able(self, node: str) -> bool:
        """Whether what `node` says could be counted now.

        It holds the newest members, so it answered since they were wished: who died a moment
        before, perhaps with its disk, is not counted on for having been heard lately.
        """
        if node == self._parts.node_id:
            return True
        leadership = self._leading.current
        follower = leadership.followers.get(node) if leadership else None
        if follower is None or follower.memory.life or not follower.answers.answered_request:
            return False
        if follower.proven_index < self._parts.journal.members_index:
            return False
        return self._parts.clock() - follower.heard_s < self._parts.timing.election_min_s
