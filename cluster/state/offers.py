"""The lifecycle of an offer.  No I/O.

    command         from ──▶ to                the conversation          events
    -------         -----------                ----------------          ------
    offer.make      nothing ──▶ pending        waiting ──▶ offered       offered
    offer.accept    pending ──▶ accepted       offered ──▶ assigned      assigned
    offer.decline   pending ──▶ declined   ┐
    offer.expire    pending ──▶ timeout    ├   offered ──▶ waiting       queued
    (agent lost)    pending ──▶ lost       │
    (offline)       pending ──▶ withdrawn  ┘
    (cv.transfer)   pending ──▶ withdrawn      see `conversations`
    (cv.close)      pending ──▶ closed         see `conversations`

An offer that ended is forgotten; its end is told by a notice and by the event.  Acceptance and
expiry are ordered by the log: whichever comes first in it holds, on every node.  An offer past
its deadline that nobody expired yet can still be accepted.

A conversation that comes back is as old as ever, and whoever passed on it is asked last.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_names
from cluster.state.commands import SYSTEM, AcceptOffer, By, DeclineOffer, ExpireOffer, MakeOffer
from cluster.state.limits import OFFER_TTL_MS, PASSED_MAX
from cluster.state.model import Agent, Conversation, Offer, OfferEnd
from cluster.state.outcome import OfferGone, OfferMade


def make(change: Change, command: MakeOffer) -> dict[str, Any]:
    """Offer a waiting conversation to an agent."""
    state = change.state
    conversation = change.open_conversation(command.cv)
    agent = change.agent(command.agent)
    check_ids(command.oid)
    if command.oid in state.offers:
        no("conflict", "an offer of this id is pending")
    if not OFFER_TTL_MS[0] <= command.ttl_ms <= OFFER_TTL_MS[1]:
        no("bad_request", f"a time to accept of {command.ttl_ms} ms")
    _check_match(change, conversation, agent)
    deadline_ms = change.now_ms + command.ttl_ms
    offer = Offer(command.oid, conversation.cv, agent.agent, change.now_ms, deadline_ms)
    state.put_offer(offer)
    change.change_agent(agent, offers=(*agent.offers, offer.oid), idle_since_ms=change.now_ms)
    change.append(
        conversation,
        "offered",
        SYSTEM,
        data={"agent": agent.agent},
        state="offered",
        offer=offer.oid,
    )
    change.notices.append(OfferMade(offer))
    return {"oid": offer.oid, "deadline": offer.deadline_ms}


def accept(change: Change, command: AcceptOffer) -> dict[str, Any]:
    """Assign the conversation to the agent who accepts."""
    offer = _pending(change, command.oid, command.by)
    conversation = change.conversation(offer.cv)
    agent = _end(change, offer, "accepted", conversations=offer.cv)
    fence = conversation.fence + 1
    conversation = change.append(
        conversation,
        "assigned",
        command.by,
        data={"agent": agent.agent, "name": agent.name, "fence": fence},
        state="assigned",
        owner=agent.agent,
        fence=fence,
        offer="",
        target="",
        passed=(),
    )
    return {"cv": conversation.cv, "seq": conversation.seq, "fence": fence}


def decline(change: Change, command: DeclineOffer) -> dict[str, Any]:
    """Put the conversation back; the agent who declined is asked last."""
    offer = _pending(change, command.oid, command.by)
    check_names(command.reason)
    put_back(change, offer, "declined")
    return {}


def expire(change: Change, command: ExpireOffer) -> dict[str, Any]:
    """End an offer whose deadline has passed by cluster time."""
    offer = change.state.offers.get(command.oid)
    if offer is None:
        no("offer_gone", "the offer is not pending")
    if change.now_ms < offer.deadline_ms:
        no("conflict", f"the offer lasts {offer.deadline_ms - change.now_ms} ms more")
    put_back(change, offer, "timeout")
    return {}


def put_back(change: Change, offer: Offer, why: OfferEnd) -> None:
    """End `offer`; its conversation waits again, and its agent goes to the end of the line."""
    _end(change, offer, why)
    conversation = change.conversation(offer.cv)
    passed = tuple(agent for agent in conversation.passed if agent != offer.agent)
    conversation = change.put(
        conversation,
        state="waiting",
        offer="",
        target="",
        passed=(*passed, offer.agent)[-PASSED_MAX:],
    )
    change.requeue(conversation, why, agent=offer.agent)


def withdraw(change: Change, conversation: Conversation, why: OfferEnd) -> Conversation:
    """End the pending offer of `conversation`, if there is one, without an event."""
    if not conversation.offer:
        return conversation
    _end(change, change.state.offers[conversation.offer], why)
    return change.put(conversation, offer="", state="waiting")


def _check_match(change: Change, conversation: Conversation, agent: Agent) -> None:
    """Refuse an offer that the state does not call for (any more)."""
    if conversation.state != "waiting":
        no("conflict", f"the conversation is {conversation.state}")
    if conversation.target and conversation.target != agent.agent:
        no("conflict", f"the conversation waits for {conversation.target}")
    missing = [skill for skill in conversation.skills if skill not in agent.skills]
    if missing:
        no("conflict", f"{agent.agent} lacks {missing[0]}")
    if agent.load >= agent.capacity:
        no("at_capacity", f"{agent.agent} is at capacity", load=agent.load)
    if not change.state.is_eligible(agent):
        no("conflict", f"{agent.agent} is {agent.status}, or has no live session")


def _pending(change: Change, oid: str, by: By) -> Offer:
    offer = change.state.offers.get(oid)
    if offer is None:
        no("offer_gone", "the offer is not pending any more")
    if (by.kind, by.id) != ("agent", offer.agent):
        no("forbidden", "the offer was made to another", rule="offer.not_yours")
    return offer


def _end(change: Change, offer: Offer, why: OfferEnd, *, conversations: str = "") -> Agent:
    """Take the offer from its agent, who gets `conversations` for it; return the agent."""
    change.state.drop_offer(offer.oid)
    agent = change.agent(offer.agent)
    held = (*agent.conversations, conversations) if conversations else agent.conversations
    agent = change.change_agent(
        agent,
        offers=tuple(oid for oid in agent.offers if oid != offer.oid),
        conversations=held,
        idle_since_ms=change.now_ms,
    )
    change.notices.append(OfferGone(offer, why))
    return agent
