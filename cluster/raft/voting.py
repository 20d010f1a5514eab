"""The voter's and candidate's side: pre-votes, votes, newer terms, lost leaders.  No I/O.

    asked for          answered yes when
    a pre-vote         the term is newer, the log up to date, and no leader was heard lately
    a vote             PySyncObj's rules say so, and no leader was heard lately (or it hands over)
    the same vote      it was given to this very candidate in this term
    a first vote       all voters are empty, or restored from one backup, and the candidate
                       heard so from this very life

A node that abstains (`cluster.raft.abstaining`) gives the last kind only.

Source: Raft thesis (Ongaro 2014), sections 3.4, 3.6.1, 4.2.3, 9.6; DESIGN.md, holes 8, 15.
"""

import zlib
from typing import Any

from cluster.raft import guard
from cluster.raft.members import Members
from cluster.raft.messages import (
    NewerTerm,
    PreVote,
    PreVoteRequest,
    TimeoutNow,
    Vote,
    VoteRequest,
)
from cluster.raft.parts import Parts

NO_TERM = 0
"""No node is in a term below it, so nobody grants anything for it."""


class Voting:
    """Elections, seen from this node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._votes = guard.Votes()
        self._lost: set[str] = set()
        self._unknown: frozenset[str] = frozenset()
        """Voters to whom this node is no member."""
        self._unknown_s = float("-inf")
        """When one of them last said so: whoever is led after that has become a member."""
        self._handed_term = 0
        """The term for which the leader asked this node to campaign."""
        self._begun_term = 0
        """The term for which this node campaigns among voters that are all empty."""

    def peer_lost(self, peer: str) -> None:
        """See `Engine.peer_lost`."""
        self._lost.add(peer)

    @property
    def is_unknown(self) -> bool:
        """Whether a majority of the voters does not know this node as a member."""
        others = self._parts.others
        led_since = self._parts.elections.heard_s > self._unknown_s
        return not led_since and 2 * len(self._unknown & frozenset(others)) > len(others)

    @property
    def urgent(self) -> bool:
        """Whether the next tick has something to do at once."""
        return bool(self._lost)

    def tick(self, now_s: float) -> None:
        """Before PySyncObj's own tick: see whether an election is due."""
        core, elections = self._parts.core, self._parts.elections
        lost, self._lost = self._lost, set()
        if core.is_leader:
            elections.leader_heard(self._parts.node_id, now_s)
            return
        if core.leader is not None and core.leader in lost:
            elections.leader_lost(core.leader, now_s)
        if not elections.due(now_s):
            return
        journal = self._parts.journal
        if not self._parts.votes or (self._parts.abstains and not journal.empty):
            elections.rearm(now_s)
            self._parts.promise_all(self._pre_vote_request(NO_TERM))
        elif elections.stand(core.term + 1, now_s):
            self._begin()
            core.campaign()
        else:
            self._parts.promise_all(self._pre_vote_request(core.term + 1))

    def _pre_vote_request(self, term: int) -> PreVoteRequest:
        """Return what asks for pre-votes for `term`; for NO_TERM, only whether this node is known.

        Who was removed does not hear it from the log: nobody sends it the entry that says so.
        """
        journal = self._parts.journal
        return PreVoteRequest(
            term,
            journal.last_index,
            journal.last_term,
            self._parts.elections.pre_votes_total,
            _checksum(journal.members),
        )

    # -- this node as candidate

    def send_vote_request(self, peer: str, message: dict[str, Any]) -> None:
        """Send PySyncObj's vote request."""
        term = message["term"]
        begins = term == self._begun_term
        request = VoteRequest(
            term,
            message["last_log_index"],
            message["last_log_term"],
            transfer=term == self._handed_term,
            begins=self._parts.elections.lives.get(peer, 0) if begins else 0,
        )
        self._parts.promise(peer, request)

    def on_timeout_now(self, source: str, message: TimeoutNow) -> None:
        core = self._parts.core
        if self._parts.abstains or not self._parts.votes or core.is_leader:
            return
        if core.leader == source and message.term == core.term:
            self._handed_term = core.term + 1
            self._campaign()

    def on_pre_vote(self, source: str, message: PreVote) -> None:
        core = self._parts.core
        if core.is_leader:
            return
        self._unknown = self._unknown - {source} if message.knows else self._unknown | {source}
        if not message.knows:
            self._unknown_s = self._parts.clock()
        if message.current_term > core.term:
            core.step_to(source, message.current_term)
        elif message.term == core.term + 1:
            begins = self._parts.abstains
            if self._parts.elections.pre_vote(source, message, begins=begins):
                self._begin()
                self._campaign()

    def on_vote(self, source: str, message: Vote) -> None:
        core = self._parts.core
        if message.term != core.term or source not in self._parts.others:
            return
        if self._votes.is_first(source, message.term) or "one_vote_per_voter" in self._parts.off:
            core.receive(source, {"type": "response_vote", "term": message.term})

    def _begin(self) -> None:
        """All voters are empty: there is nothing that this node can have forgotten."""
        if self._parts.abstains:
            self._begun_term = self._parts.core.term + 1
            self._parts.journal.trust()

    def _campaign(self) -> None:
        self._parts.core.campaign()
        self._parts.elections.campaigns(self._parts.clock())

    # -- this node as voter

    def on_pre_vote_request(self, source: str, message: PreVoteRequest) -> None:
        core, journal, life = self._parts.core, self._parts.journal, self._parts.forgetful_life
        theirs = (message.last_term, message.last_index, source)
        mine = (journal.last_term, journal.last_index, self._parts.node_id)
        granted = (
            not life
            and message.term > core.term
            and guard.is_up_to_date(journal, message.last_index, message.last_term)
            and not self._has_leader()
            and self._parts.elections.yields_to(message.term, theirs, mine, self._parts.clock())
        )
        answer = PreVote(
            message.term,
            granted,
            core.term,
            message.round,
            empty=self._begins_where(message),
            life=life,
            knows=source in journal.members.by_id,
        )
        self._parts.promise(source, answer)

    def _begins_where(self, message: PreVoteRequest) -> bool:
        """Whether this node would begin a cluster where the candidate would, with whom it would.

        Two indices are two beginnings: this node, or the candidate, was not restored, or was from
        another backup.
        """
        journal = self._parts.journal
        return (
            journal.empty
            and message.last_index == journal.last_index
            and message.voters == _checksum(journal.members)
        )

    def on_vote_request(self, source: str, message: VoteRequest) -> None:
        core, journal = self._parts.core, self._parts.journal
        if message.term < core.term:
            self._parts.object(source)
            return
        if self._has_leader() and not message.transfer:
            return
        if message.term == core.term and journal.getVotedForNodeId() == source:
            self._parts.promise(source, Vote(core.term))
            return
        life = self._parts.forgetful_life
        if life and not (journal.empty and message.begins == life):
            return
        core.receive(
            source,
            {
                "type": "request_vote",
                "term": message.term,
                "last_log_index": message.last_index,
                "last_log_term": message.last_term,
            },
        )
        if journal.getVotedForNodeId() == source:
            self._parts.elections.rearm(self._parts.clock())
            if life:
                journal.trust()

    def _has_leader(self) -> bool:
        """Whether this node leads, or heard a leader within the shortest election timeout."""
        known = self._parts.core.leader is not None
        return known and self._parts.elections.lease_holds(self._parts.clock())

    # -- terms

    def on_newer_term(self, source: str, message: NewerTerm) -> None:
        if message.term > self._parts.core.term:
            self._parts.core.step_to(source, message.term)


def _checksum(members: Members) -> int:
    """Return what two nodes compare to see whether they were told the same voters."""
    return zlib.crc32("\0".join(members.voters).encode())
