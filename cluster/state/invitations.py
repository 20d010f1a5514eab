"""Agents who are asked into a conversation: to take part, or to take over.  No I/O.

    command         from ──▶ to                             events
    -------         -----------                             ------
    cv.invite       nothing ──▶ pending                     invited
    cv.transfer     nothing ──▶ pending, and it `takes`     invited
     (warm)
    cv.ask          of a queue: unasked ──▶ pending         invited
    offer.accept    pending ──▶ member                      joined
                    pending, takes ──▶ owner, fence + 1     (joined,) transferred, assigned
    offer.decline   pending ──▶ nothing                  ┐  uninvited; of a queue: unasked
    offer.expire    past its deadline ──▶ nothing        ┘
    cv.leave        member ──▶ nothing                      left

To agents an invitation is an offer of another kind: the same push, the same two answers, the same
deadline by the log.  What sets it apart is that the conversation has an owner all the while, who
keeps it until somebody has said yes, and that membership counts against nobody's capacity: who may
be *given* work is what capacity is about, and a guest has said yes, and may leave at any time.

    who may     invite, warm transfer    cv.leave
    agent       the owner, by fence      oneself
    supervisor  yes                      yes, for others
    service     yes                      -
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import conversations, limits, offers
from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_text
from cluster.state.commands import (
    SYSTEM,
    AcceptOffer,
    AskColleague,
    By,
    DeclineOffer,
    ExpireOffer,
    InviteAgent,
    LeaveConversation,
    TransferConversation,
)
from cluster.state.company import Invitation, Member
from cluster.state.conversations import check_owner, check_queue
from cluster.state.model import Agent, Conversation
from cluster.state.outcome import InvitationMade
from cluster.state.parting import drop_member, end_invitation, is_member, pass_on, without
from cluster.state.route import Step
from cluster.state.wrap_up import hold, let_go

_INVITES = frozenset({"supervisor", "service", "system"})
WARM_TTL_MS = 60_000
"""How long a colleague who is named has to take over: time to read what was said."""


def invite(change: Change, command: InviteAgent) -> dict[str, Any]:
    """Ask an agent to take part."""
    conversation = change.open_conversation(command.cv)
    _check_may_invite(conversation, command.by, None)
    _check_new(change, conversation, command.iid, command.ttl_ms)
    agent = _check_may_be_asked(change, conversation, command.agent)
    if is_member(conversation, agent.agent):
        no("conflict", f"{agent.agent} takes part already")
    if len(conversation.members) >= limits.MEMBERS_MAX:
        no("at_capacity", f"{limits.MEMBERS_MAX} take part already")
    check_text(command.note)
    deadline_ms = change.now_ms + command.ttl_ms
    invitation = Invitation(
        command.iid,
        conversation.cv,
        command.by,
        change.now_ms,
        deadline_ms,
        agent=agent.agent,
        note=command.note,
    )
    conversation = _make(change, conversation, invitation)
    _note(change, command.by, "invite", cv=conversation.cv, agent=agent.agent)
    return {"seq": conversation.seq, "oid": command.iid, "deadline": deadline_ms}


def transfer(change: Change, command: TransferConversation) -> dict[str, Any]:
    """Transfer cold, or warm to an agent or a queue."""
    warm = (
        command.warm
        and command.to_rule is None
        and bool(command.to_agent) != bool(command.to_queue)
    )
    return _transfer_warm(change, command) if warm else conversations.transfer(change, command)


def _transfer_warm(change: Change, command: TransferConversation) -> dict[str, Any]:
    """Ask an agent, or somebody of a queue, to take over; the owner keeps it until they accept."""
    conversation = change.open_conversation(command.cv)
    by = command.by
    _check_may_invite(conversation, by, command.fence)
    if conversation.state != "assigned":
        no("conflict", f"the conversation is {conversation.state}: nobody keeps it meanwhile")
    if any(change.state.invitations[iid].takes for iid in conversation.invitations):
        no("conflict", "another warm transfer of it is pending")
    _check_new(change, conversation, command.iid, WARM_TTL_MS)
    check_text(command.note)
    invitation = Invitation(
        command.iid,
        conversation.cv,
        by,
        change.now_ms,
        change.now_ms + WARM_TTL_MS,
        takes=True,
        keep=command.keep,
        note=command.note,
    )
    if command.to_agent:
        agent = _check_may_be_asked(change, conversation, command.to_agent)
        _check_room(conversation, agent)
        to, invitation = {"agent": agent.agent}, replace(invitation, agent=agent.agent)
    else:
        until_ms = change.now_ms + limits.ASK_QUEUE_MS
        skills = _skills_of(change, conversation, command.to_queue)
        to = {"queue": command.to_queue}
        invitation = replace(
            invitation,
            queue=command.to_queue,
            skills=skills,
            until_ms=until_ms,
            deadline_ms=until_ms,
        )
    conversation = change.add_note(conversation, by, command.note)
    conversation = _make(change, conversation, invitation)
    _note(change, by, "transfer", cv=conversation.cv, to=to, warm=True)
    return {"seq": conversation.seq, "oid": command.iid}


def ask(change: Change, command: AskColleague) -> dict[str, Any]:
    """Ask the agent of the queue whom the leader chose."""
    invitation = change.state.invitations.get(command.iid)
    if invitation is None or invitation.agent:
        no("conflict", "nobody is looked for")
    conversation = change.conversation(invitation.cv)
    if not limits.OFFER_TTL_MS[0] <= command.ttl_ms <= limits.OFFER_TTL_MS[1]:
        no("bad_request", f"a time to accept of {command.ttl_ms} ms")
    agent = _check_may_be_asked(change, conversation, command.agent)
    if not change.state.is_eligible(agent):
        no("conflict", f"{agent.agent} is {agent.status}, at capacity, or has no live session")
    lacking = agent.lacks(invitation.skills)
    if lacking:
        no("conflict", f"{agent.agent} lacks {lacking}")
    _check_room(conversation, agent)
    deadline_ms = min(change.now_ms + command.ttl_ms, invitation.until_ms)
    _make(change, conversation, replace(invitation, agent=agent.agent, deadline_ms=deadline_ms))
    return {"deadline": deadline_ms}


def accept(change: Change, command: AcceptOffer) -> dict[str, Any]:
    """Accept an offer; or an invitation: take part, or take over."""
    invitation = change.state.invitations.get(command.oid)
    if invitation is None:
        return offers.accept(change, command)
    _check_asked(invitation, command.by)
    agent, conversation = change.agent(command.by.id), change.conversation(invitation.cv)
    if invitation.takes:
        _check_room(conversation, agent)
    elif len(conversation.members) >= limits.MEMBERS_MAX:
        no("at_capacity", f"{limits.MEMBERS_MAX} take part already")
    elif len(agent.helps) >= limits.HELPS_MAX:
        no("at_capacity", f"{agent.agent} takes part in {limits.HELPS_MAX} already")
    conversation = end_invitation(change, invitation, "accepted")
    if invitation.takes:
        conversation = _take_over(change, conversation, invitation)
    else:
        conversation = _add_member(change, conversation, agent.agent, command.by)
    return {"cv": conversation.cv, "seq": conversation.seq, "fence": conversation.fence}


def decline(change: Change, command: DeclineOffer) -> dict[str, Any]:
    """Decline an offer, or an invitation."""
    invitation = change.state.invitations.get(command.oid)
    if invitation is None:
        return offers.decline(change, command)
    _check_asked(invitation, command.by)
    pass_on(change, invitation, "declined", by=command.by)
    return {}


def expire(change: Change, command: ExpireOffer) -> dict[str, Any]:
    """End an offer, or an invitation, whose deadline has passed by cluster time."""
    invitation = change.state.invitations.get(command.oid)
    if invitation is None:
        return offers.expire(change, command)
    if change.now_ms < invitation.deadline_ms:
        no("conflict", f"the invitation lasts {invitation.deadline_ms - change.now_ms} ms more")
    if invitation.agent:
        pass_on(change, invitation, "timeout")
    else:
        end_invitation(change, invitation, "timeout")
    return {}


def leave(change: Change, command: LeaveConversation) -> dict[str, Any]:
    """Let an agent take part no more."""
    conversation = change.open_conversation(command.cv)
    by, agent_id = command.by, command.agent or command.by.id
    own = (by.kind, by.id) == ("agent", agent_id)
    if not own and by.kind != "supervisor":
        no("forbidden", "agents leave for themselves", rule="role")
    if not is_member(conversation, agent_id):
        if own and conversation.owner == agent_id:
            no("conflict", "its owner does not leave: transfer or close it")
        no("conflict", f"{agent_id[:64]!r} is no member of the conversation")
    agent = change.agent(agent_id)
    conversation = drop_member(change, conversation, agent_id)
    data = {"agent": agent_id, "name": agent.name, "reason": "" if own else "supervisor"}
    conversation = change.append(conversation, "left", by, data=data)
    if not own:
        change.note(by, "leave", cv=conversation.cv, agent=agent_id)
    return {"seq": conversation.seq}


def _make(change: Change, conversation: Conversation, invitation: Invitation) -> Conversation:
    """Let `invitation` be pending, and tell colleagues and the agent whom it asks."""
    change.state.put_invitation(invitation)
    invitations = (*without(conversation.invitations, invitation.iid), invitation.iid)
    conversation = change.put(conversation, invitations=invitations)
    data: dict[str, Any] = {"takes": invitation.takes}
    if invitation.queue:
        data["queue"] = invitation.queue
    if invitation.agent:
        agent = change.agent(invitation.agent)
        change.change_agent(agent, invitations=(*agent.invitations, invitation.iid))
        change.notices.append(InvitationMade(invitation))
        data["agent"] = agent.agent
    return change.append(conversation, "invited", invitation.by, data=data, hidden=True)


def _take_over(change: Change, conversation: Conversation, invitation: Invitation) -> Conversation:
    """Move the ownership to the agent who accepted, with a new fence."""
    conversation = drop_member(change, conversation, invitation.agent)
    former = conversation.owner
    before = let_go(change, change.agent(former), conversation, wraps_up=not invitation.keep)
    agent = hold(change, change.agent(invitation.agent), conversation)
    change.state.put_served(conversation.visitor_kind, conversation.visitor, agent.agent)
    fence = conversation.fence + 1
    conversation = change.put(conversation, owner=agent.agent, fence=fence)
    room = len(conversation.members) < limits.MEMBERS_MAX and len(before.helps) < limits.HELPS_MAX
    if invitation.keep and room:
        by = By("agent", before.agent, before.name)
        conversation = _add_member(change, conversation, former, by)
    to = {"agent": agent.agent, **({"queue": invitation.queue} if invitation.queue else {})}
    data: dict[str, Any] = {"to": to, "warm": True}
    conversation = change.append(
        conversation,
        "transferred",
        invitation.by,
        data=data,
        **_way(conversation, invitation),
    )
    data = {"agent": agent.agent, "name": agent.name, "fence": fence}
    by = By("agent", agent.agent, agent.name)
    return change.append(conversation, "assigned", by, data=data)


def _way(conversation: Conversation, invitation: Invitation) -> dict[str, Any]:
    """Return the route of a conversation that somebody of another queue takes over."""
    if not invitation.queue or invitation.queue == conversation.queue:
        return {}
    step = Step(invitation.queue, conversation.priority, invitation.skills)
    return {"route": replace(conversation.route, steps=(step,)), "step": 0, "by_hand": True}


def _add_member(change: Change, conversation: Conversation, agent_id: str, by: By) -> Conversation:
    agent = change.agent(agent_id)
    change.change_agent(agent, helps=(*agent.helps, conversation.cv))
    member = Member(agent.agent, agent.name, change.now_ms)
    data = {"agent": agent.agent, "name": agent.name}
    return change.append(
        conversation, "joined", by, data=data, members=(*conversation.members, member)
    )


def _check_may_invite(conversation: Conversation, by: By, fence: int | None) -> None:
    if by.kind == "agent":
        check_owner(conversation, by, fence)
    elif by.kind not in _INVITES:
        no("forbidden", f"a {by.kind} may not ask anybody in", rule="role")


def _check_new(change: Change, conversation: Conversation, iid: str, ttl_ms: int) -> None:
    check_ids(iid)
    if iid in change.state.invitations or iid in change.state.offers:
        no("conflict", "an offer of this id is pending")
    if not limits.OFFER_TTL_MS[0] <= ttl_ms <= limits.OFFER_TTL_MS[1]:
        no("bad_request", f"a time to accept of {ttl_ms} ms")
    if len(conversation.invitations) >= limits.INVITATIONS_MAX:
        no("at_capacity", f"{limits.INVITATIONS_MAX} are asked already")


def _check_may_be_asked(change: Change, conversation: Conversation, agent_id: str) -> Agent:
    """Return the agent; refuse one who is not here, owns it, or is asked already."""
    agent = change.agent_here(agent_id)
    if conversation.owner == agent.agent:
        no("conflict", f"the conversation is {agent.agent}'s already")
    if any(change.state.invitations[iid].agent == agent_id for iid in conversation.invitations):
        no("conflict", f"{agent.agent} is asked already")
    if len(agent.invitations) >= limits.INVITED_MAX:
        no("at_capacity", f"{limits.INVITED_MAX} invitations wait for {agent.agent} already")
    return agent


def _check_room(conversation: Conversation, agent: Agent) -> None:
    if agent.load + conversation.weight > agent.capacity:
        message = f"{agent.agent} is at capacity; without `warm` it waits for them"
        no("at_capacity", message, load=agent.load)


def _check_asked(invitation: Invitation, by: By) -> None:
    if (by.kind, by.id) != ("agent", invitation.agent):
        no("forbidden", "somebody else is asked", rule="offer.not_yours")


def _skills_of(change: Change, conversation: Conversation, queue: str) -> dict[str, int]:
    """Return what `queue` asks of agents; refuse one that there is not."""
    check_queue(change, conversation, queue)
    if queue == conversation.queue:
        return conversation.skills
    return change.state.skills_of(queue)


def _note(change: Change, by: By, what: str, **detail: Any) -> None:
    """Put what others than its owner do with a conversation into the audit log."""
    if by.kind != "agent" and by != SYSTEM:
        change.note(by, what, **detail)
