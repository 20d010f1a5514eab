"""Commands: everything that may change the replicated state.  No I/O.

A command is a request in the past tense of nobody: it asks, `Machine` decides.  Whoever
proposes puts ids and choices in; time comes with the log entry (`cluster.state.entry`).
Encoded as a msgpack array that begins with the command's tag, so fields are only ever
added at the end, with a default.

    who proposes        command
    ------------        -------
    a visitor           OpenConversation, SendMessage, CloseConversation, EditMessage,
                        DeleteMessage, ReopenConversation, RateConversation
    an agent            SendMessage, SetStatus, AcceptOffer, DeclineOffer, TransferConversation,
                        CloseConversation, TakeConversation, FinishWrapUp, SetFields, InviteAgent,
                        LeaveConversation, EditMessage, DeleteMessage, ReopenConversation
    a supervisor        JoinConversation, EndSupervision, and what agents do with any conversation
    an operator         ApplyRules, RollbackRules, PutAccount, SetSecret, RemoveAccount,
                        RevokeTokens, DrainNode, DismissSession, StartChaos, EndChaos
    supervisors too     PutCanned, RemoveCanned
    whoever logs in     IssueToken
    the node, for one   AddAudit
    the node            OpenSession, LoseSession, CloseSession, BootNode, IdleSession,
                        EndSupervision
    the leader          RouteConversation, MakeOffer, ExpireOffer, ExpireSession, LoseNode,
                        PurgeConversations, AdvanceStep, EndWrapUp, OverflowConversation,
                        SlaDue, QueueAlert, EndStatus, AskColleague, RaiseLevel
    whoever heals       NoteHeal
    a node with chaos   AllowChaos, EndChaos

Times are integer milliseconds of cluster time; ids are ULIDs as text.
"""

from typing import Any, Literal

import msgspec

from cluster.state.route import Choice, Queue, Route, ServiceLevel

PrincipalKind = Literal["visitor", "agent", "supervisor", "operator", "service", "system"]
AccountKind = Literal["agent", "supervisor", "operator", "service"]
"""Visitors have none: whoever comes to a desk for help registers nowhere."""
Visibility = Literal["all", "agents"]
SupervisionMode = Literal["monitor", "whisper", "barge"]


class By(msgspec.Struct, frozen=True, array_like=True):
    """Who acts: the principal of the token, as everybody will see it in the event."""

    kind: PrincipalKind
    id: str
    name: str = ""


SYSTEM = By("system", "unidesk")


class _Command(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag=True):
    """The encoding that all commands share."""


class OpenConversation(_Command, frozen=True, tag="cv.open"):
    cv: str
    by: By
    key: str
    channel: str = "web"
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    queue_hint: str = ""
    text: str = ""
    mid: str = ""
    """Id of the first message; used when `text` is given."""


class RouteConversation(_Command, frozen=True, tag="cv.route"):
    """The router's decision; refused when the conversation is offered or assigned."""

    cv: str
    route: Route
    step: int = 0
    """With which of its steps it begins."""
    skipped: tuple[tuple[int, str], ...] = ()
    """Steps before it, and why each was skipped."""
    erred: tuple[str, ...] = ()
    """Rules that could not be told, for the record (`cluster.state.routings`)."""
    shadows: tuple[tuple[str, str], ...] = ()
    """(rule, queue) of shadow rules that would have matched, for the record."""


class SendMessage(_Command, frozen=True, tag="msg.send"):
    cv: str
    mid: str
    by: By
    key: str
    type: Literal["text", "file", "card", "event"]
    body: Any
    visibility: Visibility = "all"
    reply_to: str = ""
    fence: int | None = None
    after: int | None = None


class SetStatus(_Command, frozen=True, tag="status.set"):
    by: By
    agent: str
    status: Literal["online", "away", "busy", "offline", "transfer_only"]
    reason: str = ""
    until_ms: int = 0
    """When the agent is again what they were before; 0: they say so themselves."""


class OpenSession(_Command, frozen=True, tag="session.open"):
    """An agent's socket said hello at `node`; opening a known `sid` again moves it there."""

    sid: str
    by: By
    node: str
    boot: str
    skills: dict[str, int] = {}
    capacity: int = 1
    langs: tuple[str, ...] = ()
    seen: tuple[str, str, int] | None = None
    """Node, boot and `since_ms` of the session where the proposer saw it, when there was one: an
    opening that comes late must not take it from where it went since."""


