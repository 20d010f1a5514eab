"""What must hold of the state after every command.  No I/O.

    name       holds                                                        seen here
    I1         nothing acknowledged is lost, nothing applies twice          in part: `proposers`
    I2         events of a conversation are 1, 2, 3 ... without a gap       yes, in the tail
    I3         at most one owner; owner and agent agree about it            yes
    I4         load is the weights of conversations held, offers pending    yes; capacity where
               and wrap-ups; no offer is made above capacity                an offer is made
    I5         nobody waits while somebody free is eligible                 no: the dispatcher's
    state      fields agree with the lifecycle's state                      yes
    presence   sessions and agents agree; nobody waits for who is not here   yes
    clocks     none runs in a closed conversation; each name runs once       yes
    staffing   nobody is here for an unstaffed queue                         yes
    ratings    days count what they were given, and no less                  yes
    bounds     nothing holds more than its limit                            yes, by `check`
    company    members, invitations and agents agree both ways round; one      yes
               invitation takes at most, and only from an owner
    accounts   revisions rise, secrets are hashes and at most two            yes
    indexes    they are what a rebuild would make                           yes, by `check`

I1, I6 and I7 concern several nodes: the simulator and the replay check them.  A capacity may
shrink below the load it meets, so a state alone cannot tell that it was kept to; `check_touched`
sees offers as they are made, and can.
"""

from collections.abc import Sequence
from typing import NoReturn

from cluster.state import limits
from cluster.state.company import Invitation
from cluster.state.events import kept
from cluster.state.limits import PASSED_MAX
from cluster.state.model import Account, Agent, Conversation, Offer
from cluster.state.outcome import AgentChanged, Appended, Notice, OfferMade
from cluster.state.routings import ROUTINGS_BYTES_MAX, ROUTINGS_MAX
from cluster.state.staffing import is_staffed
from cluster.state.state import State

INDEXES = (
    "unrouted",
    "capped",
    "lines",
    "step_ends",
    "overflows",
    "free",
    "deadlines",
    "wrap_ends",
    "lost",
    "closed",
    "key_ages",
    "by_visitor",
    "by_target",
    "by_node",
    "revoked_ends",
    "sla_due",
    "unserved",
    "here",
    "invitation_ends",
    "unasked",
    "status_ends",
    "overseen_at",
    "routings_bytes",
)
_QUEUED = ("waiting", "offered")
_IN_QUEUE = ("waiting", "offered", "assigned")
_TAIL_CHECKED = 4
"""Newest events of a loaded conversation that are looked at."""


