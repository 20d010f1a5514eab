"""Every operation and push of `unidesk.v1`, declared once.  No I/O.

    client -> server   a map with `op` and `id`; one reply: {op: "ok", id, r} or
                       {op: "err", id, code, ...}.  `id` 0 or absent asks for no reply
                       (ack, read, typing, pong).  `trace`, in any request, is the W3C
                       `traceparent` of what it is a part of; by HTTP and gRPC the header says it
    server -> client   a reply, or a push (no `id`).

Unknown fields are ignored both ways; unknown pushes are ignored by clients; an unknown
request is answered with `unknown_op`.  A frame is one map or an array of at most
`FRAME_MAPS_MAX`.  Times are integer milliseconds UTC; ids are ULIDs as text; `key` is the
client's idempotency key, 1-64 bytes: the same key, at any node, gets the same answer.
"""

from typing import Any, get_args

import msgspec

from node.protocol import (
    chaos_results,
    heal_results,
    node_results,
    results,
    rule_results,
    service_results,
)
from node.protocol.pushes import (
    Bye,
    Caught,
    ClusterPush,
    Ev,
    Gap,
    Inbox,
    NodeAddress,
    OfferGonePush,
    OfferPush,
    Ping,
    PresencePush,
    Push,
    QueueAlertPush,
    QueuePush,
    QueueRowsPush,
    Receipt,
    RulesPush,
    TokenExpiring,
    TypingPush,
    Viewer,
    ViewersPush,
    Welcome,
)
from node.protocol.requests.accounts import (
    AuditList,
    TokenRevoke,
    UserGet,
    UserList,
    UserPut,
    UserRemove,
    UserSecret,
)
from node.protocol.requests.agents import (
    CvTake,
    OfferAccept,
    OfferDecline,
    Status,
    StatusSet,
    WrapDone,
)
from node.protocol.requests.base import ALL, Request, Role, Roles
from node.protocol.requests.canned import (
    CannedFind,
    CannedGet,
    CannedList,
    CannedPut,
    CannedRemove,
)
from node.protocol.requests.chaos import ChaosStart, ChaosStatus, ChaosStop
from node.protocol.requests.company import CvInvite, CvLeave, SupJoin, SupLeave
from node.protocol.requests.connection import Auth, Hello, Pong, Resume
from node.protocol.requests.conversations import (
    Ack,
    CvClose,
    CvGet,
    CvHistory,
    CvOpen,
    CvSub,
    CvTransfer,
    CvUnsub,
    MsgSend,
    Read,
    Typing,
)
from node.protocol.requests.healing import HealLog, HealStatus
from node.protocol.requests.lists import (
    AgentList,
    ConversationFilter,
    CvList,
    QueueList,
    QueueWatch,
)
from node.protocol.requests.members import MembersChange, MembersGet
from node.protocol.requests.nodes import LeaderTransfer, NodeDrain, SessionDismiss, SessionList
from node.protocol.requests.rules import (
    Contact,
    RulesApply,
    RulesGet,
    RulesHistory,
    RulesPlan,
    RulesRollback,
    RulesSimulate,
    RulesStats,
    Why,
)
from node.protocol.requests.service import CvMissed, CvRate, CvRatings
from node.protocol.requests.upkeep import CvAttr, CvReopen, CvTag, MsgDel, MsgEdit

VERSION = "1"
SUBPROTOCOL_JSON = "unidesk.v1+json"
SUBPROTOCOL_MSGPACK = "unidesk.v1+msgpack"
FRAME_BYTES_MAX = 64 * 1024
FRAME_MAPS_MAX = 64
HELLO_S = 5

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
    | CvRate
    | CvRatings
    | CvMissed
    | CannedPut
    | CannedRemove
    | CannedGet
    | CannedList
    | CannedFind
    | CvList
    | QueueList
    | QueueWatch
    | AgentList
    | CvTag
    | CvAttr
    | CvInvite
    | CvLeave
    | SupJoin
    | SupLeave
    | MsgEdit
    | MsgDel
    | CvReopen
    | RulesHistory
    | RulesRollback
    | RulesPlan
    | RulesSimulate
    | RulesStats
    | Why
    | Pong
    | CvTake
    | WrapDone
    | LeaderTransfer
    | NodeDrain
    | SessionList
    | SessionDismiss
    | ChaosStart
    | ChaosStop
    | ChaosStatus
    | HealLog
    | HealStatus
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
    CvRate: results.Changed,
    CvRatings: service_results.Ratings,
    CvMissed: service_results.Missed,
    CannedPut: service_results.CannedChanged,
    CannedRemove: service_results.CannedGone,
    CannedGet: service_results.CannedOne,
    CannedList: service_results.CannedPage,
    CannedFind: service_results.CannedHits,
    CvList: results.Conversations,
    QueueList: results.Queues,
    QueueWatch: results.Queues,
    AgentList: results.Agents,
    CvTag: results.Changed,
    CvAttr: results.Changed,
    CvInvite: results.Invited,
    CvLeave: results.Changed,
    SupJoin: results.Changed,
    SupLeave: results.Changed,
    MsgEdit: results.Changed,
    MsgDel: results.Changed,
    CvReopen: results.Reopened,
    RulesHistory: rule_results.RuleHistory,
    RulesRollback: results.RulesApplied,
    RulesPlan: rule_results.RulePlan,
    RulesSimulate: rule_results.Simulated,
    RulesStats: rule_results.RuleStatistics,
    Why: rule_results.Reasons,
    CvTake: results.Accepted,
    WrapDone: results.Nothing,
    LeaderTransfer: node_results.Transferred,
    NodeDrain: node_results.Drained,
    SessionList: node_results.Sessions,
    SessionDismiss: node_results.SessionsDismissed,
    ChaosStart: chaos_results.ChaosStarted,
    ChaosStop: chaos_results.ChaosEnded,
    ChaosStatus: chaos_results.ChaosNow,
    HealLog: heal_results.HealLines,
    HealStatus: heal_results.Healing,
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
    | QueuePush
    | QueueRowsPush
    | Bye
    | Ping
    | QueueAlertPush
    | PresencePush
    | ViewersPush
)
