"""The lifecycle of an offer.  No I/O.

    command         from ──▶ to                the conversation          events
    -------         -----------                ----------------          ------
    offer.make      nothing ──▶ pending        waiting ──▶ offered       offered
    (queue: auto)   nothing                    waiting ──▶ assigned      assigned
    cv.take         nothing                    waiting ──▶ assigned      assigned
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

Who is named - in a transfer, as the bot of an overflow, as the last agent of what is opened again -
need not hold what its step asks for; whoever comes after them must.
No offer is made, and nothing is taken, beyond an agent's capacity, by weight.  Where a queue says
so (`mode`) an offer is accepted by being made, and (`on_timeout`) who lets one lapse is away.

A conversation that comes back is as old as ever, and whoever passed on it is asked last.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_names
from cluster.state.commands import (
    SYSTEM,
    AcceptOffer,
    By,
    DeclineOffer,
    ExpireOffer,
    MakeOffer,
    TakeConversation,
)
from cluster.state.limits import CHOICE_PASSED_MAX, CHOICES_KEPT, OFFER_TTL_MS, PASSED_MAX
from cluster.state.model import Agent, Conversation, Offer, OfferEnd
from cluster.state.outcome import OfferGone, OfferMade
from cluster.state.parting import ask_in_no_more, drop_member
from cluster.state.route import Choice
from cluster.state.statuses import become
from cluster.state.wrap_up import hold


def make(change: Change, command: MakeOffer) -> dict[str, Any]:
    """Offer a waiting conversation to an agent; where the queue says so, assign it at once."""
    state = change.state
    conversation = change.open_conversation(command.cv)
    agent = change.agent(command.agent)
    check_ids(command.oid)
    if command.oid in state.offers or command.oid in state.invitations:
        no("conflict", "an offer of this id is pending")
    if not OFFER_TTL_MS[0] <= command.ttl_ms <= OFFER_TTL_MS[1]:
        no("bad_request", f"a time to accept of {command.ttl_ms} ms")
    _check_choice(command.choice)
    _check_match(change, conversation, agent)
    choices = conversation.choices
    if command.choice is not None:
        choices = (*choices, command.choice)[-CHOICES_KEPT:]
    settings = state.queue(conversation.queue)
    if settings is not None and settings.mode == "auto":
        agent = replace(agent, offered_ms=change.now_ms)
        conversation = assign(change, conversation, agent, SYSTEM, choices=choices)
        return {"cv": conversation.cv, "seq": conversation.seq, "fence": conversation.fence}
    deadline_ms = change.now_ms + command.ttl_ms
    offer = Offer(command.oid, conversation.cv, agent.agent, change.now_ms, deadline_ms)
    state.put_offer(offer)
    change.change_agent(
        agent,
        offers=(*agent.offers, offer.oid),
        load=agent.load + conversation.weight,
        idle_since_ms=change.now_ms,
        offered_ms=change.now_ms,
    )
    change.append(
        conversation,
        "offered",
        SYSTEM,
        data={"agent": agent.agent},
        state="offered",
        offer=offer.oid,
        choices=choices,
    )
    change.notices.append(OfferMade(offer))
    return {"oid": offer.oid, "deadline": offer.deadline_ms}


def accept(change: Change, command: AcceptOffer) -> dict[str, Any]:
    """Assign the conversation to the agent who accepts."""
    offer = _pending(change, command.oid, command.by)
    conversation = change.conversation(offer.cv)
    agent = _taken_from(change, offer)
    conversation = assign(change, conversation, agent, command.by, told=offer)
    return {"cv": conversation.cv, "seq": conversation.seq, "fence": conversation.fence}


def take(change: Change, command: TakeConversation) -> dict[str, Any]:
    """Assign a waiting conversation to the agent who helps themselves to it."""
    if command.by.kind != "agent":
        no("forbidden", f"a {command.by.kind} takes no conversation", rule="role")
    conversation = change.open_conversation(command.cv)
    agent = change.agent(command.by.id)
    _check_place(conversation, agent)
    if not change.state.is_present(agent) or agent.status == "offline":
        no("conflict", f"{agent.agent} is not here")
    conversation = assign(change, conversation, agent, command.by)
    return {"cv": conversation.cv, "seq": conversation.seq, "fence": conversation.fence}


def assign(
    change: Change,
    conversation: Conversation,
    agent: Agent,
    by: By,
    *,
    told: Offer | None = None,
    **changes: Any,
) -> Conversation:
    """Give the conversation to `agent`, a value that may not be put yet, and return it.

    `told` is the offer that was accepted.
    """
    agent = hold(change, agent, conversation)
    conversation = drop_member(change, conversation, agent.agent)
    conversation = ask_in_no_more(change, conversation, agent.agent)
    if told is not None:
        change.notices.append(OfferGone(told, "accepted"))
    change.state.put_served(conversation.visitor_kind, conversation.visitor, agent.agent)
    fence = conversation.fence + 1
    return change.append(
        conversation,
        "assigned",
        by,
        data={"agent": agent.agent, "name": agent.name, "fence": fence},
        state="assigned",
        owner=agent.agent,
        fence=fence,
        offer="",
        target="",
        preferred="",
        passed=(),
        waiting_since_ms=0,
        **changes,
    )


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
    _send_away(change, offer)
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


def _send_away(change: Change, offer: Offer) -> None:
    """Let who does not answer be away, where the queue says so: others are asked in their place."""
    settings = change.state.queue(change.conversation(offer.cv).queue)
    agent = change.agent(offer.agent)
    if settings is not None and "away" in settings.on_timeout and agent.status == "online":
        become(change, agent, "away", "admin", reason="offer_timeout")


def _check_match(change: Change, conversation: Conversation, agent: Agent) -> None:
    """Refuse an offer that the state does not call for (any more)."""
    _check_place(conversation, agent)
    if conversation.preferred not in ("", agent.agent):
        no("conflict", f"the conversation prefers {conversation.preferred}")
    if not change.state.may_be_offered(agent, by_name=bool(conversation.target)):
        no("conflict", f"{agent.agent} is {agent.status}, or has no live session")


def _check_place(conversation: Conversation, agent: Agent) -> None:
    """Refuse an agent who could not serve a conversation, or one that does not wait for them."""
    if conversation.state != "waiting":
        no("conflict", f"the conversation is {conversation.state}")
    if conversation.target not in ("", agent.agent):
        no("conflict", f"the conversation waits for {conversation.target}")
    lacking = agent.lacks(conversation.skills)
    if lacking and not conversation.target:
        no("conflict", f"{agent.agent} lacks {lacking}")
    if agent.load + conversation.weight > agent.capacity:
        no("at_capacity", f"{agent.agent} is at capacity", load=agent.load)


def _check_choice(choice: Choice | None) -> None:
    if choice is None:
        return
    check_names(choice.tie, choice.order, *choice.counts)
    check_ids(choice.agent)
    for name, reason in choice.passed:
        check_names(name, reason)
    if max(len(choice.passed), len(choice.counts)) > CHOICE_PASSED_MAX:
        no("too_large", f"a choice with more than {CHOICE_PASSED_MAX} reasons")


def _pending(change: Change, oid: str, by: By) -> Offer:
    offer = change.state.offers.get(oid)
    if offer is None:
        no("offer_gone", "the offer is not pending any more")
    if (by.kind, by.id) != ("agent", offer.agent):
        no("forbidden", "the offer was made to another", rule="offer.not_yours")
    return offer


def _end(change: Change, offer: Offer, why: OfferEnd) -> None:
    """Take the offer from its agent, and tell."""
    change.change_agent(_taken_from(change, offer), idle_since_ms=change.now_ms)
    change.notices.append(OfferGone(offer, why))


def _taken_from(change: Change, offer: Offer) -> Agent:
    """Forget the offer; return its agent without it, to be put by the caller."""
    change.state.drop_offer(offer.oid)
    agent = change.agent(offer.agent)
    weight = change.conversation(offer.cv).weight
    left = tuple(oid for oid in agent.offers if oid != offer.oid)
    return replace(agent, offers=left, load=agent.load - weight)
