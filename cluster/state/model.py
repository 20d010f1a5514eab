"""The values of the replicated state.  No I/O.

Every value is immutable and replaced as a whole, so a copy of the dictionaries that hold
them is a snapshot that a thread may write while the loop goes on.

    conversation   new ──routed──▶ waiting ──offered──▶ offered ──accepted──▶ assigned ──▶ closed
                                     ▲                    │                      │
                                     └─declined, timed out, lost── ─transferred──┘
                   (new may also be transferred; any may be closed, and reopened, which makes it
                   new or waiting: `CONVERSATION_NEXT`)
    agent          present (a live session) x status; eligible: present, online, below capacity
    account        enabled <─▶ disabled; removed: its tokens so far count no more
    session        live ──socket broke, node died──▶ lost ──grace over──▶ gone

What there may be very many of is out of the garbage collector's sight (`gc=False`): such values
are made once from plain data, so they are in no cycle, and a full collection over 100,000
conversations would hold the loop up for hundreds of milliseconds.

Times are integer milliseconds of cluster time.
"""

from typing import Any, Literal

import msgspec

from cluster.state.commands import AccountKind, By, PrincipalKind
from cluster.state.company import Member, Overseer
from cluster.state.events import Tail

ConversationState = Literal["new", "waiting", "offered", "assigned", "closed"]
AgentStatus = Literal["online", "away", "busy", "offline", "transfer_only"]
StatusSource = Literal["user", "idle", "lost", "admin"]
"""Who made an agent what they are: they themselves, their silence, their last session's loss, or
somebody who may."""
OfferEnd = Literal["accepted", "declined", "timeout", "withdrawn", "closed", "lost"]

CONVERSATION_NEXT: dict[ConversationState, frozenset[ConversationState]] = {
    "new": frozenset({"waiting", "closed"}),
    "waiting": frozenset({"waiting", "offered", "closed", "new"}),
    "offered": frozenset({"waiting", "assigned", "closed"}),
    "assigned": frozenset({"waiting", "closed"}),
    "closed": frozenset({"new", "waiting"}),
}
"""What may follow a state; `waiting` follows itself when it is routed or transferred anew, `new`
follows when the rules are to decide again."""


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One conversation with the live tail of its events."""

    cv: str
    visitor: str
    """Principal id of who opened it."""
    visitor_name: str
    channel: str
    lang: str
    subject: str
    tags: dict[str, Any]
    attrs: dict[str, Any]
    opened_ms: int
    state: ConversationState = "new"
    queue: str = ""
    queue_hint: str = ""
    priority: int = 0
    rule: str = ""
    rev: int = 0
    skills: tuple[str, ...] = ()
    target: str = ""
    """Agent it was transferred to by name; only they are offered it."""
    owner: str = ""
    fence: int = 0
    """Counts assignments; a message with an older one is refused."""
    offer: str = ""
    passed: tuple[str, ...] = ()
    """Agents who declined or let an offer lapse since the last owner; asked last."""
    seq: int = 0
    tail: Tail = Tail()
    """The newest events, at least `EVENTS_KEPT`; `tail[-1].seq == seq`."""
    closed_ms: int = 0
    visitor_kind: PrincipalKind = "visitor"
    """Kind of who opened it: a service that did is not the visitor of the same id."""
    members: tuple[Member, ...] = ()
    """Agents who take part beside the owner."""
    overseers: tuple[Overseer, ...] = ()
    """Supervisors who have joined."""
    invitations: tuple[str, ...] = ()
    """Pending ones, by id."""
    wanted_rule: str = ""
    """Rule that it was transferred to by name, until it is routed."""


class Agent(msgspec.Struct, frozen=True, omit_defaults=True):
    agent: str
    name: str
    skills: dict[str, int]
    capacity: int
    status: AgentStatus = "offline"
    reason: str = ""
    sessions: tuple[str, ...] = ()
    """Sessions that are live or in their grace period."""
    idle_since_ms: int = 0
    """When last offered or freed of something, or gone online: the earliest is asked next."""
    conversations: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    """Conversations of others that they take part in; no load."""
    invitations: tuple[str, ...] = ()
    status_since_ms: int = 0
    status_src: StatusSource = "user"
    until_ms: int = 0
    """When `status` ends; 0: when somebody says so."""
    then: AgentStatus = "online"
    """What they are after `until_ms`, or when they are idle no more."""

    @property
    def load(self) -> int:
        """Conversations held and offers pending: what counts against capacity."""
        return len(self.conversations) + len(self.offers)


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pending offer; one that ended is forgotten but for its event."""

    oid: str
    cv: str
    agent: str
    made_ms: int
    deadline_ms: int


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    sid: str
    agent: str
    node: str
    boot: str
    since_ms: int
    lost_ms: int = 0
    """When its socket broke; 0 while it is live."""
    idle: bool = False
    """Whether nothing was done on it for long."""


class NodeInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    node: str
    boot: str
    url: str
    lost_ms: int = 0


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The result of an idempotency key."""

    digest: int
    """Checksum of the command's meaning: the same key for something else is refused."""
    at_ms: int
    result: dict[str, Any]


class RuleSetRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    rev: int
    digest: str
    by: By
    at_ms: int
    files: dict[str, str]
    queues: dict[str, int]
    skills: dict[str, tuple[str, ...]] = {}
    """What a queue asks of the agents it is transferred to."""


class AuditRecord(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    by: By
    what: str
    detail: dict[str, Any] = {}


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person of the company, or a program of it, that proves itself with a secret here.

    It speaks for the principal of its kind and id, whoever issued the token.
    """

    id: str
    kind: AccountKind
    rev: int
    """1, 2, 3 ... with every change."""
    by: By
    """Who changed it last."""
    at_ms: int
    made_ms: int
    name: str = ""
    skills: dict[str, int] = {}
    capacity: int = 1
    secrets: tuple[str, ...] = ()
    """Hashes of what proves it, newest first."""
    disabled: bool = False

    def speaks_for(self, kind: str, principal_id: str) -> bool:
        """Say whether it is the account of that principal."""
        return (self.kind, self.id) == (kind, principal_id)


class Cutoff(msgspec.Struct, frozen=True, array_like=True):
    """Tokens of a principal that were issued at `at_s` (seconds UTC), or before, are revoked."""

    kind: PrincipalKind
    id: str
    at_s: int
