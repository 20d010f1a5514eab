"""What a node says of itself by HTTP: probes, figures, and the cluster as it sees it.

GET /livez /readyz /startupz[/CHECK][?verbose][&exclude=CHECK]    200, or 503 and why
GET /metrics              OpenMetrics, or Prometheus' text format
GET /cluster[?digest=1]   JSON; with a checksum of the whole state, to compare nodes
anything else             404

Nobody is asked who they are here: that is decided before (`node.desk.front_page`,
`node.desk.observing`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import trio

from cluster.state import snapshot
from cluster.state.routings import counted
from cluster.state.state import State
from node.config import Config
from node.desk.context import Context
from node.desk.outlook import outlook
from node.desk.statistics import DeskStatistics
from node.edge.http import Request, Response
from node.health import (
    Check,
    NodeRow,
    bare_page,
    check_page,
    cluster_page,
    json_response,
    liveness,
    not_found,
    probe_page,
    readiness,
    startup,
)
from node.metrics import Metrics, Sources, StateStatistics
from node.metrics.certificates import Certificates
from node.metrics.disk import Folder

PROBES = ("/livez", "/readyz", "/startupz")
GUARDED = ("/metrics", "/cluster")
"""What tells of disks, people's work, names and addresses."""
QUERY_FIELDS_MAX = 16


class Pages:
    """Answers requests that are no WebSocket."""

    def __init__(
        self,
        context: Context,
        config: Config,
        desk: Callable[[], DeskStatistics],
        pid: int,
    ) -> None:
        """`pid` is the node's."""
        self._context = context
        self._cluster = config.cluster.id
        self._pid = pid
        self._node = config.node
        self.sources = Sources(
            replica=context.port.status,
            state=self.state_statistics,
            desk=desk,
            folder=Folder(config.node.data),
            certificates=Certificates.of(config),
        )
        self.core_silent: Callable[[], bool] = lambda: False
        """Whether the node's core, where it is another process, says nothing."""
        self._metrics = Metrics(self.sources)

    def answer(self, request: Request) -> Response | Callable[[], Awaitable[Response]]:
        """Return the page that was asked for."""
        if request.method not in ("GET", "HEAD"):
            body = {"code": "bad_request", "msg": "only GET is served here"}
            return json_response(405, body, {"Allow": "GET, HEAD"})
        try:
            query = parse_qs(request.query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
        except ValueError:
            return json_response(400, {"code": "bad_request", "msg": "a query that is none"})
        match request.path:
            case "/metrics":
                accept = (request.header(b"accept") or b"").decode("latin-1")
                page, content_type = self._metrics.page(accept)
                return Response(200, page, content_type=content_type)
            case "/cluster" if query.get("digest", ["0"])[0] in ("1", "true", ""):
                return self._cluster_with_digest
            case "/cluster":
                return self._cluster_page(None)
            case path:
                return self._probe(path, query) or not_found(path)

    def _probe(self, path: str, query: dict[str, list[str]]) -> Response | None:
        """Return the answer to a probe; None for what is none."""
        probe, _, name = path.removeprefix("/").partition("/")
        checks = self._checks(probe)
        if checks is None:
            return None
        if name:
            return check_page(probe, name, checks)
        exclude = query.get("exclude", [])
        return probe_page(probe, checks, verbose="verbose" in query, exclude=exclude)

    def bare(self, probe: str, *, why: str, more: bool) -> Response:
        """Return the answer to `probe` without its checks; see `health.bare_page`."""
        checks = self._checks(probe)
        assert checks is not None, probe
        return bare_page(probe, checks, why=why, more=more)

    def _checks(self, probe: str) -> tuple[Check, ...] | None:
        match probe:
            case "livez":
                return liveness(core_silent=self.core_silent())
            case "startupz":
                return startup(self._context.port.status())
            case "readyz":
                return readiness(self._context.port.status(), draining=self._context.draining)
        return None

    def state_statistics(self) -> StateStatistics:
        """Return the sizes of the replicated state."""
        state, now_ms = self._context.state, self._context.now_ms()
        rev = state.rules.rev if state.rules is not None else 0
        opened_ms = (opened for queue in state.waiting.values() for _, opened, _ in queue)
        return StateStatistics(
            conversations=_by_state(state),
            waiting={name: len(queue) for name, queue in state.waiting.items()},
            waiting_oldest_s=(now_ms - min(opened_ms, default=now_ms)) / 1000,
            agents=Counter(agent.status for agent in state.agents.values()),
            sessions=len(state.sessions),
            offers=len(state.offers),
            rules_rev=rev,
            rules=counted(state.routings, rev),
            tallies=state.tallies,
            unserved={name: len(found) for name, found in state.unserved.items()},
            unstaffed=[one.queue for one in state.unstaffed.values() if one.alerted_ms],
            faults=len(state.faults),
        )

    async def _cluster_with_digest(self) -> Response:
        """Return the page with a checksum of the state; the loop goes on meanwhile."""
        copy = self._context.state.frozen_copy()
        digest = await trio.to_thread.run_sync(snapshot.digest, copy)
        return self._cluster_page({"index": copy.applied_index, "digest": digest})

    def _cluster_page(self, digest: dict[str, object] | None) -> Response:
        context = self._context
        state, desk = context.state, self.sources.desk()
        members, status = context.port.members().by_id, context.port.status()
        own = status.nodes.get(status.node, {})
        return cluster_page(
            status,
            cluster=self._cluster,
            pid=self._pid,
            nodes=[
                NodeRow(node.id, node.url, members[node.id].address, members[node.id].role)
                for node in context.nodes
            ],
            rules_rev=state.rules.rev if state.rules is not None else 0,
            counts={
                "conversations": len(state.conversations),
                **_by_state(state),
                "agents": len(state.agents),
                "sessions": len(state.sessions),
                "connections": desk.connections,
            },
            more=outlook(self._node, state, desk, self.sources.wal, context.clock_ms(), own),
            digest=digest,
        )


def _by_state(state: State) -> dict[str, int]:
    """Return how many conversations there are in each state, from the state's own indexes."""
    waiting = sum(len(queue) for queue in state.waiting.values())
    elsewhere = len(state.unrouted) + waiting + len(state.offers) + len(state.closed)
    return {
        "new": len(state.unrouted),
        "waiting": waiting,
        "offered": len(state.offers),
        "assigned": len(state.conversations) - elsewhere,
        "closed": len(state.closed),
    }
