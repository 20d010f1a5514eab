"""The whole state, for an operator, while the node runs: `/v1/backup`.  Waits for the port, and for
a thread that encodes.

    POST /v1/backup            the audit log has a line, a read barrier is passed, and what was
                               applied by then is kept, unchanged: {"backup": ID}
    GET  /v1/backup/ID?piece=N the N-th piece of the file, from 0; the one before may be asked again
                               204: that was all

    ?stale=true                what this node has, quorum or not: without barrier, and the line is
                               written when there is a quorum

The backup holds all that was acknowledged anywhere before the POST.  Nothing stops for it: the kept
copy shares all values with the state (`frozen_copy`), and a piece is encoded when it is asked for,
in a thread.  So the pace is the reader's, and the memory is one piece, and what the state has
replaced meanwhile.  A reader who stays away for IDLE_S, or is not through after WHOLE_S, has to
begin anew.  Whose token is revoked meanwhile gets no further piece.

The pieces together are `cluster.backup.file`.  They are kept by one process: with `[node] workers`
ask on one connection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs

import structlog
import trio

from cluster.backup.file import Header, encode
from cluster.port import Unavailable
from cluster.state import levels, snapshot
from cluster.state.commands import AddAudit
from cluster.state.outcome import Refused
from node import __version__
from node.auth import Principal
from node.desk.audit_lines import write_down
from node.desk.context import Context
from node.desk.gate import Gate, Then
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response, not_found

log = structlog.get_logger(__name__)

PATH = "/v1/backup"
OP = "backup"
ROLES = ("operator",)
PIECE_BYTES = 1024 * 1024
KEPT_MAX = 2
"""At a time, of one process: each keeps what the state replaces meanwhile."""
IDLE_S = 60.0
WHOLE_S = 3_600.0
"""From the first piece to the last, 4 GiB at 1.2 MB a second: who asks for one piece for ever
must not hold the copy."""
PIECE_DIGITS_MAX = 9
MEDIA = "application/octet-stream"


class _Piece(NamedTuple):
    number: int
    data: bytes


_NONE = _Piece(-1, b"")


@dataclass(slots=True)
class _Backup:
    parts: Iterator[bytes]
    reader: str
    begun_s: float
    asked_s: float
    piece: _Piece = _NONE
    busy: bool = False

    def next_piece(self) -> None:
        """Encode the next piece; empty when there is none."""
        gathered = bytearray()
        for part in self.parts:
            gathered += part
            if len(gathered) >= PIECE_BYTES:
                break
        self.piece = _Piece(self.piece.number + 1, bytes(gathered))


class Backups:
    """Answers those who take the state away."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._kept: dict[str, _Backup] = {}
        self._beginning = 0
        """Who waits for a quorum, and has a place already."""

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Return what follows from a request at or below `PATH`."""
        self._context.tally.requests[OP] += 1
        stale = parse_qs(request.query).get("stale") == ["true"]
        if request.path == PATH:
            if request.method != "POST":
                return self._gate.wrong_method(request, "POST")
            return self._admit(request, partial(self._begin, stale=stale), fenced=stale)
        if request.method != "GET":
            return self._gate.wrong_method(request, "GET")
        return self._admit(request, partial(self._next, request), fenced=True)

    def forget_idle(self) -> None:
        """Let go of what nobody came back for."""
        now_s = self._context.clock()
        for name, one in list(self._kept.items()):
            is_over = now_s - one.asked_s > IDLE_S or now_s - one.begun_s > WHOLE_S
            if is_over and not one.busy:
                del self._kept[name]

    def _admit(self, request: Request, then: Then, *, fenced: bool) -> Answer | ResponseFactory:
        return self._gate.admit(request, OP, then, roles=ROLES, fenced=fenced)

    # -- the beginning

    def _begin(self, principal: Principal, *, stale: bool) -> ResponseFactory:
        return partial(self._keep, principal, stale=stale)

    async def _keep(self, principal: Principal, *, stale: bool) -> Response:
        self.forget_idle()
        if len(self._kept) + self._beginning >= KEPT_MAX:
            return self._gate.refusal(
                "overloaded", f"{KEPT_MAX} backups are being read here: wait, or ask another node"
            )
        self._beginning += 1
        try:
            failed = await self._written_down(principal, stale=stale)
        finally:
            self._beginning -= 1
        if failed is not None:
            return self._gate.refusal(failed.code, failed.message, self._context.elsewhere())
        if (denied := self._gate.denied(principal)) is not None:  # while it waited
            return denied
        log.info("backup begins", by=principal.id, stale=stale)
        name, now_s = self._context.ids.new(), self._context.clock()
        parts = encode(self._header(stale=stale), self._chunks())
        self._kept[name] = _Backup(parts, principal.id, now_s, now_s)
        return json_response(200, {"backup": name, "index": self._context.state.applied_index})

    async def _written_down(
        self, principal: Principal, *, stale: bool
    ) -> Unavailable | Refused | None:
        """Return None once the audit log has a line, and all that was acknowledged before is in the
        state here; at once if `stale`.
        """
        port = self._context.port
        detail = {"at": port.node_id} | ({"stale": "true"} if stale else {})
        line = AddAudit(principal.by, "backup.take", detail)
        if stale:
            write_down(port, line)  # without a quorum the log of the process has it
            return None
        if self._context.state.level > levels.FIRST:
            answer = await port.propose(line)
            if isinstance(answer, Unavailable | Refused):
                return answer
        return await port.barrier()

    def _header(self, *, stale: bool) -> Header:
        state, port = self._context.state, self._context.port
        return Header(
            cluster=self._context.cluster,
            node=port.node_id,
            index=state.applied_index,
            term=port.status().term,
            cluster_ms=state.now_ms,
            created_ms=self._context.clock_ms(),
            release=__version__,
            level=state.level,
            stale=stale,
            origin=state.origin,
        )

    def _chunks(self) -> Iterator[bytes]:
        return snapshot.dump(self._context.state.frozen_copy())

    # -- the pieces

    def _next(self, request: Request, principal: Principal) -> Response | ResponseFactory:
        found = self._kept.get(request.path.removeprefix(f"{PATH}/"))
        if found is None or found.reader != principal.id:
            return not_found(request.path)
        asked = parse_qs(request.query).get("piece", [""])[0]
        last = found.piece.number
        fits = asked.isdecimal() and len(asked) <= PIECE_DIGITS_MAX
        if not fits or int(asked) not in (last, last + 1) or found.busy:
            message = f"piece: {last + 1} is next, or {last} once more, one at a time"
            return self._gate.refusal("bad_request", message)
        return partial(self._piece, request.path, found, int(asked))

    async def _piece(self, path: str, found: _Backup, number: int) -> Response:
        found.busy = True
        try:
            if number != found.piece.number:
                await trio.to_thread.run_sync(found.next_piece)
        finally:
            found.busy = False
            found.asked_s = self._context.clock()
        if not found.piece.data:
            self._kept.pop(path.removeprefix(f"{PATH}/"), None)
            return Response(204)
        return Response(200, found.piece.data, content_type=MEDIA)
