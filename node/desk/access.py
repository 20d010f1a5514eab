"""Who may see a conversation, and be seen in it.  No I/O.

A role opens an operation at all (`Request.roles` of the catalogue); whether *this* agent may
speak in *this* conversation is decided where it is certain, in the state machine, when the
command is applied.  Reading is decided here, on the state that was applied so far.

    follows a conversation   visitor              whoever opened it
                             agent                its owner; whom it is offered, or who is asked
                                                  in (a preview); who takes part
                             supervisor,
                             operator, service    any
    reads one                as above; an agent   those they had, once it is closed

A token that was good when it was issued may count no more: `denial` says so, from the index of the
log on at which it was revoked, or its account disabled.
"""

from typing import NamedTuple

from cluster.state import tokens
from cluster.state.model import Conversation
from cluster.state.parting import is_member, joined
from cluster.state.state import State
from node.auth import Principal
from node.protocol.codes import ErrorCode
from node.protocol.refusals import Rule


class Denial(NamedTuple):
    """Why somebody is let in no more."""

    code: ErrorCode
    rule: Rule
    message: str


def denial(principal: Principal, state: State) -> Denial | None:
    """Return why `principal` may not come in, or stay, although the token is good by itself."""
    kind, name = principal.role, principal.id
    account = state.accounts.get(name)
    if account is not None and account.disabled and account.speaks_for(kind, name):
        message = "the account is disabled: ask an operator"
        return Denial("forbidden", "account.disabled", message)
    if tokens.is_revoked(state, kind, name, jti=principal.jti, iat_s=principal.iat):
        message = "the token was revoked: log in again"
        return Denial("unauthorized", "token.revoked", message)
    return None


def has_opened(principal: Principal, conversation: Conversation) -> bool:
    """Say whether `principal` opened it; a service is not the visitor of the same id."""
    opener = (conversation.visitor_kind, conversation.visitor)
    return opener == (principal.role, principal.id)


def may_follow(principal: Principal, conversation: Conversation, state: State) -> bool:
    """Say whether `principal` may read the conversation, as far as `state` goes."""
    match principal.role:
        case "visitor":
            return has_opened(principal, conversation)
        case "agent":
            if conversation.owner == principal.id:
                return True
            offer = state.offers.get(conversation.offer)
            if offer is not None and offer.agent == principal.id:
                return True
            return is_member(conversation, principal.id) or any(
                state.invitations[iid].agent == principal.id for iid in conversation.invitations
            )
        case _:
            return True


def may_read(principal: Principal, conversation: Conversation, state: State) -> bool:
    """Say whether `principal` may look at the conversation, though not hear of it."""
    if may_follow(principal, conversation, state):
        return True
    return (
        principal.role == "agent"
        and conversation.state == "closed"
        and any(
            event.type == "assigned" and event.data.get("agent") == principal.id
            for event in conversation.tail
        )
    )


def may_signal(principal: Principal, conversation: Conversation) -> bool:
    """Say whether others may see that `principal` types or reads: not those who only watch."""
    match principal.role:
        case "visitor":
            return has_opened(principal, conversation)
        case "agent":
            return conversation.owner == principal.id or is_member(conversation, principal.id)
        case "supervisor":
            overseer = joined(conversation, principal.by)
            return overseer is not None and overseer.mode == "barge"
        case role:
            return role == "service"
