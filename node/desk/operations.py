"""What each operation does with a request: one method each.  No I/O: waits for the port alone.

    returns    meaning
    Answered   read from the state: the reply's `r`
    Command    to be submitted to the log; its outcome is the reply
    Later      has to wait first (a barrier, a compiler), then one of the two above
    None       no reply

or raises `NotAllowed` with the reply's code.  The catalogue says who may ask at all;
`node.desk.requests` brings requests here and outcomes back.  Ids go into the command here;
whether it holds is decided where it is applied, the same on every node.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import trio

from cluster.ids import is_ulid
from cluster.routing.ruleset import compile_rules
from cluster.state import commands
from cluster.state.model import Conversation
from cluster.toml_source import SourceErrors
from node.auth import BadToken, Principal, UnaskedToken, UndecidedToken
from node.desk.accounts import Accounts
from node.desk.context import Context
from node.desk.ephemeral import Ephemeral
from node.desk.frames import Encoding
from node.desk.hub import Hub
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Later, Lookup, check_cv
from node.desk.membership import Membership
from node.desk.opening import Opening
from node.desk.passwords import Passwords
from node.desk.plain import (
    NotAllowed,
    check_body,
    check_fields,
    check_integers,
    check_key,
    check_name,
    check_text,
)
from node.desk.resume import events_after
from node.desk.session import Session
from node.desk.views import Audience, conversation_view, event_push, first_kept
from node.protocol import catalogue as ops
from node.protocol.catalogue import Ev
from node.protocol.codes import ErrorCode

HISTORY_MAX = 200
HISTORY_BYTES_MAX = 60 * 1024
"""What the events of one reply may take, so that it stays about as large as a client's frame."""
RULE_FILES_MAX = 32
"""Files of one rule set; their size is bounded by the frame."""


class Asker(Protocol):
    """The part of a session that an operation without a connection looks at."""

    @property
    def audience(self) -> Audience: ...
    @property
    def encoding(self) -> Encoding: ...