class InvariantViolated(Exception):
    """The state is not one that correct commands could have made: a bug of ours."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


def check(state: State) -> None:
    """Raise `InvariantViolated` unless the whole state and its indexes are sound."""
    for conversation in state.conversations.values():
        _check_tail(conversation)
        _check_conversation(state, conversation, len(conversation.tail))
        _check_times(conversation)
    _check_rest(state)
    _check_bounds(state)
    _check_indexes(state)


def check_loaded(state: State) -> None:
    """Raise `InvariantViolated` unless the parts of a state that came from outside fit.

    What it takes is short beside loading: old events are not looked at, nor the indexes, which
    were just made.
    """
    for conversation in state.conversations.values():
        _check_tail(conversation)
        _check_conversation(state, conversation, _TAIL_CHECKED)
    _check_rest(state)


def _check_rest(state: State) -> None:
    for agent in state.agents.values():
        _check_agent(state, agent)
    for offer in state.offers.values():
        _check_offer(state, offer)
    for invitation in state.invitations.values():
        _check_invitation(state, invitation)
    for session in state.sessions.values():
        agent_of = state.agents.get(session.agent)
        if agent_of is None or session.sid not in agent_of.sessions:
            _broken("presence", f"{session.sid} is not its agent's")
    revs = [record.rev for record in state.rule_sets]
    if revs != sorted(set(revs)):
        _broken("state", f"revisions {revs}")
    numbers = [routing.number for routing in state.routings]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        _broken("state", "routings are not numbered without a gap")
    for account in state.accounts.values():
        _check_account(account)
    for one in state.unstaffed.values():
        if is_staffed(state, one.queue):
            _broken("staffing", f"{one.queue}: somebody is there")
    for row in state.ratings.values():
        if min(row.counts) < 0 or not any(row.counts):
            _broken("ratings", f"{row}")
    for node, proposer in state.proposers.items():
        if proposer.next_number <= 0:
            _broken("I1", f"{node}: {proposer.next_number} comes next")
        if proposer.boot in proposer.retired:
            _broken("I1", f"{node}: {proposer.boot} is retired")
        if node not in state.nodes:
            _broken("I1", f"{node} proposes, and is not known")


def check_touched(state: State, notices: Sequence[Notice]) -> None:
    """Raise `InvariantViolated` unless what one command touched, by its notices, is sound."""
    for notice in notices:
        match notice:
            case Appended(cv, _) if cv in state.conversations:
                # Those that were just appended, and whether they fit the one before.
                _check_conversation(state, state.conversations[cv], len(notices) + 1)
            case AgentChanged(agent):
                _check_agent(state, state.agents[agent])
            case OfferMade(offer):
                _check_offer(state, offer)
                agent_of = state.agents[offer.agent]
                if agent_of.load > agent_of.capacity:
                    _broken("I4", f"{offer.agent}: {agent_of.load} of {agent_of.capacity}")


def _check_conversation(state: State, conversation: Conversation, newest: int) -> None:
    cv, tail = conversation.cv, conversation.tail
    if not tail or len(tail) != kept(conversation.seq):
        _broken("I2", f"{cv}: a tail of {len(tail)} up to {conversation.seq}")
    for seq, event in zip(range(conversation.seq, 0, -1)[:newest], reversed(tail), strict=False):
        if event.seq != seq:
            _broken("I2", f"{cv}: {event.seq} where {seq} belongs")
    _check_owner(state, conversation)
    _check_place(state, conversation)
    _check_company(state, conversation)


def _check_owner(state: State, conversation: Conversation) -> None:
    cv, owner = conversation.cv, conversation.owner
    if (conversation.state == "assigned") != bool(owner):
        _broken("I3", f"{cv}: {conversation.state} with owner {owner!r}")
    if owner:
        agent = state.agents.get(owner)
        if agent is None or cv not in agent.conversations:
            _broken("I3", f"{cv}: {owner} does not hold it")
        if conversation.fence <= 0:
            _broken("I3", f"{cv}: owned without a fence")


def _check_place(state: State, conversation: Conversation) -> None:
    """Fields that one state of the lifecycle has, and others have not."""
    cv, at = conversation.cv, conversation.state
    steps = len(conversation.route.steps)
    if steps and not 0 <= conversation.step < steps:  # first: its queue is asked for below
        _broken("state", f"{cv}: step {conversation.step} of {steps}")
    if (at == "offered") != bool(conversation.offer):
        _broken("I4", f"{cv}: {at}, its offer {conversation.offer!r}")
    if conversation.offer and conversation.offer not in state.offers:
        _broken("I4", f"{cv}: its offer is gone")
    if conversation.target and (at not in _QUEUED or conversation.target not in state.agents):
        _broken("state", f"{cv}: {at} with the target {conversation.target!r}")
    if conversation.passed and (at not in _QUEUED or len(conversation.passed) > PASSED_MAX):
        _broken("state", f"{cv}: {at}, passed on {len(conversation.passed)} times")
    if at in _IN_QUEUE and not conversation.queue:
        _broken("state", f"{cv}: {at} in no queue")
    if conversation.waiting_since_ms and at not in _QUEUED:
        _broken("state", f"{cv}: {at}, and waiting since {conversation.waiting_since_ms}")
    if conversation.preferred and at not in _QUEUED:
        _broken("state", f"{cv}: {at}, and prefers {conversation.preferred}")
    if len(conversation.choices) > limits.CHOICES_KEPT:
        _broken("bounds", f"{cv}: {len(conversation.choices)} choices")
    if conversation.closed_ms and at != "closed":
        _broken("state", f"{cv}: closed, and {at}")
    if conversation.service.clocks:
        running = [clock.name for clock in conversation.service.clocks]
        if len(set(running)) != len(running) or at == "closed":
            _broken("clocks", f"{cv}: {at}, and {running} run")


def _check_company(state: State, conversation: Conversation) -> None:
    """Those beside the owner: each once, known to both sides, and few."""
    cv = conversation.cv
    if not (conversation.members or conversation.overseers or conversation.invitations):
        return  # nearly always, and every message asks
    members = [member.agent for member in conversation.members]
    overseers = [overseer.id for overseer in conversation.overseers]
    if conversation.state == "closed" and (members or overseers or conversation.invitations):
        _broken("company", f"{cv}: closed, and somebody takes part")
    for name in members:
        if name not in state.agents or cv not in state.agents[name].helps:
            _broken("company", f"{cv}: {name} does not take part")
    if conversation.owner in members:
        _broken("company", f"{cv}: its owner takes part beside themselves")
    takers = 0
    for iid in conversation.invitations:
        invitation = state.invitations.get(iid)
        if invitation is None or invitation.cv != cv:
            _broken("company", f"{cv}: invitation {iid}")
        if invitation.agent and invitation.agent == conversation.owner:
            _broken("company", f"{cv}: its owner is asked in")
        takers += invitation.takes
    if takers > 1 or (takers and not conversation.owner):
        _broken("company", f"{cv}: {takers} are to take it from {conversation.owner!r}")
    for what, names, most in (
        ("members", members, limits.MEMBERS_MAX),
        ("overseers", overseers, limits.OVERSEERS_MAX),
        ("invitations", list(conversation.invitations), limits.INVITATIONS_MAX),
    ):
        if len(set(names)) != len(names) or len(names) > most:
            _broken("company", f"{cv}: {what} {names}")


def _check_invitation(state: State, invitation: Invitation) -> None:
    conversation = state.conversations.get(invitation.cv)
    if conversation is None or invitation.iid not in conversation.invitations:
        _broken("company", f"invitation {invitation.iid}: not its conversation's")
    if not invitation.agent:
        if not invitation.queue:
            _broken("company", f"invitation {invitation.iid}: asks nobody")
        return
    agent = state.agents.get(invitation.agent)
    if agent is None or invitation.iid not in agent.invitations:
        _broken("company", f"invitation {invitation.iid}: not its agent's")


def _check_guest(state: State, agent: Agent) -> None:
    """What an agent has to do with others' conversations."""
    name = agent.agent
    for cv in agent.helps:
        conversation = state.conversations.get(cv)
        if conversation is None or name not in [one.agent for one in conversation.members]:
            _broken("company", f"{name} takes part in {cv}, which does not know")
    for iid in agent.invitations:
        invitation = state.invitations.get(iid)
        if invitation is None or invitation.agent != name:
            _broken("company", f"{name}: invitation {iid}")
    if len(agent.helps) > limits.HELPS_MAX or len(agent.invitations) > limits.INVITED_MAX:
        _broken("company", f"{name}: {len(agent.helps)}, {len(agent.invitations)}")
    if not agent.sessions and (agent.helps or agent.invitations or agent.until_ms):
        _broken("presence", f"{name} is gone, and takes part")


