"""Conversations opened, spoken in, passed on and closed: commands to the log.  No I/O."""

from cluster.state import commands
from node.auth import Principal
from node.desk.context import Context
from node.desk.following import Following
from node.desk.lookup import Effect, check_cv
from node.desk.operations.effects import Asker, Handlers
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

    def __init__(self, context: Context, following: Following) -> None:
        self._context = context
        self._following = following

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