class LoseSession(_Command, frozen=True, tag="session.lose"):
    """The socket broke: the grace period starts.  Refused unless it is still at `node`, `boot`."""

    sid: str
    node: str
    boot: str


class CloseSession(_Command, frozen=True, tag="session.close"):
    """The agent logged out: no grace.  Refused unless it is still at `node`, `boot`, if given."""

    sid: str
    node: str = ""
    boot: str = ""


class ExpireSession(_Command, frozen=True, tag="session.expire"):
    """The grace period of a lost session is over; re-checked against its deadline."""

    sid: str


class BootNode(_Command, frozen=True, tag="node.boot"):
    """A node process began; sessions of its earlier boots are lost from here on."""

    node: str
    boot: str
    url: str


class LoseNode(_Command, frozen=True, tag="node.lose"):
    """The leader has not heard `boot` of `node` for the grace period."""

    node: str
    boot: str


class MakeOffer(_Command, frozen=True, tag="offer.make"):
    """The dispatcher's choice; every condition of it is checked again when applied."""

    oid: str
    cv: str
    agent: str
    ttl_ms: int
    choice: Choice | None = None
    """Why this agent."""


class AcceptOffer(_Command, frozen=True, tag="offer.accept"):
    oid: str
    by: By
    key: str


class DeclineOffer(_Command, frozen=True, tag="offer.decline"):
    oid: str
    by: By
    reason: str = ""


class ExpireOffer(_Command, frozen=True, tag="offer.expire"):
    oid: str


class TransferConversation(_Command, frozen=True, tag="cv.transfer"):
    """Cold transfer: the owner lets go, the conversation waits with its original age.

    Another queue asks for its own skills; an agent who is named needs none.  A warm one: the owner
    keeps it until a colleague has accepted.
    """

    cv: str
    by: By
    key: str
    to_agent: str = ""
    to_queue: str = ""
    note: str = ""
    fence: int | None = None
    to_rule: str | None = None
    """Routed anew: by the rule of this name, or by all when empty."""
    warm: bool = False
    keep: bool = False
    """Warm: whoever hands it over stays as a member."""
    iid: str = ""
    """Id of the invitation that a warm transfer is."""


class CloseConversation(_Command, frozen=True, tag="cv.close"):
    cv: str
    by: By
    key: str
    reason: str = ""


class ApplyRules(_Command, frozen=True, tag="rules.apply"):
    by: By
    files: dict[str, str]
    """File name to TOML text, already compiled without error by whoever proposes."""
    queues: dict[str, Queue]
    """Every queue that `files` name, as compiled."""
    slas: dict[str, ServiceLevel] = {}
    """Every [sla.NAME] of `files`, as compiled."""
    rev_expected: int | None = None
    node: str = ""
    """Where it was asked, for the audit log."""
    reroute: bool = False
    """Whether these rules decide anew about who waits already."""


class RollbackRules(_Command, frozen=True, tag="rules.rollback"):
    """Put the files of an earlier revision into force again, as a new one."""

    by: By
    rev: int
    rev_expected: int | None = None
    node: str = ""
    """Where it was asked, for the audit log."""
    reroute: bool = False
    """Whether these rules decide anew about who waits already."""


class PurgeConversations(_Command, frozen=True, tag="cv.purge"):
    """Forget conversations closed longer ago than the retention; others named are left."""

    cvs: tuple[str, ...]


class PutAccount(_Command, frozen=True, tag="user.put"):
    """Make an account, or change what is given of one; None leaves a field as it is."""

    by: By
    key: str
    id: str
    kind: AccountKind | None = None
    name: str | None = None
    skills: dict[str, int] | None = None
    capacity: int | None = None
    langs: tuple[str, ...] | None = None
    disabled: bool | None = None
    secret: str = ""
    """The argon2id hash of a new password or secret, in PHC form; hashed by whoever proposes."""
    rev_expected: int | None = None
    """0: there must be none yet."""


class SetSecret(_Command, frozen=True, tag="user.secret"):
    """Another password, or a service's next secret.

    `keep`, for services: the newest secret so far counts beside it.  Without it the old ones
    count no more, nor does any token issued so far.  No secret: the newest alone is kept.
    """

    by: By
    key: str
    id: str
    secret: str = ""
    keep: bool = False


class RemoveAccount(_Command, frozen=True, tag="user.remove"):
    by: By
    key: str
    id: str


