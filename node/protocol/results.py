"""What an operation's reply holds in `r`, operation by operation.  No I/O.

`dup`: an earlier request with this key did it, and this is what it was answered.  Fields that do
not apply are absent.
"""

from typing import Any, Literal

import msgspec

from cluster.state.commands import AccountKind, By, PrincipalKind
from cluster.state.model import AgentStatus, ConversationState
from node.protocol.service_values import RatingView, SlaView


class Result(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A reply's `r`."""


class Nothing(Result):
    """The reply alone says it."""


class _Keyed(Result, kw_only=True):
    """Of an operation with an idempotency key."""

    dup: bool = False


class Renewed(Result):
    exp: int
    """When the new token ends."""


class Opened(_Keyed):
    cv: str
    seq: int
    state: ConversationState


class Visitor(msgspec.Struct):
    """Who opened a conversation."""

    kind: PrincipalKind
    id: str
    name: str


class Member(msgspec.Struct):
    """An agent who takes part in another's conversation."""

    agent: str
    name: str
    since: int


class ConversationView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A conversation without its events; from `visitor` on, not told to visitors."""

    cv: str
    state: ConversationState
    channel: str
    lang: str
    subject: str
    opened: int
    closed: int
    """0 while it is open."""
    seq: int
    first: int
    """`seq` of the oldest event that is kept."""
    owner: str
    """The agent's id; empty without one."""
    visitor: Visitor | None = None
    tags: dict[str, Any] | None = None
    attrs: dict[str, Any] | None = None
    queue: str | None = None
    prio: int | None = None
    rule: str | None = None
    rev: int | None = None
    skills: list[str] | None = None
    fence: int | None = None
    sla: SlaView | None = None
    """Absent without a service level."""
    missed: str | None = None
    """Why nobody answered it before its close; empty when somebody did, or it is open."""
    rating: RatingView | None = None
    """Told to visitors as well."""
    members: list[Member] | None = None
    """Agents who take part beside the owner."""


class Conversation(Result):
    conv: ConversationView


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event of a conversation: the push `ev`, in a list."""

    op: Literal["ev"]
    cv: str
    seq: int
    type: str
    by: By | None = None
    ts: int
    mid: str = ""
    data: dict[str, Any] = {}


class History(Result):
    events: list[Event]
    more: bool
    """Ask again after the last of them."""
    first: int
    """The oldest event kept."""
    last: int
    gap: bool
    """Some after `after` are no longer kept."""


class Followed(Result):
    seq: int
    """The conversation's newest event; those from `from` on follow."""


class Said(_Keyed):
    seq: int
    mid: str
    ts: int


class StatusIs(Result):
    status: AgentStatus
    until: int = 0
    """When it ends by itself; absent when it does not."""


class Accepted(_Keyed):
    cv: str
    seq: int
    fence: int
    """Goes with what the agent says, so that an earlier owner's message is refused."""


class Changed(_Keyed):
    seq: int
    oid: str = ""
    """Of a warm transfer: the invitation that it is."""


class Invited(Result):
    seq: int
    oid: str
    """The invitation: `offer` and `offer.gone` name it so."""
    deadline: int
    """When it lapses."""


class Reopened(_Keyed):
    seq: int
    state: ConversationState
    """`waiting` for its last agent, or `new` for the rules."""


class RulesApplied(_Keyed):
    rev: int
    digest: str
    unchanged: bool = False
    """They were in force already."""


class Rules(Result):
    rev: int
    """0 while the built-in rules are in force."""
    files: dict[str, str]
    by: By | None = None
    at: int = 0
    digest: str = ""


class MemberRow(msgspec.Struct):
    """A node that takes part."""

    id: str
    role: Literal["voter", "joining", "leaving", "learner", "standby"]
    address: str
    """`host:port` for the other nodes."""
    url: str
    """Where clients connect."""
    leads: bool


class WaitingRow(msgspec.Struct):
    """A node that has the cluster's key, calls, and is no member."""

    id: str
    address: str


class Members(Result):
    members: list[MemberRow]
    waiting: list[WaitingRow]


class UserChanged(_Keyed):
    user: str
    rev: int
    """The account's revision now."""


class UserRemoved(_Keyed):
    user: str


class AccountView(msgspec.Struct, kw_only=True):
    """An account, without its secrets."""

    user: str
    kind: AccountKind
    name: str
    skills: dict[str, int]
    capacity: int
    disabled: bool
    secrets: int
    """How many prove it: 0 for one that cannot log in here, 2 while a service changes its own."""
    rev: int
    by: By
    """Who changed it last."""
    at: int
    made: int
    langs: list[str] = []
    """Languages an agent speaks."""


class User(Result):
    user: AccountView


class Users(Result):
    users: list[AccountView]
    more: bool
    """Ask again, after the last of them."""


class Revoked(_Keyed):
    """From here on they count nowhere."""


class AuditLine(msgspec.Struct, kw_only=True):
    """One thing that somebody did."""

    at: int
    by: By
    what: str
    detail: dict[str, Any]
    """What it adds: `node`, where it was asked, `id`, `rev`, `cv` ..."""


class Audit(Result):
    lines: list[AuditLine]
    next: str
    """Goes into `after` for what comes behind these."""
    more: bool
    gap: bool
    """Some after `after` are no longer kept."""


class SnippetView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a search found a conversation: a piece of the newest text that has its first word."""

    seq: int
    """The event that says it; 0 for subject, names and tags."""
    before: str = ""
    found: str = ""
    """Empty where the beginning of the text stands for it."""
    after: str = ""


class ListedConversation(ConversationView, kw_only=True):
    """A conversation in a list, without its attributes, which `cv.get` has."""

    at: int
    """When the last thing happened in it."""
    agents: list[str] | None = None
    """Who has, or had it, in order."""
    missed: str | None = None
    """Why it counts as missed; empty when it does not."""
    hit: SnippetView | None = None


class Conversations(Result):
    items: list[ListedConversation]
    cursor: str
    """Goes on behind these."""
    more: bool
    complete: bool
    """Whether the node knows all conversations: not yet while it starts, or its search index is
    behind.  What is listed is right all the same."""


class QueueRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One queue as supervisors see it."""

    queue: str
    waiting: int
    oldest: int
    """When the one was opened that waits longest; 0 when nobody waits."""
    offered: int
    assigned: int
    available: int
    """Agents who may be offered something of it now."""
    full: int
    """Agents online with as many conversations as they may have."""
    away: int
    """Agents here who serve it and are not online: away, busy, transfer_only."""
    answered: int
    """Given to an agent, of the newest 100 as this node saw it."""
    in_time: int
    """Percent of these that had waited 20 s at most; 0 without any."""
    handle_s: int
    """How long agents take for one, a moving average; 0 when it is not known."""
    eta_s: int | None = None
    """What somebody who came now would wait; absent when it cannot be told."""
    conf: Literal["low", "high"] | None = None


class Queues(Result):
    rows: list[QueueRow]
    now: int
    """Cluster time: what `oldest` is counted from."""


class Device(msgspec.Struct, kw_only=True):
    """A session of an agent."""

    node: str
    since: int
    lost: int
    """When its socket broke; 0 while it is live."""


class AgentRow(msgspec.Struct, kw_only=True):
    """One agent as supervisors see them."""

    agent: str
    name: str
    status: AgentStatus
    reason: str
    here: bool
    """Whether a session is live."""
    since: int
    """When this node saw the status change; 0 when that was before it started."""
    idle: int
    """When last offered something, freed of something, or gone online."""
    load: int
    capacity: int
    skills: dict[str, int]
    langs: list[str]
    conversations: list[str]
    offers: int
    devices: list[Device]


class Agents(Result):
    agents: list[AgentRow]
    more: bool
    """Ask again, after the last of them."""
    now: int
