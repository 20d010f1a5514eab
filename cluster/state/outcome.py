"""What applying a command says, and what follows from it for those who watch.  No I/O.

`Done` and `Refused` go back to the proposer; notices go to every node's own subscribers,
in the order in which they happened.  Refusal codes are those of `unidesk.v1`.
"""

from typing import Any, Literal

import msgspec

from cluster.state.company import Invitation
from cluster.state.events import Event
from cluster.state.model import Offer, OfferEnd

RefusalCode = Literal[
    "bad_request",
    "forbidden",
    "not_found",
    "closed",
    "not_owner",
    "stale",
    "offer_gone",
    "at_capacity",
    "conflict",
    "key_reused",
    "too_large",
    "internal",
]

RefusalRule = Literal[
    "role",
    "conversation.not_yours",
    "conversation.not_owner",
    "fence",
    "note.visitor",
    "offer.not_yours",
    "status.not_yours",
    "session.not_yours",
    "account.disabled",
    "account.changed",
    "conversation.no_part",
    "message.not_yours",
    "supervision.mode",
    "chaos",
]
"""In `data["rule"]` of a refusal of access: which of the rules it was that the command broke."""


class Done(msgspec.Struct, frozen=True):
    """The command holds; `result` is the reply's `r`, `dup` that an earlier copy did it."""

    result: dict[str, Any] = {}
    dup: bool = False


class Refused(msgspec.Struct, frozen=True):
    """The command changed nothing."""

    code: RefusalCode
    message: str
    data: dict[str, Any] = {}


Outcome = Done | Refused


class Appended(msgspec.Struct, frozen=True):
    """`event` was appended to conversation `cv`."""

    cv: str
    event: Event


class OfferMade(msgspec.Struct, frozen=True):
    offer: Offer


class OfferGone(msgspec.Struct, frozen=True):
    offer: Offer
    why: OfferEnd


class AgentChanged(msgspec.Struct, frozen=True):
    """Status, presence, load or profile of `agent` changed; read the state for how."""

    agent: str


class SessionGone(msgspec.Struct, frozen=True):
    """Session `sid` ended, or moved away from `node`, `boot`."""

    sid: str
    node: str
    boot: str


class RulesApplied(msgspec.Struct, frozen=True):
    rev: int


class ConversationPurged(msgspec.Struct, frozen=True):
    cv: str


class AccessRevoked(msgspec.Struct, frozen=True):
    """Tokens stopped to count: the one of `jti`, or some, or all, of principal `kind`, `id`."""

    kind: str = ""
    id: str = ""
    jti: str = ""


class QueueStaffing(msgspec.Struct, frozen=True):
    """Supervisors are told that nobody is there for `queue`, or that somebody is there again."""

    queue: str
    since_ms: int
    """When the last one went."""
    staffed: bool


class InvitationMade(msgspec.Struct, frozen=True):
    """`invitation` asks its agent, from now on."""

    invitation: Invitation


class InvitationGone(msgspec.Struct, frozen=True):
    """`invitation` asks its agent no more."""

    invitation: Invitation
    why: OfferEnd


class SupervisionChanged(msgspec.Struct, frozen=True):
    """Supervisor `id` joined `cv` from the session `sid`, or left; perhaps unseen."""

    cv: str
    id: str
    sid: str
    has_joined: bool


class Dismissed(msgspec.Struct, frozen=True):
    """An operator sends connections of principal `kind`, `id` away: that of `sid`, or all.

    `stop`: for good; else to node `to`, or to any other.
    """

    kind: str
    id: str
    sid: str = ""
    stop: bool = False
    to: str = ""


Notice = (
    Appended
    | OfferMade
    | OfferGone
    | AgentChanged
    | SessionGone
    | RulesApplied
    | ConversationPurged
    | AccessRevoked
    | QueueStaffing
    | InvitationMade
    | InvitationGone
    | SupervisionChanged
    | Dismissed
)