class RevokeTokens(_Command, frozen=True, tag="token.revoke"):
    """One token by its `jti`, or else all that were issued so far to the principal."""

    by: By
    key: str
    kind: PrincipalKind | None = None
    id: str = ""
    jti: str = ""
    exp_s: int = 0
    """When the one token ends, seconds UTC: until then it is remembered."""


class IssueToken(_Command, frozen=True, tag="token.issue"):
    """Somebody proved their secret at a node.

    Refused if the account is not what it was when the secret was looked at, so that every token
    is before or after each revocation, by the log alone.
    """

    by: By
    jti: str
    ttl_s: int
    rev: int
    """Revision of the account whose secret was proved."""
    address: str = ""


class AddAudit(_Command, frozen=True, tag="audit.add"):
    """What somebody did that is no command of its own: looked into a conversation ..."""

    by: By
    what: str
    detail: dict[str, Any] = {}


class AdvanceStep(_Command, frozen=True, tag="cv.advance"):
    """The step is over: on to step `to`; re-checked against the step's deadline."""

    cv: str
    step: int
    """Where it was when that was seen."""
    to: int
    skipped: tuple[tuple[int, str], ...] = ()
    """Steps between the two, and why each was skipped."""


class TakeConversation(_Command, frozen=True, tag="cv.take"):
    """An agent helps themselves to what waits."""

    cv: str
    by: By
    key: str


class FinishWrapUp(_Command, frozen=True, tag="wrap.done"):
    """The agent is done with what was left to do for a conversation."""

    by: By
    cv: str


class EndWrapUp(_Command, frozen=True, tag="wrap.end"):
    """The time for a wrap-up has passed; re-checked against its deadline."""

    agent: str
    cv: str


class OverflowConversation(_Command, frozen=True, tag="cv.overflow"):
    """Nobody took it in time, or too many wait: what its route says happens, once a wait."""

    cv: str


class SetFields(_Command, frozen=True, tag="cv.fields"):
    """Set and unset some of a conversation's tags, or of its attributes."""

    cv: str
    by: By
    what: Literal["tags", "attrs"]
    set: dict[str, Any] = {}
    unset: tuple[str, ...] = ()


class EndStatus(_Command, frozen=True, tag="status.end"):
    """A status was set until a time that has come; re-checked against it."""

    agent: str


class IdleSession(_Command, frozen=True, tag="session.idle"):
    """An agent did nothing on this device for long, or does something again.

    Without a `sid`: did something that came by no session of theirs.
    """

    agent: str
    idle: bool
    sid: str = ""
    node: str = ""
    boot: str = ""


class InviteAgent(_Command, frozen=True, tag="cv.invite"):
    """Ask another agent to take part; they have `ttl_ms` to accept, as with an offer."""

    cv: str
    by: By
    agent: str
    iid: str
    ttl_ms: int
    note: str = ""


class LeaveConversation(_Command, frozen=True, tag="cv.leave"):
    """Take part no more; a supervisor may name another member."""

    cv: str
    by: By
    agent: str = ""


class AskColleague(_Command, frozen=True, tag="cv.ask"):
    """The leader's choice whom of a queue a warm transfer is offered to."""

    iid: str
    agent: str
    ttl_ms: int


class JoinConversation(_Command, frozen=True, tag="sup.join"):
    """A supervisor listens, whispers or speaks, for as long as their session `sid` lasts."""

    cv: str
    by: By
    mode: SupervisionMode
    sid: str
    node: str
    boot: str


class EndSupervision(_Command, frozen=True, tag="sup.leave"):
    """A supervisor leaves.

    The node says so for them, as the system, when the session is over from which they joined: also
    of somebody whose account is disabled, whose own commands count no more.
    """

    cv: str
    by: By
    supervisor: str = ""
    sid: str = ""
    """Only if they joined from that session."""


class EditMessage(_Command, frozen=True, tag="msg.edit"):
    cv: str
    mid: str
    by: By
    key: str
    body: Any


class DeleteMessage(_Command, frozen=True, tag="msg.del"):
    cv: str
    mid: str
    by: By
    key: str


class ReopenConversation(_Command, frozen=True, tag="cv.reopen"):
    """A closed one goes on: with its last agent, if they are here, else routed anew."""

    cv: str
    by: By
    key: str


class RateConversation(_Command, frozen=True, tag="cv.rate"):
    """What whoever opened it thinks of it: 1 to 5, and words."""

    cv: str
    by: By
    key: str
    score: int
    text: str = ""