def _check_agent(state: State, agent: Agent) -> None:
    name = agent.agent
    for cv in agent.conversations:
        conversation = state.conversations.get(cv)
        if conversation is None or conversation.owner != name:
            _broken("I3", f"{name} holds {cv}, but does not own it")
    for oid in agent.offers:
        offer = state.offers.get(oid)
        if offer is None or offer.agent != name:
            _broken("I4", f"{name}: offer {oid}")
    for sid in agent.sessions:
        session = state.sessions.get(sid)
        if session is None or session.agent != name:
            _broken("presence", f"{name}: {sid}")
    for ids in (agent.conversations, agent.offers, agent.sessions):  # one id may be of two kinds
        if len(set(ids)) != len(ids):
            _broken("I4", f"{name} holds something twice")
    held = (*agent.conversations, *agent.offers)
    if not agent.sessions and (held or agent.wrap_ups or agent.status != "offline"):
        _broken("presence", f"{name} is gone, {agent.status}, and holds {held}")
    _check_load(state, agent)
    _check_guest(state, agent)
    if agent.status == "offline" and name in state.by_target:
        _broken("presence", f"{name} is waited for, and offline")
    if ((agent.idle_since_ms, name) in state.free) != state.is_eligible(agent):
        _broken("indexes", f"free: {name}")