class Operations:
    """What can be asked."""

    def __init__(
        self,
        context: Context,
        hub: Hub,
        opening: Opening,
        ephemeral: Ephemeral,
        passwords: Passwords,
        looks: Looks,
    ) -> None:
        self._context = context
        self._hub = hub
        self._opening = opening
        self._ephemeral = ephemeral
        self._lookup = Lookup(context)
        self._membership = Membership(context)
        self._accounts = Accounts(context, passwords, self._lookup.barrier)
        self._looks = looks
        self._compiling = trio.CapacityLimiter(1)

    def perform(self, asker: Asker, principal: Principal, request: ops.Request) -> Effect:
        """Return what follows from a request that its role may make.  Raises `NotAllowed`.

        What needs a connection is asked by a `Session`.
        """
        assert isinstance(asker, Session) or not request.needs_connection
        check_integers(request)
        outcome: Effect = _HANDLERS[type(request)](self, asker, principal, request)
        return outcome

    # -- operations: themselves

    def _auth(self, session: Session, principal: Principal, request: ops.Auth) -> Effect:
        try:
            return Answered({"exp": self._opening.renew(session, request.token) * 1000})
        except UnaskedToken as question:
            return Later(partial(self._auth_asked, session, question))
        except BadToken as error:
            raise _not_renewed(error) from None

    async def _auth_asked(self, session: Session, question: UnaskedToken) -> Answered:
        try:
            principal = await question.ask()
            return Answered({"exp": self._opening.take(session, principal) * 1000})
        except BadToken as error:
            raise _not_renewed(error) from None

    def _pong(self, session: Session, principal: Principal, request: ops.Pong) -> Effect:
        return None

    # -- operations: reading

    def _cv_get(self, asker: Asker, principal: Principal, request: ops.CvGet) -> Effect:
        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            return Answered({"conv": conversation_view(conversation, asker.audience)})

        return self._lookup.look(principal, request.cv, answer)

    def _cv_history(self, asker: Asker, principal: Principal, request: ops.CvHistory) -> Effect:
        limit = min(request.limit, HISTORY_MAX) or HISTORY_MAX

        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            kept = events_after(conversation, request.after)
            pushes = (event_push(request.cv, event, asker.audience) for event in kept[:limit])
            events = _fitting(pushes, asker)
            return Answered(
                {
                    "events": events,
                    "more": len(kept) > len(events),
                    "first": first_kept(conversation),
                    "last": conversation.seq,
                    "gap": request.after < first_kept(conversation) - 1,
                }
            )

        return self._lookup.look(principal, request.cv, answer, at_least=request.after)

    def _cv_sub(self, session: Session, principal: Principal, request: ops.CvSub) -> Effect:
        self._check_room(session)
        have = max(0, request.from_ - 1)

        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            then = partial(self._hub.following.subscribe, session, request.cv, have)
            return Answered({"seq": conversation.seq}, then)

        return self._lookup.look(principal, request.cv, answer, at_least=have)

    def _check_room(self, session: Session) -> None:
        if not self._hub.following.has_room(session):
            raise NotAllowed("at_capacity", f"{session.follows_max} conversations are followed")

    def _cv_unsub(self, session: Session, principal: Principal, request: ops.CvUnsub) -> Effect:
        self._hub.following.unsubscribe(session, request.cv)
        return Answered({})

    # -- operations: ephemeral

    def _seen(self, session: Session, principal: Principal, request: ops.Ack | ops.Read) -> Effect:
        self._ephemeral.seen(session, request)
        return None

    def _typing(self, session: Session, principal: Principal, request: ops.Typing) -> Effect:
        self._ephemeral.typing(session, request)
        return None

    # -- operations: the log

    def _cv_open(self, asker: Asker, principal: Principal, request: ops.CvOpen) -> Effect:
        if isinstance(asker, Session):
            self._check_room(asker)
        check_key(request.key)
        check_fields(request.tags, "tags")
        check_fields(request.attrs, "attrs")
        check_text(request.text, "text")
        queue_hint = request.hint.get("queue", "")
        names = {
            "subject": request.subject,
            "channel": request.channel,
            "lang": request.lang,
            "hint.queue": queue_hint,
        }
        for what, value in names.items():
            check_name(value, what)
        return commands.OpenConversation(
            cv=self._context.ids.new(),
            by=principal.by,
            key=request.key,
            channel=request.channel,
            lang=request.lang,
            subject=request.subject,
            tags=request.tags,
            attrs=request.attrs,
            queue_hint=queue_hint,
            text=request.text,
            mid=self._context.ids.new() if request.text else "",
        )

    def _msg_send(self, asker: Asker, principal: Principal, request: ops.MsgSend) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_name(request.reply_to, "reply_to")
        check_body(request.body, request.type)
        return commands.SendMessage(
            cv=request.cv,
            mid=self._context.ids.new(),
            by=principal.by,
            key=request.key,
            type=request.type,
            body=request.body,
            visibility=request.vis,
            reply_to=request.reply_to,
            fence=request.fence,
            after=request.after,
        )

    def _status_set(self, asker: Asker, principal: Principal, request: ops.StatusSet) -> Effect:
        check_name(request.reason, "reason")
        return commands.SetStatus(
            by=principal.by, agent=principal.id, status=request.status, reason=request.reason
        )

    def _offer_accept(self, asker: Asker, principal: Principal, request: ops.OfferAccept) -> Effect:
        _check_oid(request.oid)
        check_key(request.key)
        return commands.AcceptOffer(oid=request.oid, by=principal.by, key=request.key)

    def _offer_decline(
        self, asker: Asker, principal: Principal, request: ops.OfferDecline
    ) -> Effect:
        _check_oid(request.oid)
        check_name(request.reason, "reason")
        return commands.DeclineOffer(oid=request.oid, by=principal.by, reason=request.reason)

    def _cv_transfer(self, asker: Asker, principal: Principal, request: ops.CvTransfer) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_text(request.note, "note")
        to_agent, to_queue = request.to.get("agent", ""), request.to.get("queue", "")
        if bool(to_agent) == bool(to_queue):
            raise NotAllowed("bad_request", "to: name either an agent or a queue")
        check_name(to_agent, "to.agent")
        check_name(to_queue, "to.queue")
        return commands.TransferConversation(
            cv=request.cv,
            by=principal.by,
            key=request.key,
            to_agent=to_agent,
            to_queue=to_queue,
            note=request.note,
            fence=request.fence,
        )

    def _cv_close(self, session: Session, principal: Principal, request: ops.CvClose) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_name(request.reason, "reason")
        return commands.CloseConversation(
            cv=request.cv, by=principal.by, key=request.key, reason=request.reason
        )

    # -- operations: rules

    def _rules_get(self, asker: Asker, principal: Principal, request: ops.RulesGet) -> Effect:
        return Later(self._read_rules)

    async def _read_rules(self) -> Answered:
        await self._lookup.barrier()
        rules = self._context.state.rules
        if rules is None:
            return Answered({"rev": 0, "files": {}})
        return Answered({"rev": rules.rev, "files": rules.files, "by": rules.by, "at": rules.at_ms})

    def _rules_apply(self, asker: Asker, principal: Principal, request: ops.RulesApply) -> Effect:
        if not 1 <= len(request.files) <= RULE_FILES_MAX:
            raise NotAllowed("bad_request", f"files: must be 1 to {RULE_FILES_MAX}")
        for name in request.files:
            check_name(name, "files: a name")
        return Later(partial(self._compile, principal, request))

    async def _compile(self, principal: Principal, request: ops.RulesApply) -> commands.ApplyRules:
        try:
            rules = await trio.to_thread.run_sync(
                compile_rules, request.files, limiter=self._compiling
            )
        except SourceErrors as errors:
            raise NotAllowed("bad_request", str(errors)) from None
        return commands.ApplyRules(
            by=principal.by,
            files=request.files,
            queues={name: queue.accept_ms for name, queue in rules.queues.items()},
            skills={name: queue.skills for name, queue in rules.queues.items()},
            rev_expected=request.rev_expected,
            node=self._context.port.node_id,
        )

    # -- operations: members

    def _members_get(self, asker: Asker, principal: Principal, request: ops.MembersGet) -> Effect:
        return self._membership.get()

    def _members_change(
        self, asker: Asker, principal: Principal, request: ops.MembersChange
    ) -> Effect:
        return self._membership.change(principal, request)

    # -- operations: accounts, tokens, audit

    def _user_put(self, asker: Asker, principal: Principal, request: ops.UserPut) -> Effect:
        return self._accounts.put(principal, request)

    def _user_secret(self, asker: Asker, principal: Principal, request: ops.UserSecret) -> Effect:
        return self._accounts.set_secret(principal, request)

    def _user_get(self, asker: Asker, principal: Principal, request: ops.UserGet) -> Effect:
        return self._accounts.get(request)

    def _user_list(self, asker: Asker, principal: Principal, request: ops.UserList) -> Effect:
        return self._accounts.list(request)

    def _user_remove(self, asker: Asker, principal: Principal, request: ops.UserRemove) -> Effect:
        return self._accounts.remove(principal, request)

    def _token_revoke(self, asker: Asker, principal: Principal, request: ops.TokenRevoke) -> Effect:
        return self._accounts.revoke(principal, request)

    def _audit_list(self, asker: Asker, principal: Principal, request: ops.AuditList) -> Effect:
        return self._accounts.audit(request)


