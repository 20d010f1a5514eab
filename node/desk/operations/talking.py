"""Conversations opened, spoken in, passed on and closed: commands to the log.  No I/O."""

from functools import partial

from cluster.state import commands
from node.auth import Principal
from node.desk.context import Context
from node.desk.following import Following
from node.desk.lookup import Effect, Later, check_cv
from node.desk.operations.effects import Asker, Handlers
from node.desk.operations.rules import Rules
from node.desk.plain import (
    NotAllowed,
    check_body,
    check_fields,
    check_key,
    check_name,
    check_text,
)
from node.desk.session import Session
from node.protocol import catalogue as ops


class Talking:
    """Serves these operations."""

    def __init__(
        self, context: Context, following: Following, rules: Rules, *, stale_guard: bool
    ) -> None:
        """`stale_guard`: an agent's message says what they have seen."""
        self._context = context
        self._following = following
        self._rules = rules
        self._stale_guard = stale_guard

    def handlers(self) -> Handlers:
        return {
            ops.CvOpen: self._cv_open,
            ops.MsgSend: self._msg_send,
            ops.CvTransfer: self._cv_transfer,
            ops.CvClose: self._cv_close,
        }

    def _cv_open(self, asker: Asker, principal: Principal, request: ops.CvOpen) -> Effect:
        if isinstance(asker, Session):
            self._following.check_room(asker)
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
        if (
            self._stale_guard
            and principal.role == "agent"
            and request.vis == "all"
            and request.after is None
        ):
            message = "after: is missing; here agents say the last seq they have seen (stale_guard)"
            raise NotAllowed("bad_request", message)
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

    def _cv_transfer(self, asker: Asker, principal: Principal, request: ops.CvTransfer) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_text(request.note, "note")
        to_agent, to_queue = request.to.get("agent", ""), request.to.get("queue", "")
        to_rule = request.to.get("rule")
        if bool(to_agent) + bool(to_queue) + (to_rule is not None) != 1:
            raise NotAllowed("bad_request", "to: name an agent, a queue or a rule, and one of them")
        if request.keep and not request.warm:
            raise NotAllowed("bad_request", "keep: belongs to a warm transfer; a cold one lets go")
        check_name(to_agent, "to.agent")
        check_name(to_queue, "to.queue")
        check_name(to_rule or "", "to.rule")
        command = commands.TransferConversation(
            cv=request.cv,
            by=principal.by,
            key=request.key,
            to_agent=to_agent,
            to_queue=to_queue,
            note=request.note,
            fence=request.fence,
            to_rule=to_rule,
            warm=request.warm,
            keep=request.keep,
            iid=self._context.ids.new() if request.warm else "",
        )
        if to_rule:
            return Later(partial(self._to_known_rule, command, to_rule))
        return command

    async def _to_known_rule(
        self, command: commands.TransferConversation, name: str
    ) -> commands.TransferConversation:
        names = await self._rules.names()
        if name not in names:
            some = ", ".join(names[:10]) or "none"
            raise NotAllowed("not_found", f"to.rule: no rule {name[:64]!r}; there are: {some}")
        return command

    def _cv_close(self, session: Session, principal: Principal, request: ops.CvClose) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_name(request.reason, "reason")
        return commands.CloseConversation(
            cv=request.cv, by=principal.by, key=request.key, reason=request.reason
        )
