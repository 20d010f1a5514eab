"""Who may see a conversation, and be seen in it.  No I/O.

A role opens an operation at all (`Request.roles` of the catalogue); whether *this* agent may
speak in *this* conversation is decided where it is certain, in the state machine, when the
command is applied.  Reading is decided here, on the state that was applied so far.

    follows a conversation   visitor              whoever opened it
                             agent                its owner; whom it is offered (a preview)
                             supervisor,
                             operator, service    any
"""

from cluster.state.model import Conversation
from cluster.state.state import State
from node.auth import Principal


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
