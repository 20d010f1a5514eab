"""Every operation and push of `unidesk.v1`, declared once.  No I/O.

    client -> server   a map with `op` and `id`; one reply: {op: "ok", id, r} or
                       {op: "err", id, code, ...}.  `id` 0 or absent asks for no reply
                       (ack, read, typing, pong).
    server -> client   a reply, or a push (no `id`).

Unknown fields are ignored both ways; unknown pushes are ignored by clients; an unknown
request is answered with `unknown_op`.  A frame is one map or an array of at most
`FRAME_MAPS_MAX`.  Times are integer milliseconds UTC; ids are ULIDs as text; `key` is the
client's idempotency key, 1-64 bytes: the same key, at any node, gets the same answer.
"""

from typing import Any, ClassVar, Literal, get_args

import msgspec

from cluster.state.commands import AccountKind, By, Visibility
from node.protocol import results

VERSION = "1"
SUBPROTOCOL_JSON = "unidesk.v1+json"
SUBPROTOCOL_MSGPACK = "unidesk.v1+msgpack"
FRAME_BYTES_MAX = 64 * 1024
FRAME_MAPS_MAX = 64
HELLO_S = 5

Status = Literal["online", "away", "busy", "offline", "transfer_only"]
Role = Literal["visitor", "agent", "supervisor", "operator", "service"]

Roles = frozenset[Role]
ALL: Roles = frozenset(get_args(Role))
VISITOR: Roles = frozenset({"visitor"})
AGENT: Roles = frozenset({"agent"})
SUPERVISOR: Roles = frozenset({"supervisor"})
OPERATOR: Roles = frozenset({"operator"})
SERVICE: Roles = frozenset({"service"})
TALKERS = VISITOR | AGENT | SUPERVISOR | SERVICE


class Request(msgspec.Struct, tag_field="op", kw_only=True, omit_defaults=True):
    """What a client may ask; subclasses are the operations."""

    needs_connection: ClassVar[bool] = False
    """Whether it means something on a WebSocket only; the others are at `POST /v1/op/<op>` too."""
    roles: ClassVar[Roles] = ALL
    """Who may ask for it at all."""
    id: int = 0


class Resume(msgspec.Struct, omit_defaults=True):
    """What the client has: conversations with the last `seq` seen of each."""

    sid: str = ""
    epoch: str = ""
    cvs: list[tuple[str, int]] = []


class Hello(Request, tag="hello"):
    """First frame of a connection; answered by the push `welcome`."""

    needs_connection = True

    ver: str
    token: str
    client: dict[str, str] = {}
    lang: str = ""
    resume: Resume | None = None


class Auth(Request, tag="auth"):
    """A newer token for the same principal."""

    needs_connection = True
    token: str


class CvOpen(Request, tag="cv.open"):
    """Open a conversation."""

    roles = VISITOR | SERVICE

    key: str
    channel: str = "web"
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    hint: dict[str, str] = {}
    text: str = ""


class CvGet(Request, tag="cv.get"):
    """One conversation without its events.

    Visitors read what they opened, agents what they own or are offered, the others any; so for
    `cv.history` and `cv.sub`.
    """

    cv: str


class CvHistory(Request, tag="cv.history"):
    """Events after `after`, oldest first: at most `limit`, and about as much as a frame holds."""

    cv: str
    after: int = 0
    limit: int = 200


class CvSub(Request, tag="cv.sub"):
    """Follow a conversation: events from seq `from` on, that one included, and `caught`.

    Asking again begins anew.
    """

    needs_connection = True
    cv: str
    from_: int = msgspec.field(name="from", default=0)


class CvUnsub(Request, tag="cv.unsub"):
    """Hear no more of a conversation."""

    needs_connection = True
    cv: str


class MsgSend(Request, tag="msg.send"):
    """Say something."""

    roles = TALKERS

    cv: str
    key: str
    body: Any
    type: Literal["text", "file", "card", "event"] = "text"
    reply_to: str = ""
    vis: Visibility = "all"
    fence: int | None = None
    after: int | None = None


class Ack(Request, tag="ack"):
    """Received up to `seq`, cumulative.  No reply."""

    needs_connection = True

    cv: str
    seq: int


class Read(Request, tag="read"):
    """Read up to `seq`, cumulative.  No reply."""

    needs_connection = True

    cv: str
    seq: int


