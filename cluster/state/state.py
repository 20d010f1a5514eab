"""The replicated state: values, and indexes over them.  No I/O.

    replicated   see `cluster.state.values`
    derived      unrouted, lines (waiting), step_ends, overflows, free, deadlines, wrap_ends, lost,
                 closed, key_ages, by_visitor, by_target, by_node, revoked_ends, sla_due, unserved,
                 here, invitation_ends, status_ends, unasked, overseen_at, routings_bytes

Readers may look at everything and change nothing.  Writers are the lifecycle modules of this
package, through `put_*` and `drop_*`, which keep the indexes right.  The indexes make every
question of the dispatcher cheap; they are built anew after a load, never written down.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter
from typing import TypeVar

from cluster.state import missed
from cluster.state.company import Invitation
from cluster.state.journal import Journal
from cluster.state.limits import (
    RULE_SETS_KEPT,
    SERVED_FORGET,
    SERVED_MAX,
    TARGETED_MAX,
)
from cluster.state.lines import CHANGES_KEPT, Lines, Place, same_order
from cluster.state.model import (
    Agent,
    Conversation,
    Cutoff,
    Offer,
    Remembered,
    RuleSetRecord,
    Session,
)
from cluster.state.routings import ROUTINGS_BYTES_MAX, ROUTINGS_MAX, Routing
from cluster.state.sorted_set import SortedSet
from cluster.state.values import Values

Item = TypeVar("Item")


class State(Values):
    """The values, and indexes that make every question of the dispatcher cheap."""

    def __init__(self) -> None:
        super().__init__()
        self.agent_changes: Journal[str] = Journal(CHANGES_KEPT)
        """Agents who were put or dropped."""
        self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.capped: dict[str, int] = {}
        """Queues of the rules in force that take only so many."""
        self.unrouted: dict[str, None] = {}
        """Conversations that no rule has seen, oldest first."""
        self.lines = Lines()
        """Those without owner or offer, by queue and by line."""
        self.step_ends: SortedSet[tuple[int, str]] = SortedSet()
        """(when its step is over, cv) of those who wait and have another step."""
        self.overflows: SortedSet[tuple[int, str]] = SortedSet()
        """(when it overflows, cv) of those who wait and have not overflowed."""
        self.free: SortedSet[tuple[int, str]] = SortedSet()
        """(idle_since_ms, agent) of those who may be offered something."""
        self.deadlines: SortedSet[tuple[int, str]] = SortedSet()
        """(deadline_ms, oid) of pending offers."""
        self.wrap_ends: SortedSet[tuple[int, str, str]] = SortedSet()
        """(until_ms, agent, cv) of wrap-ups."""
        self.lost: SortedSet[tuple[int, str]] = SortedSet()
        """(lost_ms, sid) of sessions in their grace period."""
        self.closed: SortedSet[tuple[int, str]] = SortedSet()
        """(closed_ms, cv)."""
        self.key_ages: deque[tuple[int, str]] = deque()
        """(at_ms, name) of `keys`, oldest first: a dictionary is slow to give up its first."""
        self.by_visitor: dict[str, dict[str, None]] = {}
        """Open conversations of a visitor."""
        self.by_target: dict[str, dict[str, None]] = {}
        """Open conversations that wait for, or are offered to, the agent they were passed to."""
        self.by_node: dict[str, dict[str, None]] = {}
        """Sessions at a node."""
        self.revoked_ends: SortedSet[tuple[int, str]] = SortedSet()
        """(exp_s, jti) of `revoked`."""
        self.sla_due: SortedSet[tuple[int, str]] = SortedSet()
        """(at_ms, cv) of conversations whose clocks have something to tell then."""
        self.unserved: dict[missed.List, SortedSet[tuple[int, str]]] = {
            one: SortedSet() for one in missed.LISTS
        }
        """(opened_ms, cv) of conversations on each list of `missed`."""
        self.here: dict[str, None] = {}
        """Agents who are here, see `staffing`."""
        self.invitation_ends: SortedSet[tuple[int, str]] = SortedSet()
        """(deadline_ms, iid) of pending invitations."""
        self.unasked: dict[str, None] = {}
        """Warm transfers to a queue of which nobody is asked now."""
        self.status_ends: SortedSet[tuple[int, str]] = SortedSet()
        """(until_ms, agent) of those who said until when they are what they are."""
        self.overseen_at: dict[str, dict[tuple[str, str], None]] = {}
        """Per node: (cv, supervisor) of those who joined from there."""
        self.routings_bytes = 0
        """Sizes of `routings` together."""

    # -- reading

    @property
    def waiting(self) -> dict[str, SortedSet[Place]]:
        """Per queue: (sort key, opened_ms, cv) of those without owner or offer, first first."""
        return self.lines.queues

    def position(self, cv: str) -> int | None:
        """Return the place of `cv` in its queue, 1 for the first; None when it does not wait.

        It takes the logarithm of what waits, whatever the queue's order.
        """
        return self.lines.position(cv)

    def may_wait_for(self, agent: str) -> bool:
        """Whether one conversation more may wait for the agent of this name alone."""
        return agent in self.here and len(self.by_target.get(agent, ())) < TARGETED_MAX

    # -- writing, for the lifecycle modules only

    def put_conversation(self, new: Conversation) -> None:
        """Replace or add a conversation."""
        old = self.conversations.get(new.cv)
        if old is None or _place(old) != _place(new):
            if old is not None:
                self._unindex_conversation(old)
            self._index_conversation(new)
        if old is None or _is_served_otherwise(old, new):
            self._index_service(old, new)
        self.conversations[new.cv] = new

    def drop_conversation(self, cv: str) -> None:
        """Forget a conversation that no agent and no offer holds."""
        old = self.conversations.pop(cv)
        self._unindex_conversation(old)
        self._index_service(old, None)

    def put_agent(self, new: Agent) -> None:
        """Replace or add an agent."""
        old = self.agents.get(new.agent)
        if old is not None:
            self.free.discard((old.idle_since_ms, old.agent))
            if old.wrap_ups is not new.wrap_ups:
                for one in old.wrap_ups:
                    self.wrap_ends.discard((one.until_ms, old.agent, one.cv))
            self.status_ends.discard((old.until_ms, old.agent))
        self.agents[new.agent] = new
        if old is None or old.wrap_ups is not new.wrap_ups:
            for one in new.wrap_ups:
                self.wrap_ends.add((one.until_ms, new.agent, one.cv))
        self.agent_changes.note(new.agent)
        if self.is_eligible(new):
            self.free.add((new.idle_since_ms, new.agent))
        self._index_here(new)
        if new.until_ms:
            self.status_ends.add((new.until_ms, new.agent))

    def drop_agent(self, agent: str) -> None:
        """Forget an agent who has no session, and therefore nothing else."""
        del self.agents[agent]
        self.here.pop(agent, None)
        self.agent_changes.note(agent)

    def put_served(self, kind: str, visitor: str, agent: str) -> None:
        """Remember who serves a visitor, as the last."""
        self.served.pop((kind, visitor), None)
        self.served[kind, visitor] = agent
        if len(self.served) > SERVED_MAX:
            for old in list(islice(self.served, SERVED_FORGET)):
                del self.served[old]

    def put_rules(self, record: RuleSetRecord) -> None:
        """Put a rule set into force; a queue that has another order then is sorted anew."""
        before = {name: self.queue(name) for name in self.waiting}
        self.rule_sets = [*self.rule_sets, record][-RULE_SETS_KEPT:]
        self._index_rules()
        for name, settings in before.items():
            now = self.queue(name)
            if not same_order(settings, now):
                for _, _, cv in list(self.waiting[name]):
                    self.lines.discard(cv)
                    self.lines.add(self.conversations[cv], now)

    def put_offer(self, offer: Offer) -> None:
        """Add an offer; put its conversation and its agent as well."""
        self.offers[offer.oid] = offer
        self.deadlines.add((offer.deadline_ms, offer.oid))

    def drop_offer(self, oid: str) -> Offer:
        """Forget an offer and return it; put its conversation and its agent as well."""
        offer = self.offers.pop(oid)
        self.deadlines.discard((offer.deadline_ms, oid))
        return offer

    def put_session(self, new: Session) -> None:
        """Replace or add a session; put its agent afterwards, whose presence it decides."""
        old = self.sessions.get(new.sid)
        if old is not None:
            self._unindex_session(old)
        self.sessions[new.sid] = new
        self._index_session(new)

    def drop_session(self, sid: str) -> Session:
        """Forget a session and return it; put its agent afterwards."""
        session = self.sessions.pop(sid)
        self._unindex_session(session)
        return session

    def put_key(self, name: str, remembered: Remembered) -> None:
        """Remember a key that is not remembered."""
        self.keys[name] = remembered
        self.key_ages.append((remembered.at_ms, name))

    def drop_oldest_key(self) -> None:
        """Forget the key that was remembered first."""
        del self.keys[self.key_ages.popleft()[1]]

    def put_revoked(self, jti: str, exp_s: int) -> None:
        """Remember a single token as revoked; one that is known already stays as it is."""
        if jti not in self.revoked:
            self.revoked[jti] = exp_s
            self.revoked_ends.add((exp_s, jti))

    def drop_revoked(self, jti: str) -> None:
        """Forget a revoked token."""
        self.revoked_ends.discard((self.revoked.pop(jti), jti))

    def put_cutoff(self, cutoff: Cutoff) -> None:
        """Replace or add a principal's cutoff, as the newest."""
        self.cutoffs.pop((cutoff.kind, cutoff.id), None)
        self.cutoffs[cutoff.kind, cutoff.id] = cutoff

    def count(self, what: str) -> None:
        """Count one more of `what`, a name that the code knows."""
        self.tallies[what] = self.tallies.get(what, 0) + 1

    def put_invitation(self, new: Invitation) -> None:
        """Replace or add an invitation; put its conversation and whom it asks as well."""
        old = self.invitations.get(new.iid)
        if old is not None:
            self._unindex_invitation(old)
        self.invitations[new.iid] = new
        self._index_invitation(new)

    def drop_invitation(self, iid: str) -> None:
        """Forget an invitation; put its conversation and whom it asked as well."""
        self._unindex_invitation(self.invitations.pop(iid))

    def put_routing(self, routing: Routing) -> None:
        """Add a decision as the newest; the oldest beyond the bounds are forgotten."""
        self.routings.append(routing)
        self.routings_bytes += routing.size
        while len(self.routings) > ROUTINGS_MAX or self.routings_bytes > ROUTINGS_BYTES_MAX:
            self.routings_bytes -= self.routings.popleft().size

    def rebuild_indexes(self) -> None:
        """Make the indexes anew from what is replicated."""
        self._clear_indexes()
        self._index_rules()
        for conversation in self.conversations.values():
            self._index_conversation(conversation)
            self._index_service(None, conversation)
        for session in self.sessions.values():
            self._index_session(session)
        self.key_ages.extend((remembered.at_ms, name) for name, remembered in self.keys.items())
        for offer in self.offers.values():
            self.deadlines.add((offer.deadline_ms, offer.oid))
        for agent in self.agents.values():
            if self.is_eligible(agent):
                self.free.add((agent.idle_since_ms, agent.agent))
            for one in agent.wrap_ups:
                self.wrap_ends.add((one.until_ms, agent.agent, one.cv))
            self._index_here(agent)
            if agent.until_ms:
                self.status_ends.add((agent.until_ms, agent.agent))
        for invitation in self.invitations.values():
            self._index_invitation(invitation)
        for jti, exp_s in self.revoked.items():
            self.revoked_ends.add((exp_s, jti))
        self.routings_bytes = sum(routing.size for routing in self.routings)

    def _index_conversation(self, conversation: Conversation) -> None:
        cv = conversation.cv
        match conversation.state:
            case "new":
                self.unrouted[cv] = None
            case "waiting":
                self.lines.add(conversation, self.queue(conversation.queue))
                for index, at_ms in self._ends(conversation):
                    index.add((at_ms, cv))
            case "closed":
                self.closed.add((conversation.closed_ms, cv))
        if conversation.state != "closed":
            self.by_visitor.setdefault(conversation.visitor, {})[cv] = None
        if conversation.target:
            self.by_target.setdefault(conversation.target, {})[cv] = None
        for one in conversation.overseers:
            self.overseen_at.setdefault(one.node, {})[cv, one.id] = None

    def _unindex_conversation(self, conversation: Conversation) -> None:
        cv = conversation.cv
        match conversation.state:
            case "new":
                del self.unrouted[cv]
                if not self.unrouted:
                    self.unrouted.clear()  # gives the memory back, and a quick first
            case "waiting":
                self.lines.discard(cv)
                for index, at_ms in self._ends(conversation):
                    index.discard((at_ms, cv))
            case "closed":
                self.closed.discard((conversation.closed_ms, cv))
        if conversation.state != "closed":
            _discard(self.by_visitor, conversation.visitor, cv)
        if conversation.target:
            _discard(self.by_target, conversation.target, cv)
        for one in conversation.overseers:
            _discard(self.overseen_at, one.node, (cv, one.id))

    def _index_service(self, old: Conversation | None, new: Conversation | None) -> None:
        """Move a conversation to where its service has it now."""
        if old is not None:
            if old.service.next_ms:
                self.sla_due.discard((old.service.next_ms, old.cv))
            for one in missed.lists_of(old):
                self.unserved[one].discard((old.opened_ms, old.cv))
        if new is not None:
            if new.service.next_ms:
                self.sla_due.add((new.service.next_ms, new.cv))
            for one in missed.lists_of(new):
                self.unserved[one].add((new.opened_ms, new.cv))

    def _index_here(self, agent: Agent) -> None:
        if agent.is_here:
            self.here[agent.agent] = None
        else:
            self.here.pop(agent.agent, None)

    def _ends(self, conversation: Conversation) -> Iterator[tuple[SortedSet[tuple[int, str]], int]]:
        """Yield what ends for a conversation that waits, and when."""
        at, overflow = conversation.at, conversation.route.overflow
        if at.for_ms and conversation.step + 1 < len(conversation.route.steps):
            yield self.step_ends, conversation.step_ms + at.for_ms
        if overflow is not None and not conversation.overflowed:
            yield self.overflows, conversation.waiting_since_ms + overflow.after_ms

    def _index_rules(self) -> None:
        queues = self.rules.queues if self.rules is not None else {}
        self.capped = {name: one.max_waiting for name, one in queues.items() if one.max_waiting}

    def _index_session(self, session: Session) -> None:
        self.by_node.setdefault(session.node, {})[session.sid] = None
        if session.lost_ms:
            self.lost.add((session.lost_ms, session.sid))

    def _unindex_session(self, session: Session) -> None:
        _discard(self.by_node, session.node, session.sid)
        self.lost.discard((session.lost_ms, session.sid))

    def _index_invitation(self, invitation: Invitation) -> None:
        self.invitation_ends.add((invitation.deadline_ms, invitation.iid))
        if not invitation.agent:
            self.unasked[invitation.iid] = None

    def _unindex_invitation(self, invitation: Invitation) -> None:
        self.invitation_ends.discard((invitation.deadline_ms, invitation.iid))
        self.unasked.pop(invitation.iid, None)


def _is_served_otherwise(old: Conversation, new: Conversation) -> bool:
    """Say whether something changed by which the indexes of service have a conversation."""
    return (
        old.service is not new.service
        or old.missed != new.missed
        or old.attrs is not new.attrs
        or (old.state == "closed") != (new.state == "closed")
    )


_place = attrgetter(
    "state",
    "route",
    "step",
    "step_ms",
    "waiting_since_ms",
    "target",
    "preferred",
    "passed",
    "overflowed",
    "overseers",
)
"""What decides where the indexes have a conversation; every message asks."""


def _discard(index: dict[str, dict[Item, None]], key: str, item: Item) -> None:
    items = index[key]
    del items[item]
    if not items:
        del index[key]
