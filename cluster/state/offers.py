"""The lifecycle of an offer.  No I/O.

    offer.make     ──▶ pending        checked again: waiting, eligible, skilled, below capacity
    offer.accept   pending ──▶ accepted    the conversation is assigned, its fence rises
    offer.decline  pending ──▶ declined  ┐
    offer.expire   pending ──▶ timeout   ├ the conversation waits again, with its original age
    (agent lost)   pending ──▶ lost      ┘
    (transfer)     pending ──▶ withdrawn
    (close)        pending ──▶ closed

The log orders an accept against the expiry of the same offer, exactly once.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.commands import (
    SYSTEM,
    AcceptOffer,
    DeclineOffer,
    ExpireOffer,
    MakeOffer,
)
from cluster.state.limits import OFFER_TTL_MS, PASSED_MAX
from cluster.state.model import Conversation, Offer, OfferEnd
from cluster.state.outcome import OfferGone, OfferMade


def make(change: Change, command: MakeOffer) -> dict[str, Any]:
    """Offer a waiting conversation to an agent."""
    state = change.state
    conversation = change.open_conversation(command.cv)
    agent = change.agent(command.agent)
    if command.oid in state.offers:
        no("conflict", "an offer of this id is pending")
    if conversation.state != "waiting":
        no("conflict", f"the conversation is {conversation.state}")
    if conversation.target and conversation.target != agent.agent:
        no("conflict", f"the conversation waits for {conversation.target}")
    if not state.is_eligible(agent):
        no("at_capacity", f"{agent.agent} cannot be offered more now", load=agent.load)
    if not all(skill in agent.skills for skill in conversation.skills):
        no("conflict", f"{agent.agent} lacks a skill")
    if not OFFER_TTL_MS[0] <= command.ttl_ms <= OFFER_TTL_MS[1]:
        no("bad_request", f"a time to accept of {command.ttl_ms} ms")
    offer = Offer(
        command.oid, conversation.cv, agent.agent, change.now_ms, change.now_ms + command.ttl_ms
    )
    state.put_offer(offer)
    change.change_agent(agent, offers=(*agent.offers, offer.oid))
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
    offer = _pending(change, command.oid, command.by.id)
    if command.by.kind != "agent":
        no("forbidden", "only the agent who was offered it may accept")
    conversation = change.conversation(offer.cv)
    _drop(change, offer, "accepted")
    agent = change.agent(offer.agent)
    change.change_agent(agent, conversations=(*agent.conversations, offer.cv))
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
    offer = _pending(change, command.oid, command.by.id)
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
    _drop(change, offer, why)
    conversation = change.conversation(offer.cv)
    change.append(
        conversation,
        "queued",
        SYSTEM,
        data={
            "queue": conversation.queue,
            "priority": conversation.priority,
            "reason": why,
            "agent": offer.agent,
        },
        state="waiting",
        offer="",
        target="",
        passed=(*conversation.passed, offer.agent)[-PASSED_MAX:],
    )
    change.change_agent(change.agent(offer.agent), idle_since_ms=change.now_ms)


def withdraw(change: Change, conversation: Conversation, why: OfferEnd) -> Conversation:
    """End the pending offer of `conversation`, if there is one, without an event."""
    if not conversation.offer:
        return conversation
    _drop(change, change.state.offers[conversation.offer], why)
    waiting = replace(conversation, offer="", state="waiting")
    change.state.put_conversation(waiting)
    return waiting


def _pending(change: Change, oid: str, agent: str) -> Offer:
    offer = change.state.offers.get(oid)
    if offer is None:
        no("offer_gone", "the offer is not pending any more")
    if offer.agent != agent:
        no("forbidden", "the offer was made to another agent")
    return offer


def _drop(change: Change, offer: Offer, why: OfferEnd) -> None:
    change.state.drop_offer(offer.oid)
    agent = change.agent(offer.agent)
    change.change_agent(agent, offers=tuple(oid for oid in agent.offers if oid != offer.oid))
    change.notices.append(OfferGone(offer, why))
