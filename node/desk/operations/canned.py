"""Canned responses: written to the log, found in this node's index.  No I/O: waits for the port."""

import re
from collections.abc import Mapping
from functools import partial
from itertools import islice

from cluster.state import commands, limits
from cluster.state.model import Conversation
from cluster.state.replies import Canned
from node.auth import Principal
from node.desk.canned_index import QUERY_CHARACTERS_MAX, CannedIndex, text_in
from node.desk.context import Context
from node.desk.fitting import fitting
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.placeholders import NAMES, fill, unknown_in, values_of
from node.desk.plain import NotAllowed, check_key, check_name
from node.protocol import catalogue as ops
from node.protocol.service_results import CannedHit, CannedView

FOUND_MAX = 100
LIST_MAX = 500
_SHORTCUT = re.compile(r"[\w][\w./-]{0,63}")
_LANG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}", re.ASCII)


class CannedResponses:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup) -> None:
        self._context = context
        self._lookup = lookup
        self._index = CannedIndex()

    def handlers(self) -> Handlers:
        return {
            ops.CannedPut: self._put,
            ops.CannedRemove: self._remove,
            ops.CannedGet: self._get,
            ops.CannedList: self._list,
            ops.CannedFind: self._find,
        }

    def _put(self, asker: Asker, principal: Principal, request: ops.CannedPut) -> Effect:
        check_key(request.key)
        check_written(request.shortcut, request.title, request.texts, request.queues)
        return commands.PutCanned(
            by=principal.by,
            key=request.key,
            shortcut=request.shortcut,
            title=request.title,
            texts=request.texts,
            queues=tuple(request.queues),
            rev_expected=request.rev_expected,
        )

    def _remove(self, asker: Asker, principal: Principal, request: ops.CannedRemove) -> Effect:
        check_key(request.key)
        check_name(request.shortcut, "shortcut")
        return commands.RemoveCanned(
            by=principal.by,
            key=request.key,
            shortcut=request.shortcut,
            rev_expected=request.rev_expected,
        )

    def _get(self, asker: Asker, principal: Principal, request: ops.CannedGet) -> Effect:
        async def read() -> Answered:
            await self._lookup.barrier()
            found = self._context.state.canned.get(request.shortcut)
            if found is None:
                raise NotAllowed("not_found", f"no canned response {request.shortcut[:64]!r}")
            return Answered({"canned": _view(found)})

        return Later(read)

    def _list(self, asker: Asker, principal: Principal, request: ops.CannedList) -> Effect:
        limit = min(request.limit, LIST_MAX) or LIST_MAX

        async def read() -> Answered:
            await self._lookup.barrier()
            canned = self._context.state.canned
            behind = [one for one in sorted(canned) if one > request.after]
            views = fitting([_view(canned[one]) for one in islice(behind, limit)])
            return Answered({"items": views, "more": len(behind) > len(views)})

        return Later(read)

    def _find(self, asker: Asker, principal: Principal, request: ops.CannedFind) -> Effect:
        if len(request.q) > QUERY_CHARACTERS_MAX:
            raise NotAllowed("too_large", f"q: over {QUERY_CHARACTERS_MAX} characters")
        if request.cv:
            answer = partial(self._found_for, principal, request)
            return self._lookup.look(principal, request.cv, answer)
        return Answered({"items": self._found(request, request.queue or None, request.lang)})

    def _found_for(
        self, principal: Principal, request: ops.CannedFind, conversation: Conversation
    ) -> Answered:
        values = values_of(conversation, principal.by.name or principal.id)
        langs = request.lang or conversation.lang, conversation.lang
        items = self._found(request, conversation.queue, *langs, values=values)
        return Answered({"items": items})

    def _found(
        self,
        request: ops.CannedFind,
        queue: str | None,
        *langs: str,
        values: Mapping[str, str] | None = None,
    ) -> list[CannedHit]:
        self._index.sync(self._context.state.canned)
        limit = min(request.limit, FOUND_MAX) or FOUND_MAX
        found = self._index.find(request.q, langs[0], queue, limit)
        return fitting([_hit(one, langs, values) for one in found])


def check_written(shortcut: str, title: str, texts: Mapping[str, str], queues: list[str]) -> None:
    """Refuse what is no canned response, naming the field and the mend.  Raises `NotAllowed`."""
    if not _SHORTCUT.fullmatch(shortcut):
        problem = "shortcut: 1 to 64 letters, digits, - _ . and /, beginning with a letter or digit"
        raise NotAllowed("bad_request", problem)
    check_name(title, "title")
    if not title.strip():
        raise NotAllowed("bad_request", "title: is empty; say what it is for")
    for queue in queues:
        check_name(queue, "queues: a name")
        if not queue:
            raise NotAllowed("bad_request", "queues: a name is empty")
    if not texts:
        raise NotAllowed("bad_request", "texts: needs one language at least")
    for lang, text in texts.items():
        _check_text(lang, text)


def _check_text(lang: str, text: str) -> None:
    if not _LANG.fullmatch(lang):
        raise NotAllowed("bad_request", f"texts: {lang[:32]!r} is no language; say en, zh, pt-BR")
    if not text.strip():
        raise NotAllowed("bad_request", f"texts.{lang}: is empty")
    if len(text.encode()) > limits.CANNED_TEXT_BYTES_MAX:
        problem = f"texts.{lang}: over {limits.CANNED_TEXT_BYTES_MAX} bytes"
        raise NotAllowed("too_large", problem)
    unknown = unknown_in(text)
    if unknown:
        known = ", ".join((*NAMES, "tags.NAME", "attrs.NAME"))
        problem = f"texts.{lang}: {{{{{unknown[0]}}}}} is no placeholder; there are {known}"
        raise NotAllowed("bad_request", problem)


def _hit(canned: Canned, langs: tuple[str, ...], values: Mapping[str, str] | None) -> CannedHit:
    lang, text = text_in(canned, *langs)
    missing: list[str] = []
    if values is not None:
        text, missing = fill(text, values)
    return CannedHit(
        shortcut=canned.shortcut,
        title=canned.title,
        lang=lang,
        text=text,
        rev=canned.rev,
        missing=missing,
    )


def _view(canned: Canned) -> CannedView:
    return CannedView(
        shortcut=canned.shortcut,
        title=canned.title,
        texts=canned.texts,
        queues=list(canned.queues),
        rev=canned.rev,
        by=canned.by,
        at=canned.at_ms,
    )
