"""Commands: everything that may change the replicated state, put together here.  No I/O.

A command asks, `Machine` decides.  Whoever proposes puts ids and choices in; time comes with the
log entry (`cluster.state.entry`).
Encoded as a msgpack array that begins with the command's tag, so fields are only ever
added at the end, with a default.  Each is declared in the module of its subject.

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

import msgspec

from cluster.state.commands.accounts import (
    AddAudit,
    IssueToken,
    PutAccount,
    RemoveAccount,
    RevokeTokens,
    SetSecret,
)
from cluster.state.commands.agents import (
    CloseSession,
    DismissSession,
    EndStatus,
    EndWrapUp,
    ExpireSession,
    FinishWrapUp,
    IdleSession,
    LoseSession,
    OpenSession,
    SetStatus,
)
from cluster.state.commands.base import (
    SYSTEM,
    AccountKind,
    By,
    PrincipalKind,
)
from cluster.state.commands.chaos import (
    AllowChaos,
    EndChaos,
    FaultKind,
    StartChaos,
)
from cluster.state.commands.company import (
    AskColleague,
    EndSupervision,
    InviteAgent,
    JoinConversation,
    LeaveConversation,
    SupervisionMode,
    TransferConversation,
)
from cluster.state.commands.conversations import (
    CloseConversation,
    OpenConversation,
    PurgeConversations,
    RateConversation,
    ReopenConversation,
    SetFields,
)
from cluster.state.commands.messages import (
    DeleteMessage,
    EditMessage,
    SendMessage,
    Visibility,
)
from cluster.state.commands.nodes import (
    BootNode,
    DrainNode,
    HealOutcome,
    LoseNode,
    NoteHeal,
    RaiseLevel,
)
from cluster.state.commands.routing import (
    AcceptOffer,
    AdvanceStep,
    DeclineOffer,
    ExpireOffer,
    MakeOffer,
    OverflowConversation,
    QueueAlert,
    RouteConversation,
    SlaDue,
    TakeConversation,
)
from cluster.state.commands.rules import (
    ApplyRules,
    PutCanned,
    RemoveCanned,
    RollbackRules,
)

Command = (
    OpenConversation
    | SetFields
    | CloseConversation
    | ReopenConversation
    | RateConversation
    | PurgeConversations
    | SendMessage
    | EditMessage
    | DeleteMessage
    | RouteConversation
    | AdvanceStep
    | OverflowConversation
    | QueueAlert
    | SlaDue
    | MakeOffer
    | AcceptOffer
    | DeclineOffer
    | ExpireOffer
    | TakeConversation
    | TransferConversation
    | InviteAgent
    | AskColleague
    | LeaveConversation
    | JoinConversation
    | EndSupervision
    | OpenSession
    | LoseSession
    | CloseSession
    | ExpireSession
    | DismissSession
    | IdleSession
    | SetStatus
    | EndStatus
    | FinishWrapUp
    | EndWrapUp
    | ApplyRules
    | RollbackRules
    | PutCanned
    | RemoveCanned
    | PutAccount
    | SetSecret
    | RemoveAccount
    | IssueToken
    | RevokeTokens
    | AddAudit
    | BootNode
    | LoseNode
    | DrainNode
    | RaiseLevel
    | NoteHeal
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
