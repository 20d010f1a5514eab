"""What the leader proposes for invitations, and for statuses that end.  No I/O.

    invitation past its deadline              ExpireOffer
    status past its `until`                   EndStatus
    warm transfer to a queue, nobody asked    AskColleague: the longest idle of those who are
                                              free, hold its skills, and have not passed on it

A function of the state; `apply` checks each again.  A queue's own order of agents and its needs are
for those who wait in it; here an owner waits, and wants somebody soon.
"""

from collections.abc import Iterator

from cluster.state.commands import AskColleague, Command, EndStatus, ExpireOffer
from cluster.state.company import Invitation
from cluster.state.model import Agent
from cluster.state.state import State

LOOKS_MAX = 1_000
"""Agents looked at in one plan: about a millisecond."""


def due(state: State, now_ms: int, accept_ms: int) -> Iterator[Command]:
    """Yield what is due; `accept_ms` is the time to accept where the rules say nothing."""
    for deadline_ms, iid in state.invitation_ends:
        if deadline_ms > now_ms:
            break
        yield ExpireOffer(iid)
    for until_ms, agent in state.status_ends:
        if until_ms > now_ms:
            break
        yield EndStatus(agent)
    looks = LOOKS_MAX
    for iid in state.unasked:
        invitation = state.invitations[iid]
        for looked_at, (_, name) in enumerate(state.free, start=1):
            if looked_at > looks:
                return
            if _fits(state, invitation, state.agents[name]):
                yield AskColleague(iid, name, state.accept_ms(invitation.queue, accept_ms))
                break
        looks -= min(looks, len(state.free))


def _fits(state: State, invitation: Invitation, agent: Agent) -> bool:
    conversation = state.conversations[invitation.cv]
    return (
        agent.agent != conversation.owner
        and agent.agent not in invitation.passed
        and agent.load + conversation.weight <= agent.capacity
        and not agent.lacks(invitation.skills)
        and all(state.invitations[iid].cv != invitation.cv for iid in agent.invitations)
    )
