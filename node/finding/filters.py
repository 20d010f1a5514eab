"""Which conversations are asked for, and which of them are anybody's to see.  No I/O.

    who                      lists
    visitor                  what they opened
    agent                    what they have, had, are offered or were passed by name;
                             what waits in the queues they serve
    supervisor, operator,
    service                  all

    filter.agent             of one that somebody has: who has it; else who ever had it
    filter.state "open"      all but closed

`proposals` names lines that together hold all that is wanted, the shortest that there are;
`matches` decides on each.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cluster.state.model import Agent, Conversation
from cluster.state.state import State
from node.auth import Principal
from node.desk.access import has_opened
from node.finding import facets as by
from node.finding.facets import Facet, Facets, Key, Line, tag_text
from node.protocol.requests.lists import ConversationFilter

STATES = ("new", "waiting", "offered", "assigned", "closed")
_OVERSEERS = frozenset({"supervisor", "operator", "service"})


class Proposal(NamedTuple):
    """Lines whose union holds all that is wanted, and single ones beside them."""

    lines: Sequence[Line]
    keys: Sequence[Key] = ()

    @property
    def size(self) -> int:
        """How many there are at most."""
        return sum(map(len, self.lines)) + len(self.keys)


def serves(state: State, agent: Agent, queue: str) -> bool:
    """Say whether `agent` holds what `queue` asks of its agents."""
    return not agent.lacks(state.skills_of(queue))


def queues_of(state: State, facets: Facets, agent_id: str) -> frozenset[str]:
    """Return the queues that the agent serves, of those where somebody is."""
    agent = state.agents.get(agent_id)
    if agent is None:
        return frozenset()
    return frozenset(queue for queue in facets.queues() if serves(state, agent, queue))


def proposals(
    wanted: ConversationFilter, principal: Principal, state: State, facets: Facets
) -> Proposal:
    """Return the shortest lines that hold all that `principal` may see of what is wanted."""
    found = [Proposal((facets.line(by.EVERYTHING),))]
    states = _states(wanted)
    if wanted.queue:
        found.append(_lines(facets, (by.place_of(wanted.queue, one) for one in states)))
    elif wanted.state:
        found.append(_lines(facets, map(by.state_of, states)))
    if wanted.agent:
        found.append(_lines(facets, [by.agent_of(wanted.agent)]))
    if wanted.channel:
        found.append(_lines(facets, [by.channel_of(wanted.channel)]))
    if wanted.visitor:
        kinds = ("visitor", "service", "system")
        found.append(_lines(facets, (by.opener_of(kind, wanted.visitor) for kind in kinds)))
    if wanted.missed:
        found.append(_lines(facets, [by.MISSED]))
    for name, value in wanted.tags.items():
        facet = by.tag_of(name, tag_text(value))
        if facets.has_line(facet) and len(facet[2]) <= by.TAG_CHARACTERS_MAX:
            found.append(_lines(facets, [facet]))
    if principal.role not in _OVERSEERS:
        found.append(_own(principal, state, facets))
    return min(found, key=lambda one: one.size)


class Wanted:
    """What one request asks for, as a question to each conversation."""

    def __init__(
        self, wanted: ConversationFilter, principal: Principal, state: State, facets: Facets
    ) -> None:
        self._wanted = wanted
        self._principal = principal
        self._state = state
        self._facets = facets
        self._states = _states(wanted)
        own = principal.role == "agent"
        self._queues = queues_of(state, facets, principal.id) if own else frozenset()

    def matches(self, conversation: Conversation) -> bool:
        """Say whether it is wanted, and may be seen."""
        wanted = self._wanted
        return (
            conversation.state in self._states
            and wanted.queue in ("", conversation.queue)
            and wanted.channel in ("", conversation.channel)
            and wanted.visitor in ("", conversation.visitor)
            and wanted.since <= conversation.opened_ms
            and (not wanted.until or conversation.opened_ms < wanted.until)
            and (not wanted.missed or bool(conversation.missed))
            and (not wanted.agent or self._has(conversation, wanted.agent))
            and all(_carries(conversation, *tag) for tag in wanted.tags.items())
            and self._may_see(conversation)
        )

    def _has(self, conversation: Conversation, agent: str) -> bool:
        if conversation.owner:
            return conversation.owner == agent
        return agent in self._facets.agents(conversation.cv)

    def _may_see(self, conversation: Conversation) -> bool:
        principal = self._principal
        if principal.role in _OVERSEERS:
            return True
        if principal.role == "visitor":
            return has_opened(principal, conversation)
        if conversation.owner == principal.id or conversation.target == principal.id:
            return True
        if principal.id in self._facets.agents(conversation.cv):
            return True
        offer = self._state.offers.get(conversation.offer)
        if offer is not None:
            return offer.agent == principal.id
        waits = conversation.state == "waiting" and not conversation.target
        return waits and conversation.queue in self._queues


def _own(principal: Principal, state: State, facets: Facets) -> Proposal:
    """Return what a visitor or an agent may see at all."""
    if principal.role == "visitor":
        return _lines(facets, [by.opener_of("visitor", principal.id)])
    queues = sorted(queues_of(state, facets, principal.id))
    lines = [by.agent_of(principal.id), *(by.place_of(queue, "waiting") for queue in queues)]
    agent = state.agents.get(principal.id)
    offered = (state.offers.get(oid) for oid in (agent.offers if agent is not None else ()))
    cvs = {offer.cv for offer in offered if offer is not None}
    cvs.update(state.by_target.get(principal.id, ()))
    some = (state.conversations.get(cv) for cv in cvs)
    keys = sorted((one.opened_ms, one.cv) for one in some if one is not None)
    return Proposal(_lines(facets, lines).lines, keys)


def _lines(facets: Facets, wanted: Iterable[Facet]) -> Proposal:
    return Proposal([line for line in map(facets.line, wanted) if line])


def _states(wanted: ConversationFilter) -> tuple[str, ...]:
    if wanted.state == "open":
        return STATES[:-1]
    return (wanted.state,) if wanted.state else STATES


def _carries(conversation: Conversation, name: str, value: object) -> bool:
    held = conversation.tags.get(name)
    if held is None:
        return False
    several = held if isinstance(held, list | tuple) else (held,)
    return tag_text(value) in map(tag_text, several)