class Typing(Request, tag="typing"):
    """Typing began or ended.  No reply, never stored."""

    needs_connection = True

    cv: str
    on: bool
    text: str = ""


class StatusSet(Request, tag="status.set"):
    """The agent's own status."""

    roles = AGENT

    status: Status
    reason: str = ""


class OfferAccept(Request, tag="offer.accept"):
    """Take what is offered."""

    roles = AGENT

    oid: str
    key: str


class OfferDecline(Request, tag="offer.decline"):
    """Let somebody else have it; it waits with its original age."""

    roles = AGENT

    oid: str
    reason: str = ""


class CvTransfer(Request, tag="cv.transfer"):
    """Let go of a conversation: to {agent} or {queue}."""

    roles = AGENT | SUPERVISOR | SERVICE

    cv: str
    key: str
    to: dict[str, str]
    note: str = ""
    fence: int | None = None


class CvClose(Request, tag="cv.close"):
    """End a conversation."""

    roles = TALKERS

    cv: str
    key: str
    reason: str = ""


class RulesApply(Request, tag="rules.apply"):
    """Replace the routing rules on all nodes at one log index.

    Rules that do not compile are refused with every mistake, its file and its line.
    """

    roles = OPERATOR

    files: dict[str, str]
    rev_expected: int | None = None


class RulesGet(Request, tag="rules.get"):
    """The rules in force."""

    roles = OPERATOR | SUPERVISOR


class MembersGet(Request, tag="members.get"):
    """Who takes part in the cluster, as this node knows."""

    roles = OPERATOR


class MembersChange(Request, tag="members.change"):
    """Change who takes part, one step.  `not_leader`: ask the leader.

    `add`: a new voter, once it has caught up.  `add_learner`, `promote`: a node that serves and
    does not vote, and its promotion.  `remove`: a voter leaves after those who join; `keep` takes
    that back.  `replace`: `new` joins, then `node` leaves.  `address` is `host:port` for the other
    nodes; needed only when the new node does not call by itself.
    """

    roles = OPERATOR

    change: Literal["add", "add_learner", "promote", "remove", "keep", "replace"]
    node: str
    new: str = ""
    address: str = ""


class UserPut(Request, tag="user.put"):
    """Make an account, or change what is given of one.

    Name, skills and capacity count at once, also for an agent who is here.  Tokens that are out
    count no more when the account is disabled, gets another kind, or another secret.  A repetition
    with the same key and another secret is answered like the first, whose secret it is.
    """

    roles = OPERATOR

    key: str
    user: str
    """The id: what the person logs in with, and others know it by."""
    kind: AccountKind | None = None
    """Needed to make one."""
    name: str | None = None
    skills: dict[str, int] | None = None
    """An agent's, with levels 0 to 100."""
    capacity: int | None = None
    disabled: bool | None = None
    secret: str | None = None
    """A password or a secret of 15 characters or more; only its hash is kept."""
    rev_expected: int | None = None
    """Refused unless the account is at this revision; 0: unless there is none."""


class UserSecret(Request, tag="user.secret"):
    """Give an account another password, or a service its next secret.

    With `keep`, for services, the newest secret so far counts beside it, and without a `secret`
    alone: so the one before goes when every copy of the program has the next.  Without `keep` the
    old ones count no more, nor does any token issued so far.
    """

    roles = OPERATOR

    key: str
    user: str
    secret: str | None = None
    keep: bool = False


class UserGet(Request, tag="user.get"):
    """One account; never its secrets."""

    roles = OPERATOR

    user: str


class UserList(Request, tag="user.list"):
    """Accounts in the order of their ids, those behind `after`: at most `limit`."""

    roles = OPERATOR

    after: str = ""
    limit: int = 100


class UserRemove(Request, tag="user.remove"):
    """Forget an account; no token that its principal has counts any more."""

    roles = OPERATOR

    key: str
    user: str


class TokenRevoke(Request, tag="token.revoke"):
    """Let tokens count no more, at any node: connections they opened end with 4109.

    Name one: by itself, or by `jti` and `exp` as the audit log has them.  Or name a principal by
    `kind` and `user`: all that were issued to it so far, whoever issued them.
    """

    roles = OPERATOR

    key: str
    token: str = ""
    jti: str = ""
    exp: int = 0
    """When the token ends, milliseconds UTC; with `jti`."""
    kind: Literal["", "visitor", "agent", "supervisor", "operator", "service"] = ""
    user: str = ""


