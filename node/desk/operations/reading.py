"""Conversations as they are, were, and will go on: read, and followed.  No I/O."""

from functools import partial

from cluster.state.model import Conversation
from node.auth import Principal
from node.desk.access import may_read
from node.desk.fitting import fitting
from node.desk.following import Following
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.resume import events_after
from node.desk.session import Session
from node.desk.views import conversation_view, event_push, first_kept
from node.protocol import catalogue as ops

HISTORY_MAX = 200


class Reading:
    """Serves these operations."""

    def __init__(self, lookup: Lookup, looks: Looks, following: Following) -> None:
        self._lookup = lookup
        self._looks = looks
        self._following = following

    def handlers(self) -> Handlers:
        return {
            ops.CvGet: self._cv_get,
            ops.CvHistory: self._cv_history,
            ops.CvSub: self._cv_sub,
            ops.CvUnsub: self._cv_unsub,
        }

    def _cv_get(self, asker: Asker, principal: Principal, request: ops.CvGet) -> Effect:
        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            return Answered({"conv": conversation_view(conversation, asker.audience)})

        return self._lookup.look(principal, request.cv, answer, may=may_read)

    def _cv_history(self, asker: Asker, principal: Principal, request: ops.CvHistory) -> Effect:
        limit = min(request.limit, HISTORY_MAX) or HISTORY_MAX

        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            kept = events_after(conversation, request.after)
            pushes = (event_push(request.cv, event, asker.audience) for event in kept[:limit])
            events = fitting(pushes, lambda push: len(asker.encoding.frame(push)))
            return Answered(
                {
                    "events": events,
                    "more": len(kept) > len(events),
                    "first": first_kept(conversation),
                    "last": conversation.seq,
                    "gap": request.after < first_kept(conversation) - 1,
                }
            )

        return self._lookup.look(
            principal, request.cv, answer, at_least=request.after, may=may_read
        )

    def _cv_sub(self, session: Session, principal: Principal, request: ops.CvSub) -> Effect:
        self._following.check_room(session)
        have = max(0, request.from_ - 1)

        def answer(conversation: Conversation) -> Answered:
            self._looks.note(principal, request.cv)
            then = partial(self._following.subscribe, session, request.cv, have)
            return Answered({"seq": conversation.seq}, then)

        return self._lookup.look(principal, request.cv, answer, at_least=have)

    def _cv_unsub(self, session: Session, principal: Principal, request: ops.CvUnsub) -> Effect:
        self._following.unsubscribe(session, request.cv)
        return Answered({})