def _check_load(state: State, agent: Agent) -> None:
    """Held, offered and wrapped up, by weight."""
    held = [*agent.conversations, *(state.offers[oid].cv for oid in agent.offers)]
    load = sum(state.conversations[cv].weight for cv in held)
    load += sum(one.weight for one in agent.wrap_ups)
    if agent.load != load:
        _broken("I4", f"{agent.agent}: a load of {agent.load}, and holds {load}")
    wrapping = [one.cv for one in agent.wrap_ups]
    if len(set(wrapping)) != len(wrapping) or set(wrapping) & set(agent.conversations):
        _broken("I4", f"{agent.agent} wraps up {wrapping}, and holds {agent.conversations}")
    if len(wrapping) > limits.WRAP_UPS_MAX:
        _broken("bounds", f"{agent.agent} wraps up {len(wrapping)} conversations")
    for one in agent.wrap_ups:
        if (one.until_ms, agent.agent, one.cv) not in state.wrap_ends:
            _broken("indexes", f"wrap_ends: {agent.agent}, {one.cv}")


def _check_offer(state: State, offer: Offer) -> None:
    conversation = state.conversations.get(offer.cv)
    if conversation is None or conversation.offer != offer.oid:
        _broken("I4", f"offer {offer.oid}: not its conversation's")
    agent = state.agents.get(offer.agent)
    if agent is None or offer.oid not in agent.offers:
        _broken("I4", f"offer {offer.oid}: not its agent's")


def _check_account(account: Account) -> None:
    if account.rev <= 0 or not 1 <= account.capacity <= limits.CAPACITY_MAX:
        _broken("state", f"account {account.id}: revision {account.rev}, {account.capacity}")
    if len(account.secrets) > limits.SECRETS_MAX:
        _broken("bounds", f"account {account.id}: {len(account.secrets)} secrets")
    if not all(secret.startswith(limits.ARGON2ID_PREFIX) for secret in account.secrets):
        _broken("state", f"account {account.id}: a secret that is not hashed")


def _check_tail(conversation: Conversation) -> None:
    if not conversation.tail.is_whole:
        _broken("I2", f"{conversation.cv}: a tail that no append makes")


def _check_times(conversation: Conversation) -> None:
    times = [event.ts for event in conversation.tail]
    if times != sorted(times):
        _broken("state", f"{conversation.cv}: time ran backwards")


def _check_bounds(state: State) -> None:
    for what, count, most in (
        ("nodes", len(state.nodes), limits.NODES_MAX),
        ("proposers", len(state.proposers), limits.NODES_MAX),
        ("agents", len(state.agents), limits.AGENTS_MAX),
        ("conversations", len(state.conversations), limits.CONVERSATIONS_MAX),
        ("rule sets", len(state.rule_sets), limits.RULE_SETS_KEPT),
        ("audit", len(state.audit), limits.AUDIT_MAX),
        ("heal_log", len(state.heal_log), limits.HEAL_LOG_MAX),
        ("consents", len(state.consents), limits.NODES_MAX),
        ("faults", len(state.faults), limits.FAULTS_MAX),
        ("accounts", len(state.accounts), limits.ACCOUNTS_MAX),
        ("revoked tokens", len(state.revoked), limits.TOKENS_REVOKED_MAX),
        ("cutoffs", len(state.cutoffs), limits.CUTOFFS_MAX),
        ("routings", len(state.routings), ROUTINGS_MAX),
        ("bytes of routings", state.routings_bytes, ROUTINGS_BYTES_MAX),
        ("visitors served", len(state.served), limits.SERVED_MAX),
        ("tallies", len(state.tallies), limits.TALLIES_MAX),
        ("rows of ratings", len(state.ratings), limits.RATING_ROWS_MAX + limits.FORGET_RATINGS_MAX),
        ("canned responses", len(state.canned), limits.CANNED_MAX),
        ("queues without agents", len(state.unstaffed), limits.QUEUES_MAX),
    ):
        if count > most:
            _broken("bounds", f"{count} {what} of {most}")
    ages = [at_ms for at_ms, _ in state.key_ages]
    if ages != sorted(ages):
        _broken("state", "keys are not in the order of their age")


def _check_indexes(state: State) -> None:
    rebuilt = state.frozen_copy()
    rebuilt.rebuild_indexes()
    for name in INDEXES:
        if getattr(state, name) != getattr(rebuilt, name):
            _broken("indexes", name)


def _broken(name: str, detail: str) -> NoReturn:
    raise InvariantViolated(name, detail)