_HANDLERS: dict[type[ops.Request], Callable[..., Effect]] = {
    ops.Auth: Operations._auth,
    ops.Pong: Operations._pong,
    ops.CvGet: Operations._cv_get,
    ops.CvHistory: Operations._cv_history,
    ops.CvSub: Operations._cv_sub,
    ops.CvUnsub: Operations._cv_unsub,
    ops.Ack: Operations._seen,
    ops.Read: Operations._seen,
    ops.Typing: Operations._typing,
    ops.CvOpen: Operations._cv_open,
    ops.MsgSend: Operations._msg_send,
    ops.StatusSet: Operations._status_set,
    ops.OfferAccept: Operations._offer_accept,
    ops.OfferDecline: Operations._offer_decline,
    ops.CvTransfer: Operations._cv_transfer,
    ops.CvClose: Operations._cv_close,
    ops.RulesGet: Operations._rules_get,
    ops.RulesApply: Operations._rules_apply,
    ops.MembersGet: Operations._members_get,
    ops.MembersChange: Operations._members_change,
    ops.UserPut: Operations._user_put,
    ops.UserSecret: Operations._user_secret,
    ops.UserGet: Operations._user_get,
    ops.UserList: Operations._user_list,
    ops.UserRemove: Operations._user_remove,
    ops.TokenRevoke: Operations._token_revoke,
    ops.AuditList: Operations._audit_list,
}


def _not_renewed(error: BadToken) -> NotAllowed:
    code: ErrorCode = "upstream" if isinstance(error, UndecidedToken) else "unauthorized"
    return NotAllowed(code, str(error), error.rule)


def _fitting(pushes: Iterable[Ev], asker: Asker) -> list[Ev]:
    """Return the first of `pushes`, at least one, as many as one frame should hold."""
    events: list[Ev] = []
    size = 0
    for push in pushes:
        size += len(asker.encoding.frame(push))
        if events and size > HISTORY_BYTES_MAX:
            break
        events.append(push)
    return events


def _check_oid(oid: str) -> None:
    if not is_ulid(oid):
        raise NotAllowed("offer_gone", f"no offer {oid[:32]!r}")
