"""What must hold of the state after every command.  No I/O.

    name       holds                                                        seen here
    I1         nothing acknowledged is lost, nothing applies twice          in part: `proposers`
    I2         events of a conversation are 1, 2, 3 ... without a gap       yes, in the tail
    I3         at most one owner; owner and agent agree about it            yes
    I4         load is conversations held and offers pending, both ways     yes; capacity where
               round, and no offer is made above capacity                   an offer is made
    I5         nobody waits while somebody free is eligible                 no: the dispatcher's
    state      fields agree with the lifecycle's state                      yes
    presence   sessions and agents agree; nobody waits for who is not here   yes
    bounds     nothing holds more than its limit                            yes, by `check`
    indexes    they are what a rebuild would make                           yes, by `check`

I1, I6 and I7 concern several nodes: the simulator and the replay check them.  A capacity may
shrink below the load it meets, so a state alone cannot tell that it was kept to; `check_touched`
sees offers as they are made, and can.
"""

from collections.abc import Iterable

from cluster.state import limits
from cluster.state.limits import EVENTS_TAIL_MAX, PASSED_MAX
from cluster.state.model import Agent, Conversation, Offer
from cluster.state.outcome import AgentChanged, Appended, Notice, OfferMade
from cluster.state.state import State

INDEXES = (
    "unrouted",
    "waiting",
    "free",
    "deadlines",
    "lost",
    "closed",
    "key_ages",
    "by_visitor",
    "by_target",
    "by_node",
)
_TAIL_CHECKED = 8
"""Newest events that are looked at again: a command appends at most three."""


