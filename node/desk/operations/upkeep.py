"""Tags, corrections, reopening: commands to the log.  No I/O."""

from typing import Literal

from cluster.state import commands
from cluster.state.limits import TAGS_MAX
from node.auth import Principal
from node.desk.lookup import Effect, check_cv
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_body, check_fields, check_key, check_name
from node.protocol import catalogue as ops


class Upkeep:
    """Serves these operations."""

    def handlers(self) -> Handlers:
        return {
            ops.CvTag: self._tag,
            ops.CvAttr: self._attr,
            ops.MsgEdit: self._edit,
            ops.MsgDel: self._delete,
            ops.CvReopen: self._reopen,
        }

    def _tag(self, asker: Asker, principal: Principal, request: ops.CvTag) -> Effect:
        return _fields(principal, request, "tags")

    def _attr(self, asker: Asker, principal: Principal, request: ops.CvAttr) -> Effect:
        return _fields(principal, request, "attrs")

    def _edit(self, asker: Asker, principal: Principal, request: ops.MsgEdit) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_name(request.mid, "mid")
        # What kind of message it is says the log, which checks a text's body as one.
        check_body(request.body, "text" if isinstance(request.body, str) else "card")
        return commands.EditMessage(
            cv=request.cv, mid=request.mid, by=principal.by, key=request.key, body=request.body
        )

    def _delete(self, asker: Asker, principal: Principal, request: ops.MsgDel) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        check_name(request.mid, "mid")
        return commands.DeleteMessage(
            cv=request.cv, mid=request.mid, by=principal.by, key=request.key
        )

    def _reopen(self, asker: Asker, principal: Principal, request: ops.CvReopen) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        return commands.ReopenConversation(cv=request.cv, by=principal.by, key=request.key)


def _fields(
    principal: Principal, request: ops.CvTag | ops.CvAttr, what: Literal["tags", "attrs"]
) -> Effect:
    check_cv(request.cv)
    check_fields(request.set, "set")
    if len(request.unset) > TAGS_MAX:
        raise NotAllowed("too_large", f"unset: {len(request.unset)} keys; at most {TAGS_MAX}")
    for name in request.unset:
        check_name(name, "unset: a key")
    return commands.SetFields(
        cv=request.cv, by=principal.by, what=what, set=request.set, unset=tuple(request.unset)
    )
