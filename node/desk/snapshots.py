"""A snapshot of this node's own state into its folder, for an operator, now: `/v1/snapshot`.
Waits for the port.

    POST /v1/snapshot           what is applied here by now is in a snapshot that is durable
    POST /v1/snapshot?index=N   the same, of what was applied up to N

    200   {node, cluster, index, term, bytes, file, written, write_ms, standing, why}
    202   {index, why}: not yet, and what it waits for; ask again with that index
    409   there will be none: nothing was applied yet, the disk is full or failed

No quorum is asked, and the node may be fenced, catching up or abstaining: it is what this node has,
and `standing` says how much that is worth.  Asking again is harmless, at a process that has taken
the node over too: whoever asks for what is there already is told of it.
"""

from functools import partial
from urllib.parse import parse_qs

import structlog

from cluster.port import NotSaved, SavedSnapshot, SnapshotWaits
from node.auth import Principal
from node.desk.context import Context
from node.desk.gate import Gate
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response

log = structlog.get_logger(__name__)

PATH = "/v1/snapshot"
OP = "snapshot"
ROLES = ("operator",)
WAITING_MAX = 8
"""Of one process; they share what is written."""
INDEX_DIGITS_MAX = 15


class Snapshots:
    """Answers those who want one now."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._waiting = 0

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Return what follows from a request at `PATH`."""
        self._context.tally.requests[OP] += 1
        if request.method != "POST":
            return self._gate.wrong_method(request, "POST")
        then = partial(self._begin, request)
        return self._gate.admit(request, OP, then, roles=ROLES, fenced=True)

    def _begin(self, request: Request, principal: Principal) -> Response | ResponseFactory:
        asked = parse_qs(request.query, keep_blank_values=True).get("index", ["0"])[0]
        if not (asked.isascii() and asked.isdecimal() and len(asked) <= INDEX_DIGITS_MAX):
            return self._gate.refusal("bad_request", "index: an index of the log, in digits")
        if not int(asked):
            log.info("snapshot asked for", by=principal.id)
        return partial(self._save, int(asked))

    async def _save(self, index: int) -> Response:
        if self._waiting >= WAITING_MAX:
            message = f"{WAITING_MAX} wait for a snapshot here: ask again in a moment"
            return self._gate.refusal("overloaded", message)
        self._waiting += 1
        try:
            result = await self._context.port.save_snapshot(index)
        except NotSaved as refused:
            return self._gate.refusal("conflict", str(refused))
        finally:
            self._waiting -= 1
        match result:
            case SavedSnapshot():
                return json_response(200, self._shown(result))
            case SnapshotWaits(goal, why):
                return json_response(202, {"index": goal, "why": why})

    def _shown(self, saved: SavedSnapshot) -> dict[str, object]:
        status = self._context.port.status()
        return {
            "node": self._context.port.node_id,
            "cluster": self._context.cluster,
            "index": saved.index,
            "term": saved.term,
            "bytes": saved.bytes,
            "file": saved.file,
            "written": saved.written,
            "write_ms": saved.write_ms,
            "standing": status.standing,
            "why": status.why or (ABSTAINS if status.abstains else ""),
        }


ABSTAINS = "it came back without its data, and is not counted until a leader vouches for it"
