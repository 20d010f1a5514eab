"""Who may do what: one table by operation and role, and who may see a conversation.  No I/O.

A role opens an operation at all; whether *this* agent may speak in *this* conversation is
decided where it is certain, in the state machine, when the command is applied.  Reading is
decided here, on the state that was applied so far.

    follows a conversation   visitor              whoever opened it
                             agent                its owner; whom it is offered (a preview)
                             supervisor,
                             operator, service    any
"""

from typing import get_args

from cluster.state.model import Conversation
from cluster.state.state import State
from node.auth import Principal
from node.protocol.catalogue import Role
from node.protocol.codec import OPS

ROLES: frozenset[Role] = frozenset(get_args(Role))
_ALL = ROLES
_VISITOR: frozenset[Role] = frozenset({"visitor"})
_SERVICE: frozenset[Role] = frozenset({"service"})
_AGENT: frozenset[Role] = frozenset({"agent"})
_SUPERVISOR: frozenset[Role] = frozenset({"supervisor"})
_OPERATOR: frozenset[Role] = frozenset({"operator"})

PERMITTED: dict[str, frozenset[Role]] = {
    "hello": _ALL,
    "auth": _ALL,
    "pong": _ALL,
    "cv.open": _VISITOR | _SERVICE,
    "cv.get": _ALL,
    "cv.history": _ALL,
    "cv.sub": _ALL,
    "cv.unsub": _ALL,
    "msg.send": _VISITOR | _AGENT | _SUPERVISOR | _SERVICE,
    "ack": _ALL,
    "read": _ALL,
    "typing": _ALL,
    "status.set": _AGENT,
    "offer.accept": _AGENT,
    "offer.decline": _AGENT,
    "cv.transfer": _AGENT | _SUPERVISOR | _SERVICE,
    "cv.close": _VISITOR | _AGENT | _SUPERVISOR | _SERVICE,
    "rules.apply": _OPERATOR,
    "rules.get": _OPERATOR | _SUPERVISOR,
    "members.get": _OPERATOR,
    "members.change": _OPERATOR,
}
"""Which roles may ask for an operation at all."""

assert PERMITTED.keys() == OPS


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
            return offer is not None and offer.agent == principal.id
        case _:
            return True


def may_signal(principal: Principal, conversation: Conversation) -> bool:
    """Say whether others may see that `principal` types or reads: not those who only watch."""
    match principal.role:
        case "visitor":
            return has_opened(principal, conversation)
        case "agent":
            return conversation.owner == principal.id
        case role:
            return role == "service"