class PutCanned(_Command, frozen=True, tag="canned.put"):
    """Write a canned response, or write it anew."""

    by: By
    key: str
    shortcut: str
    title: str
    texts: dict[str, str]
    """By language."""
    queues: tuple[str, ...] = ()
    rev_expected: int | None = None
    """0: there must be none yet."""


class RemoveCanned(_Command, frozen=True, tag="canned.remove"):
    by: By
    key: str
    shortcut: str
    rev_expected: int | None = None


class QueueAlert(_Command, frozen=True, tag="queue.alert"):
    """Nobody is there for a queue in its hours; re-checked but for the hours."""

    queue: str


class SlaDue(_Command, frozen=True, tag="sla.due"):
    """A clock of the conversation reached its warning, or its deadline; re-checked."""

    cv: str


class RaiseLevel(_Command, frozen=True, tag="level.raise"):
    """All members understand the commands of `level`; see `cluster.state.levels`."""

    level: int


HealOutcome = Literal["done", "began", "failed", "held_back", "observed"]
"""`held_back`: a limit of the rate forbade it; `observed`: healing is off, and only watches."""


class NoteHeal(_Command, frozen=True, tag="heal.note"):
    """What a node did by itself, by which rule of `cluster.heal.rules`, and why."""

    rule: int
    seen: str
    """What was wrong, in words with figures."""
    done: str
    outcome: HealOutcome
    at_ms: int
    """When, by the clock of the node that tells."""
    figures: dict[str, Any] = {}


class DrainNode(_Command, frozen=True, tag="node.drain"):
    """Let a node take no clients and lead nothing, or take them again; it votes as before."""

    node: str
    by: By
    drained: bool = True


class DismissSession(_Command, frozen=True, tag="session.dismiss"):
    """Send a client away: to another node, or, with `stop`, for good.

    `sid` names a session of an agent; without it all connections of principal `kind`, `id`.
    """

    by: By
    sid: str = ""
    kind: PrincipalKind | None = None
    id: str = ""
    stop: bool = False
    to: str = ""
    """The node where it should go; empty for any."""


FaultKind = Literal[
    "partition",
    "one_way",
    "delay",
    "loss",
    "reset",
    "pause",
    "kill",
    "slow_disk",
    "full_disk",
    "fsync_error",
    "clock_skew",
]


class AllowChaos(_Command, frozen=True, tag="chaos.allow"):
    """The node that proposes this may be broken on purpose, for as long as it has this boot."""

    boot: str
    zone: str = ""


class StartChaos(_Command, frozen=True, tag="chaos.start"):
    """Break something for `for_ms`; see `cluster.state.chaos` for what the rest means."""

    by: By
    key: str
    fault: str
    """A new id."""
    kind: FaultKind
    groups: tuple[tuple[str, ...], ...]
    for_ms: int
    amount: int = 0
    jitter_ms: int = 0
    clients: bool = False
    zone: str = ""


class EndChaos(_Command, frozen=True, tag="chaos.end"):
    """End these faults; all, when none is named."""

    by: By
    faults: tuple[str, ...] = ()
    why: Literal["stopped", "over"] = "stopped"


Command = (
    OpenConversation
    | RouteConversation
    | SendMessage
    | SetStatus
    | OpenSession
    | LoseSession
    | CloseSession
    | ExpireSession
    | BootNode
    | LoseNode
    | MakeOffer
    | AcceptOffer
    | DeclineOffer
    | ExpireOffer
    | TransferConversation
    | CloseConversation
    | ApplyRules
    | PurgeConversations
    | PutAccount
    | SetSecret
    | RemoveAccount
    | RevokeTokens
    | IssueToken
    | AddAudit
    | RollbackRules
    | AdvanceStep
    | TakeConversation
    | FinishWrapUp
    | EndWrapUp
    | OverflowConversation
    | SlaDue
    | RateConversation
    | PutCanned
    | RemoveCanned
    | QueueAlert
    | SetFields
    | EndStatus
    | IdleSession
    | InviteAgent
    | LeaveConversation
    | AskColleague
    | JoinConversation
    | EndSupervision
    | EditMessage
    | DeleteMessage
    | ReopenConversation
    | RaiseLevel
    | NoteHeal
    | DrainNode
    | DismissSession
    | AllowChaos
    | StartChaos
    | EndChaos
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Command)


def encode(command: Command) -> bytes:
    """Return the command as one msgpack array."""
    return _encoder.encode(command)


def decode(data: bytes) -> Command:
    """Return the command in `data`; raise `msgspec.DecodeError` where it is none."""
    command: Command = _decoder.decode(data)
    return command
