"""The values of the replicated state.  No I/O.

Every value is immutable and replaced as a whole, so a copy of the dictionaries that hold
them is a snapshot that a thread may write while the loop goes on.

    conversation   new ──routed──▶ waiting ──offered──▶ offered ──accepted──▶ assigned ──▶ closed
                                     ▲                    │                      │
                                     └─declined, timed out, lost── ─transferred──┘
                   (new may also be transferred, what waits may be assigned at once; any may be
                   closed, and reopened, which makes it new or waiting: `CONVERSATION_NEXT`)
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

from cluster.state.clocks import UNSERVED, Service
from cluster.state.commands import AccountKind, By, FaultKind, HealOutcome, PrincipalKind
from cluster.state.company import Member, Overseer
from cluster.state.events import Tail
from cluster.state.route import Choice, Queue, Route, ServiceLevel, Step
from cluster.state.satisfaction import Rating

ConversationState = Literal["new", "waiting", "offered", "assigned", "closed"]
AgentStatus = Literal["online", "away", "busy", "offline", "transfer_only"]
StatusSource = Literal["user", "idle", "lost", "admin"]
"""Who made an agent what they are: they themselves, their silence, their last session's loss, or
somebody who may."""
OfferEnd = Literal["accepted", "declined", "timeout", "withdrawn", "closed", "lost"]

CONVERSATION_NEXT: dict[ConversationState, frozenset[ConversationState]] = {
    "new": frozenset({"waiting", "closed"}),
    "waiting": frozenset({"waiting", "offered", "assigned", "closed", "new"}),
    "offered": frozenset({"waiting", "assigned", "closed"}),
    "assigned": frozenset({"waiting", "closed"}),
    "closed": frozenset({"new", "waiting"}),
}
"""What may follow a state; `waiting` follows itself when it is routed or transferred anew, `new`
follows when the rules are to decide again."""


NO_ROUTE = Route(())
NOWHERE = Step("")


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
    queue_hint: str = ""
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
    route: Route = NO_ROUTE
    step: int = 0
    """Where on its route it is."""
    step_ms: int = 0
    """When that step began, or began anew."""
    waiting_since_ms: int = 0
    """Since when nobody has had it; an offer that comes to nothing does not count.  0 unless it
    waits or is offered."""
    preferred: str = ""
    """Agent who alone is asked in this step, though anybody may be in the next."""
    by_hand: bool = False
    """Whether a person said where it waits: rules move it no more."""
    overflowed: bool = False
    """Whether its overflow happened in this wait."""
    choices: tuple[Choice, ...] = ()
    """Why those were chosen who were offered it, the newest last."""
    service: Service = UNSERVED
    """How it has been served, and the clocks that run."""
    rating: Rating | None = None
    missed: str = ""
    """Why nobody answered it before its close; see `missed`."""

    members: tuple[Member, ...] = ()
    """Agents who take part beside the owner."""
    overseers: tuple[Overseer, ...] = ()
    """Supervisors who have joined."""
    invitations: tuple[str, ...] = ()
    """Pending ones, by id."""
    wanted_rule: str = ""
    """Rule that it was transferred to by name, until it is routed."""

    @property
    def at(self) -> Step:
        """Its step of the route; `NOWHERE` before it was routed."""
        return self.route.steps[self.step] if self.route.steps else NOWHERE

    @property
    def queue(self) -> str:
        """Its queue; empty before it was routed."""
        return self.at.queue

    @property
    def priority(self) -> int:
        return self.at.priority

    @property
    def skills(self) -> dict[str, int]:
        """What an agent must hold to be offered it, with the least level of each."""
        return self.at.skills

    @property
    def rule(self) -> str:
        return self.route.rule

    @property
    def rev(self) -> int:
        return self.route.rev

    @property
    def weight(self) -> int:
        """What it counts against an agent's capacity."""
        return self.route.weight


class WrapUp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an agent still has to do for a conversation that ended, or went to another."""

    cv: str
    weight: int
    until_ms: int


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
    langs: tuple[str, ...] = ()
    load: int = 0
    """Weights of conversations held, offers pending and wrap-ups: what counts against capacity."""
    wrap_ups: tuple[WrapUp, ...] = ()
    """The one that began first in front."""
    offered_ms: int = 0
    """When last offered anything: whose turn it is, where a queue goes round."""
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
    def is_here(self) -> bool:
        """Whether they have a session, and are not offline: who is away is coming back."""
        return bool(self.sessions) and self.status != "offline"

    def lacks(self, skills: dict[str, int]) -> str:
        """Return the first of `skills` that the agent holds not at all or too little of, or ""."""
        held = self.skills
        return next((name for name, least in skills.items() if held.get(name, -1) < least), "")


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
    drained_ms: int = 0
    """Since when operators let it take no clients; 0 for a node that does."""


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
    queues: dict[str, Queue]
    slas: dict[str, ServiceLevel] = {}
    reroute: bool = False
    """Whether it decides anew about who waited already when it was applied."""


class AuditRecord(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    by: By
    what: str
    detail: dict[str, Any] = {}


class HealNote(msgspec.Struct, frozen=True, array_like=True):
    """A line of `unidesk heal log`."""

    noted_ms: int
    """Cluster time."""
    node: str
    """Who did it."""
    rule: int
    """Number of the rule; see `cluster.heal.rules`."""
    seen: str
    done: str
    outcome: HealOutcome
    figures: dict[str, Any] = {}
    at_ms: int = 0
    """When it was done, by that node's clock."""


class Consent(msgspec.Struct, frozen=True, array_like=True):
    """A node may be broken while it has this boot."""

    node: str
    boot: str
    zone: str = ""


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Something that is broken now."""

    fault: str
    kind: FaultKind
    groups: tuple[tuple[str, ...], ...]
    by: By
    started_ms: int
    for_ms: int
    boots: dict[str, str]
    """Whose lives it is for: a node that was started anew has no part in it."""
    amount: int = 0
    jitter_ms: int = 0
    clients: bool = False
    """Whether the nodes of the first group lose their clients too."""
    zone: str = ""
    """What was isolated, for people."""


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
    langs: tuple[str, ...] = ()
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
