"""What the server says unasked.  No I/O."""

from typing import Any, Literal

import msgspec

from cluster.state.commands import By
from node.protocol.results import QueueRow


class Push(msgspec.Struct, tag_field="op", kw_only=True, omit_defaults=True):
    """What the server says unasked."""


class NodeAddress(msgspec.Struct, omit_defaults=True):
    id: str
    url: str
    """`ws://host:port/v1/ws`"""


class Welcome(Push, tag="welcome", kw_only=True):
    sid: str
    epoch: str
    """Changes when resume state was lost and all must be asked for again."""
    node: str
    you: dict[str, Any]
    """id, role, name"""
    resumed: bool = False
    ping_ms: int
    now: int
    limits: dict[str, int]
    feats: list[str] = []
    nodes: list[NodeAddress] = []
    state: Literal["ok", "degraded", "minority"]
    snap: dict[str, Any] | None = None
    """For agents: status, load, capacity, `cvs` held ({cv, seq, fence}), `helps`, those they take
    part in ({cv, seq})."""


class Ev(Push, tag="ev", kw_only=True):
    """One durable event; `seq` is 1, 2, 3 ... for every observer.  `type` hidden: not for you.

    Types and their `data`: opened{channel, lang, subject}, msg{type, body, reply_to?}, note{...},
    queued{queue, priority, rule?, reason?, agent?}, offered{agent}, assigned{agent, name, fence},
    unassigned{agent, reason}, transferred{to, warm?}, closed{reason, rate_until?}, rated{score,
    text, times}, reopened{closed}, edit{seq, body} and del{seq} of the message that is `mid`,
    joined{agent | supervisor, name, mode?}, left{the same, reason?}.  For agents alone:
    sla{name, at, level, due}, tagged{what, set, unset}, whisper{type, body},
    invited{agent?, queue?, takes}, uninvited{agent, queue?, takes, reason}.  A message that was
    edited has `edited` in its `data`, one that was taken back `deleted` and no body.
    Visitors get `queue` and `offline` alone of queued, `agent` and `name` of assigned, `agent` or
    `supervisor` and `name` of joined and left, `warm` of transferred, and nothing of offered,
    unassigned.

    `offline` of queued: nobody is there, and what was written waits.  `rate_until` of closed: the
    visitor may be asked for a rating, until then.
    """

    cv: str
    seq: int
    type: str
    by: By | None = None
    ts: int
    mid: str = ""
    data: dict[str, Any] = {}


class Caught(Push, tag="caught"):
    """Everything committed up to `seq` has been sent: the resume of `cv` is complete."""

    cv: str
    seq: int


class Gap(Push, tag="gap"):
    """Not everything after `have` can be sent; what is kept, `first` to `last`, follows.

    `have` above `last`: the client knows what this cluster never had.  `first` and `last` 0:
    the conversation is gone, or not the client's to see.
    """

    cv: str
    have: int
    first: int
    last: int


class Receipt(Push, tag="receipt"):
    """How far somebody received and read; `kind` tells a visitor from an agent of the same id."""

    cv: str
    who: str
    recv: int = 0
    read: int = 0
    kind: str = ""


class TypingPush(Push, tag="typing"):
    """Somebody types, or stopped; `text` is what they have so far, shown to agents only."""

    cv: str
    who: str
    on: bool
    text: str = ""
    kind: str = ""


class OfferPush(Push, tag="offer"):
    oid: str
    cv: str
    queue: str
    prio: int
    exp: int
    """Deadline, milliseconds UTC of cluster time."""
    ttl: int
    mode: Literal["ask", "auto"] = "ask"
    why: dict[str, Any] = {}
    """`rule` (empty: a hint or the fallback) and `rev`; on a route of several steps `step`, from
    1, and `steps`; `by_hand` when a person sent it where it is.  Of an invitation: `by`, who
    asks."""
    cust: dict[str, Any] = {}
    preview: str = ""
    asks: Literal["own", "join", "take"] = "own"
    """`own`: a conversation that waits; `join`: an invitation to take part; `take`: a warm
    transfer.  All are answered by `offer.accept` or `offer.decline`."""
    note: str = ""
    """What a colleague says to it."""


class OfferGonePush(Push, tag="offer.gone"):
    oid: str
    why: str


class Inbox(Push, tag="inbox"):
    """The agent's own state as it is now: status, load, capacity."""

    status: str
    load: int
    capacity: int


class RulesPush(Push, tag="rules"):
    rev: int
    by: str


class ClusterPush(Push, tag="cluster"):
    state: Literal["ok", "degraded", "minority"]
    leader: str = ""
    nodes: list[NodeAddress] = []
    """Those that take clients."""
    draining: list[str] = []
    """Ids of nodes that take none: operators drained them."""


class PresencePush(Push, tag="presence", kw_only=True):
    """What an agent is now, to supervisors and to colleagues.

    `src`: `user`, they say so; `admin`, somebody else did; `idle`, by silence; `lost`, nothing was
    heard of them any more.
    """

    who: str
    name: str = ""
    status: str
    since: int
    src: Literal["user", "idle", "lost", "admin"]
    reason: str = ""
    until: int = 0


class Viewer(msgspec.Struct, omit_defaults=True):
    """Somebody who has a conversation open."""

    kind: str
    id: str
    name: str = ""


class ViewersPush(Push, tag="viewers"):
    """Which agents and supervisors have the conversation open, to those who do; never stored.

    Supervisors who monitor, or only follow, are not in it.
    """

    cv: str
    list_: list[Viewer] = msgspec.field(name="list")


class TokenExpiring(Push, tag="token.expiring"):
    exp: int


class QueuePush(Push, tag="queue", kw_only=True):
    """A visitor's place in the queue: when it changed, and no more than once in five seconds.

    `eta_s` and `conf` are absent when too little is known to say.
    """

    cv: str
    pos: int
    """1 is next."""
    of: int
    eta_s: int | None = None
    conf: Literal["low", "high"] | None = None


class QueueRowsPush(Push, tag="queue.rows", kw_only=True):
    """Rows of watched queues that changed since the last of these, once a second at most.

    A queue that is watched without being named, and is no more, comes with all at 0.
    """

    rows: list[QueueRow]
    now: int


class Bye(Push, tag="bye"):
    """Sent before the server closes: where to go instead, and when."""

    code: int
    reason: str
    resume: bool
    retry: dict[str, int] = {}
    """min_ms, max_ms"""
    nodes: list[NodeAddress] = []
    rule: str = ""
    """Which rule refused, where one did."""


class Ping(Push, tag="ping"):
    """Answer with `pong`; any other frame counts as well."""


class QueueAlertPush(Push, tag="queue.alert"):
    """Nobody is there for a queue in its hours, or somebody is there again: to supervisors and
    operators, once each, and with `welcome` what is so by then.
    """

    queue: str
    staffed: bool
    since: int
    """When the last agent went."""