class InvariantViolated(Exception):
    """The state is not one that correct commands could have made: a bug of ours."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


def check(state: State) -> None:
    """Raise `InvariantViolated` unless the whole state and its indexes are sound."""
    for conversation in state.conversations.values():
        _check_conversation(state, conversation, len(conversation.tail))
        _check_tail(conversation)
    _check_rest(state)
    _check_bounds(state)
    _check_indexes(state)


def check_loaded(state: State) -> None:
    """Raise `InvariantViolated` unless the parts of a state that came from outside fit.

    What it takes is short beside loading: old events are not looked at, nor the indexes, which
    were just made.
    """
    for conversation in state.conversations.values():
        _check_conversation(state, conversation, _TAIL_CHECKED)
    _check_rest(state)


def _check_rest(state: State) -> None:
    for agent in state.agents.values():
        _check_agent(state, agent)
    for offer in state.offers.values():
        _check_offer(state, offer)
    for session in state.sessions.values():
        agent_of = state.agents.get(session.agent)
        held = agent_of is not None and session.sid in agent_of.sessions
        _hold(held, "presence", f"{session.sid} is not its agent's")
    revs = [record.rev for record in state.rule_sets]
    _hold(revs == sorted(set(revs)), "state", f"revisions {revs}")
    for node, proposer in state.proposers.items():
        _hold(proposer.next_number > 0, "I1", f"{node}: {proposer.next_number} comes next")
        _hold(proposer.boot not in proposer.retired, "I1", f"{node}: {proposer.boot} is retired")
        _hold(node in state.nodes, "I1", f"{node} proposes, and is not known")


def check_touched(state: State, notices: Iterable[Notice]) -> None:
    """Raise `InvariantViolated` unless what one command touched, by its notices, is sound."""
    for notice in notices:
        match notice:
            case Appended(cv, _) if cv in state.conversations:
                _check_conversation(state, state.conversations[cv], _TAIL_CHECKED)
            case AgentChanged(agent):
                _check_agent(state, state.agents[agent])
            case OfferMade(offer):
                _check_offer(state, offer)
                agent_of = state.agents[offer.agent]
                within = agent_of.load <= agent_of.capacity
                _hold(within, "I4", f"{offer.agent}: {agent_of.load} of {agent_of.capacity}")


def _check_conversation(state: State, conversation: Conversation, newest: int) -> None:
    cv, tail = conversation.cv, conversation.tail
    _hold(0 < len(tail) <= EVENTS_TAIL_MAX, "I2", f"{cv}: a tail of {len(tail)}")
    seqs = [event.seq for event in tail[-newest:]]
    in_order = seqs == list(range(conversation.seq - len(seqs) + 1, conversation.seq + 1))
    _hold(in_order, "I2", f"{cv}: {seqs} up to {conversation.seq}")
    kept = min(conversation.seq, EVENTS_TAIL_MAX)
    _hold(len(tail) == kept, "I2", f"{cv}: a tail of {len(tail)}, not {kept}")
    _check_owner(state, conversation)
    offered = conversation.state == "offered"
    _hold(offered == bool(conversation.offer), "I4", f"{cv}: {conversation.state} without offer")
    if conversation.offer:
        _hold(conversation.offer in state.offers, "I4", f"{cv}: its offer is gone")
    if conversation.state in ("new", "assigned", "closed"):
        _hold(not conversation.target, "state", f"{cv}: {conversation.state} with a target")
        _hold(not conversation.passed, "state", f"{cv}: {conversation.state}, yet passed on")
    if conversation.state in ("waiting", "offered", "assigned"):
        _hold(bool(conversation.queue), "state", f"{cv}: {conversation.state} in no queue")
    if conversation.target:
        _hold(conversation.target in state.agents, "state", f"{cv}: its target is unknown")
    _hold(len(set(conversation.passed)) <= PASSED_MAX, "state", f"{cv}: passed")
    closed = conversation.state == "closed"
    _hold(closed or not conversation.closed_ms, "state", f"{cv}: closed, and {conversation.state}")


def _check_owner(state: State, conversation: Conversation) -> None:
    cv, owner = conversation.cv, conversation.owner
    assigned = conversation.state == "assigned"
    _hold(assigned == bool(owner), "I3", f"{cv}: {conversation.state} with owner {owner!r}")
    if owner:
        agent = state.agents.get(owner)
        held = agent is not None and cv in agent.conversations
        _hold(held, "I3", f"{cv}: {owner} does not hold it")
        _hold(conversation.fence > 0, "I3", f"{cv}: owned without a fence")


def _check_agent(state: State, agent: Agent) -> None:
    name = agent.agent
    for cv in agent.conversations:
        conversation = state.conversations.get(cv)
        owned = conversation is not None and conversation.owner == name
        _hold(owned, "I3", f"{name} holds {cv}, but does not own it")
    for oid in agent.offers:
        offer = state.offers.get(oid)
        _hold(offer is not None and offer.agent == name, "I4", f"{name}: offer {oid}")
    for sid in agent.sessions:
        session = state.sessions.get(sid)
        _hold(session is not None and session.agent == name, "presence", f"{name}: {sid}")
    held = (*agent.conversations, *agent.offers, *agent.sessions)
    _hold(len(set(held)) == len(held), "I4", f"{name} holds something twice")
    _hold(bool(agent.sessions) or not held, "presence", f"{name} is gone, and holds {held}")
    offline = agent.status == "offline"
    _hold(bool(agent.sessions) or offline, "presence", f"{name} is gone, and {agent.status}")
    waited_for = name in state.by_target
    _hold(not (offline and waited_for), "presence", f"{name} is waited for, and offline")
    free = (agent.idle_since_ms, name) in state.free
    _hold(free == state.is_eligible(agent), "indexes", f"free: {name}")


def _check_offer(state: State, offer: Offer) -> None:
    conversation = state.conversations.get(offer.cv)
    named = conversation is not None and conversation.offer == offer.oid
    _hold(named, "I4", f"offer {offer.oid}: not its conversation's")
    agent = state.agents.get(offer.agent)
    held = agent is not None and offer.oid in agent.offers
    _hold(held, "I4", f"offer {offer.oid}: not its agent's")


def _check_tail(conversation: Conversation) -> None:
    times = [event.ts for event in conversation.tail]
    _hold(times == sorted(times), "state", f"{conversation.cv}: time ran backwards")


def _check_bounds(state: State) -> None:
    for what, count, most in (
        ("nodes", len(state.nodes), limits.NODES_MAX),
        ("proposers", len(state.proposers), limits.NODES_MAX),
        ("agents", len(state.agents), limits.AGENTS_MAX),
        ("conversations", len(state.conversations), limits.CONVERSATIONS_MAX),
        ("rule sets", len(state.rule_sets), limits.RULE_SETS_KEPT),
        ("audit", len(state.audit), limits.AUDIT_MAX),
    ):
        _hold(count <= most, "bounds", f"{count} {what} of {most}")
    ages = [at_ms for at_ms, _ in state.key_ages]
    _hold(ages == sorted(ages), "state", "keys are not in the order of their age")


def _check_indexes(state: State) -> None:
    rebuilt = state.frozen_copy()
    rebuilt.rebuild_indexes()
    for name in INDEXES:
        _hold(getattr(state, name) == getattr(rebuilt, name), "indexes", name)


def _hold(condition: bool, name: str, detail: str) -> None:
    if not condition:
        raise InvariantViolated(name, detail)