class AuditList(Request, tag="audit.list"):
    """Who did what: the newest lines, or those after a cursor, oldest first, at most `limit`.

    `after` is a `next` of an earlier answer; "0" is the oldest line kept.
    """

    roles = OPERATOR

    after: str = ""
    limit: int = 100


class Pong(Request, tag="pong"):
    """Answers the push `ping`."""

    needs_connection = True


AnyRequest = (
    Hello
    | Auth
    | CvOpen
    | CvGet
    | CvHistory
    | CvSub
    | CvUnsub
    | MsgSend
    | Ack
    | Read
    | Typing
    | StatusSet
    | OfferAccept
    | OfferDecline
    | CvTransfer
    | CvClose
    | RulesApply
    | RulesGet
    | MembersGet
    | MembersChange
    | UserPut
    | UserSecret
    | UserGet
    | UserList
    | UserRemove
    | TokenRevoke
    | AuditList
    | Pong
)

BY_NAME: dict[str, type[Request]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(AnyRequest)
}
"""Every operation by its name."""

RESULTS: dict[type[Request], type[results.Result]] = {
    Auth: results.Renewed,
    CvOpen: results.Opened,
    CvGet: results.Conversation,
    CvHistory: results.History,
    CvSub: results.Followed,
    CvUnsub: results.Nothing,
    MsgSend: results.Said,
    StatusSet: results.StatusIs,
    OfferAccept: results.Accepted,
    OfferDecline: results.Nothing,
    CvTransfer: results.Changed,
    CvClose: results.Changed,
    RulesApply: results.RulesApplied,
    RulesGet: results.Rules,
    MembersGet: results.Members,
    MembersChange: results.Members,
    UserPut: results.UserChanged,
    UserSecret: results.UserChanged,
    UserGet: results.User,
    UserList: results.Users,
    UserRemove: results.UserRemoved,
    TokenRevoke: results.Revoked,
    AuditList: results.Audit,
}
"""What the reply's `r` holds; operations that are not here have no reply."""


class Events(msgspec.Struct, omit_defaults=True):
    """What happens, told to a session that only listens: no WebSocket, and no other requests.

    An agent who listens is there, and is made offers.  What is a client's own it hears unasked.
    """

    cv: list[str] = []
    """Conversations to follow besides, from the first event on; answered by `ok` or `err` with
    the place in this list, 1, 2, ..."""
    place: str = ""
    """Where the stream broke, as the last push said: it goes on from there, at any node."""


class Reply(msgspec.Struct, tag_field="op", kw_only=True, omit_defaults=True):
    """The one answer to a request with an `id`."""

    id: int


class Ok(Reply, tag="ok"):
    r: dict[str, Any] = {}
    """A durable operation's result: it is on a majority of disks."""


class Err(Reply, tag="err"):
    code: str
    msg: str
    retry: bool = False
    after: int | None = None
    """Milliseconds to wait before a retry."""
    data: dict[str, Any] = {}


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
    """For agents: status, load, capacity, and `cvs` held ({cv, seq, fence})."""


class Ev(Push, tag="ev", kw_only=True):
    """One durable event; `seq` is 1, 2, 3 ... for every observer.  `type` hidden: not for you.

    Types and their `data`: opened{channel, lang, subject}, msg{type, body, reply_to?}, note{...},
    queued{queue, priority, rule?, reason?, agent?}, offered{agent}, assigned{agent, name, fence},
    unassigned{agent, reason}, transferred{to}, closed{reason}.  Visitors get `queue` alone of
    queued, `agent` and `name` of assigned, and nothing of offered, unassigned, transferred.
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
    """rule, rev"""
    cust: dict[str, Any] = {}
    preview: str = ""


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


class TokenExpiring(Push, tag="token.expiring"):
    exp: int


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


AnyPush = (
    Welcome
    | Ev
    | Caught
    | Gap
    | Receipt
    | TypingPush
    | OfferPush
    | OfferGonePush
    | Inbox
    | RulesPush
    | ClusterPush
    | TokenExpiring
    | Bye
    | Ping
)
