"""The replicated state as clients see it.  No I/O.

    audience   who                                         sees
    visitor    whoever opened the conversation             events for all, with what concerns them;
                                                           those for agents as `hidden`
    agent      agents, supervisors, operators, services    everything

A hidden event still has its `seq`, so that every observer can check that none is missing.
"""

from collections.abc import Iterator
from typing import Any, Literal

from cluster.state.company import Invitation
from cluster.state.events import Event
from cluster.state.model import Agent, Conversation, Offer
from cluster.state.state import State
from node.auth import Principal
from node.desk.service_views import rating_view, sla_view
from node.finding.texts import preview
from node.protocol.catalogue import Ev, Inbox, OfferPush, PresencePush

Audience = Literal["visitor", "agent"]
_VISITOR_DATA: dict[str, frozenset[str]] = {
    "queued": frozenset({"queue", "offline"}),
    "offered": frozenset(),
    "assigned": frozenset({"agent", "name"}),
    "unassigned": frozenset(),
    "transferred": frozenset({"warm"}),
    "joined": frozenset({"agent", "supervisor", "name"}),
    "left": frozenset({"agent", "supervisor", "name"}),
    "overflow": frozenset({"do", "text"}),
}
"""What visitors learn of how they are served; of other types they see all data."""


def audience_of(principal: Principal) -> Audience:
    """Return which view of events `principal` gets."""
    return "visitor" if principal.role == "visitor" else "agent"


def event_push(cv: str, event: Event, audience: Audience) -> Ev:
    """Return `event` as `audience` may see it."""
    data = event.data
    if audience == "visitor":
        if event.hidden:
            return Ev(cv=cv, seq=event.seq, type="hidden", ts=event.ts)
        shown = _VISITOR_DATA.get(event.type)
        if shown is not None:
            data = {name: value for name, value in data.items() if name in shown}
    return Ev(
        cv=cv,
        seq=event.seq,
        type=event.type,
        by=event.by,
        ts=event.ts,
        mid=event.mid,
        data=data,
    )


def looks_alike(event: Event) -> bool:
    """Say whether both audiences see the same of `event`."""
    return not event.hidden and event.type not in _VISITOR_DATA


def conversation_view(conversation: Conversation, audience: Audience) -> dict[str, Any]:
    """Return the conversation without its events: `cv.get`'s `conv`."""
    view: dict[str, Any] = {
        "cv": conversation.cv,
        "state": conversation.state,
        "channel": conversation.channel,
        "lang": conversation.lang,
        "subject": conversation.subject,
        "opened": conversation.opened_ms,
        "closed": conversation.closed_ms,
        "seq": conversation.seq,
        "first": first_kept(conversation),
        "owner": conversation.owner,
    }
    if conversation.rating is not None:
        view["rating"] = rating_view(conversation.rating)
    if audience == "agent":
        view |= {
            "visitor": {
                "kind": conversation.visitor_kind,
                "id": conversation.visitor,
                "name": conversation.visitor_name,
            },
            "tags": conversation.tags,
            "attrs": conversation.attrs,
            "queue": conversation.queue,
            "prio": conversation.priority,
            "rule": conversation.rule,
            "rev": conversation.rev,
            "skills": list(conversation.skills),
            "fence": conversation.fence,
            "missed": conversation.missed,
            "members": [
                {"agent": one.agent, "name": one.name, "since": one.since_ms}
                for one in conversation.members
            ],
        }
        if conversation.service.level is not None:
            view["sla"] = sla_view(conversation.service)
    return view


def first_kept(conversation: Conversation) -> int:
    """Return the `seq` of the oldest event that is kept; 1 when there is none yet."""
    return conversation.tail[0].seq if conversation.tail else conversation.seq + 1


def inbox_push(agent: Agent) -> Inbox:
    """Return the agent's own state."""
    return Inbox(status=agent.status, load=agent.load, capacity=agent.capacity)


def offer_push(offer: Offer, conversation: Conversation, now_ms: int) -> OfferPush:
    """Return `offer` as its agent sees it; `ttl` is what is left of it at `now_ms`."""
    return OfferPush(
        oid=offer.oid,
        cv=offer.cv,
        queue=conversation.queue,
        prio=conversation.priority,
        exp=offer.deadline_ms,
        ttl=max(0, offer.deadline_ms - now_ms),
        why=_why(conversation),
        cust={
            "name": conversation.visitor_name,
            "lang": conversation.lang,
            "tags": conversation.tags,
        },
        preview=preview(conversation),
    )


def _why(conversation: Conversation) -> dict[str, Any]:
    """Return why the conversation is where it is: a rule and its step, or a person."""
    why: dict[str, Any] = {"rule": conversation.rule, "rev": conversation.rev}
    if len(conversation.route.steps) > 1:
        why |= {"step": conversation.step + 1, "steps": len(conversation.route.steps)}
    return why | ({"by_hand": True} if conversation.by_hand else {})


def invitation_push(invitation: Invitation, conversation: Conversation, now_ms: int) -> OfferPush:
    """Return `invitation` as the agent whom it asks sees it."""
    return OfferPush(
        oid=invitation.iid,
        cv=invitation.cv,
        queue=invitation.queue or conversation.queue,
        prio=conversation.priority,
        exp=invitation.deadline_ms,
        ttl=max(0, invitation.deadline_ms - now_ms),
        why={"by": invitation.by.name or invitation.by.id},
        cust={
            "name": conversation.visitor_name,
            "lang": conversation.lang,
            "tags": conversation.tags,
        },
        preview=preview(conversation),
        asks="take" if invitation.takes else "join",
        note=invitation.note,
    )


def presence_push(agent: Agent) -> PresencePush:
    """Return what others may know of an agent."""
    return PresencePush(
        who=agent.agent,
        name=agent.name,
        status=agent.status,
        since=agent.status_since_ms,
        src=agent.status_src,
        reason=agent.reason,
        until=agent.until_ms,
    )


def agent_snapshot(state: State, agent: str) -> dict[str, Any]:
    """Return `welcome.snap`: the agent's own state, and the conversations held."""
    found = state.agents.get(agent)
    held = list(_held(state, agent))
    return {
        "status": found.status if found else "offline",
        "load": found.load if found else 0,
        "capacity": found.capacity if found else 0,
        "cvs": [{"cv": conv.cv, "seq": conv.seq, "fence": conv.fence} for conv in held],
        "helps": [
            {"cv": cv, "seq": state.conversations[cv].seq} for cv in (found.helps if found else ())
        ],
    }


def _held(state: State, agent: str) -> Iterator[Conversation]:
    found = state.agents.get(agent)
    for cv in found.conversations if found else ():
        conversation = state.conversations.get(cv)
        if conversation is not None:
            yield conversation
