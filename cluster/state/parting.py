"""How those beside the owner leave a conversation, whatever the reason.  No I/O.

    ends                                    invitation     membership     supervision
    ----                                    ----------     ----------     -----------
    cv.close                                closed         silently       silently
    the owner lets go                       withdrawn, if it takes
    they come to own it                     withdrawn      silently
    they say so                             declined       left           left, unless unseen
    their last session is gone              lost           left
    status offline                          withdrawn
    the session from which they joined,
    its node, or that node's life           -              -              left, unless unseen

Both sides of each are changed at once: what a conversation says of an agent, the agent says too.
"""

from msgspec.structs import replace

from cluster.state.change import Change
from cluster.state.commands import SYSTEM, By
from cluster.state.company import Invitation, Overseer
from cluster.state.limits import PASSED_MAX
from cluster.state.model import Agent, Conversation, OfferEnd
from cluster.state.outcome import InvitationGone, SupervisionChanged


def without(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    """Return `items` without `item`."""
    return tuple(one for one in items if one != item)


def is_member(conversation: Conversation, agent: str) -> bool:
    """Whether the agent takes part beside the owner."""
    return any(member.agent == agent for member in conversation.members)


def joined(conversation: Conversation, by: By) -> Overseer | None:
    """Return how `by`, a supervisor, has joined."""
    if by.kind != "supervisor":
        return None
    return next((one for one in conversation.overseers if one.id == by.id), None)


def drop_member(change: Change, conversation: Conversation, agent_id: str) -> Conversation:
    """Let an agent take part no more, without an event.  Harmless when they do not."""
    if not is_member(conversation, agent_id):
        return conversation
    agent = change.agent(agent_id)
    change.change_agent(agent, helps=without(agent.helps, conversation.cv))
    members = tuple(one for one in conversation.members if one.agent != agent_id)
    return change.put(conversation, members=members)


def end_invitation(
    change: Change, invitation: Invitation, why: OfferEnd, *, by: By = SYSTEM
) -> Conversation:
    """Forget an invitation; colleagues are told unless it was accepted or the conversation ends."""
    change.state.drop_invitation(invitation.iid)
    conversation = change.conversation(invitation.cv)
    invitations = without(conversation.invitations, invitation.iid)
    conversation = change.put(conversation, invitations=invitations)
    ask_no_more(change, invitation, why)
    if why not in ("accepted", "closed"):
        data = {"agent": invitation.agent, "reason": why, "takes": invitation.takes}
        if invitation.queue:
            data["queue"] = invitation.queue
        conversation = change.append(conversation, "uninvited", by, data=data, hidden=True)
    return conversation


def ask_no_more(change: Change, invitation: Invitation, why: OfferEnd) -> None:
    """Take an invitation from the agent who is asked, if one is."""
    if not invitation.agent:
        return
    agent = change.agent(invitation.agent)
    change.change_agent(agent, invitations=without(agent.invitations, invitation.iid))
    change.notices.append(InvitationGone(invitation, why))


def ask_in_no_more(change: Change, conversation: Conversation, agent_id: str) -> Conversation:
    """The agent owns it now: who asked them to take part has what they wanted."""
    for iid in conversation.invitations:
        invitation = change.state.invitations[iid]
        if invitation.agent == agent_id:
            conversation = end_invitation(change, invitation, "withdrawn")
    return conversation


def withdraw_takeover(change: Change, conversation: Conversation) -> Conversation:
    """End the warm transfer that is pending, if one is: its owner lets go."""
    for iid in conversation.invitations:
        invitation = change.state.invitations[iid]
        if invitation.takes:
            conversation = end_invitation(change, invitation, "withdrawn")
    return conversation


def end_company(change: Change, conversation: Conversation) -> Conversation:
    """The conversation ends: nobody takes part in it any more."""
    for iid in conversation.invitations:
        conversation = end_invitation(change, change.state.invitations[iid], "closed")
    for member in conversation.members:
        conversation = drop_member(change, conversation, member.agent)
    for overseer in conversation.overseers:
        tell_supervision(change, conversation, overseer, has_joined=False)
    return change.put(conversation, overseers=())


def end_invitations_of(change: Change, agent: Agent, why: OfferEnd) -> None:
    """The agent is asked nothing any more; who looks for somebody of a queue asks the next."""
    for iid in agent.invitations:
        pass_on(change, change.state.invitations[iid], why)


def pass_on(change: Change, invitation: Invitation, why: OfferEnd, *, by: By = SYSTEM) -> None:
    """The agent who is asked will not: that is the end, or the next of the queue is asked."""
    if not invitation.queue or change.now_ms >= invitation.until_ms:
        end_invitation(change, invitation, why, by=by)
        return
    ask_no_more(change, invitation, why)
    passed = (*invitation.passed, invitation.agent)[-PASSED_MAX:]
    change.state.put_invitation(
        replace(invitation, agent="", passed=passed, deadline_ms=invitation.until_ms)
    )


def end_memberships_of(change: Change, agent: Agent, reason: str) -> None:
    """The agent is gone: they take part in nothing any more."""
    for cv in agent.helps:
        conversation = drop_member(change, change.conversation(cv), agent.agent)
        data = {"agent": agent.agent, "name": agent.name, "reason": reason}
        change.append(conversation, "left", SYSTEM, data=data)


def end_supervision(
    change: Change, conversation: Conversation, overseer: Overseer, by: By
) -> Conversation:
    """A supervisor leaves; whoever was told that they joined is told."""
    overseers = tuple(one for one in conversation.overseers if one.id != overseer.id)
    conversation = change.put(conversation, overseers=overseers)
    if overseer.mode == "monitor":
        return conversation
    data = {"supervisor": overseer.id, "name": overseer.name, "mode": overseer.mode}
    hidden = overseer.mode == "whisper"
    return change.append(conversation, "left", by, data=data, hidden=hidden)


def tell_supervision(
    change: Change, conversation: Conversation, overseer: Overseer, *, has_joined: bool
) -> None:
    """Say who follows the conversation from which session now, or does no more."""
    notice = SupervisionChanged(conversation.cv, overseer.id, overseer.sid, has_joined)
    change.notices.append(notice)


def end_supervision_at(change: Change, node: str, *, except_boot: str = "") -> None:
    """A node is silent, or began anew: supervisors who joined from there have left."""
    for cv, supervisor in sorted(change.state.overseen_at.get(node, ())):  # an index has no order
        conversation = change.conversation(cv)
        for overseer in conversation.overseers:
            if (overseer.id, overseer.node) == (supervisor, node) and overseer.boot != except_boot:
                end_supervision(change, conversation, overseer, SYSTEM)
                tell_supervision(change, conversation, overseer, has_joined=False)
