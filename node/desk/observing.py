"""The address for machines: `[observe] listen`.  Talks to a listening socket.

    GET /livez /readyz /startupz /metrics /cluster      all of it, and no token is asked for
    anything else                                       404: no operation, no login, no WebSocket

Whoever reaches it may read and can change nothing, but a browser that was led here under a
stranger's name (`node.desk.rebinding`): it hears whether a probe is well, as at the port of the
clients, and no more.  It is an edge of its own, so that a flood at the port of the clients leaves
probes and scrapes their sockets, and the other way round.  Plain HTTP always: it belongs on
loopback, or on a network that is the operators' own.
"""

from node.desk.pages import PROBES, Pages
from node.desk.rebinding import stranger
from node.edge.application import ResponseFactory
from node.edge.channel import Channel
from node.edge.connection import Connection
from node.edge.http import Request, Response
from node.edge.limits import EdgeLimits
from node.edge.server import EdgeServer
from node.health import json_response, not_found

LIMITS = EdgeLimits(
    connections_max=1,  # no WebSocket is let in, so this is never asked
    handshaking_max=256,
    address_connections_max=64,  # one scraper that leaks sockets leaves the probes theirs
    requests_running_max=4,
    head_bytes_max=8 * 1024,
    body_bytes_max=1024,
)
"""For some scrapers, probes and people with `curl`."""
SHOWN_CHARACTERS_MAX = 100


class Observed:
    """An `Application` that shows pages, and nothing else."""

    def __init__(self, pages: Pages, hosts: frozenset[str]) -> None:
        """`hosts` are names by which a browser may ask."""
        self._pages = pages
        self._hosts = hosts

    def on_request(self, request: Request) -> Response | ResponseFactory:
        """Answer a probe, a scraper, a person."""
        if name := stranger(request, self._hosts):
            return self._withheld(request, name[:SHOWN_CHARACTERS_MAX])
        return self._pages.answer(request)

    def _withheld(self, request: Request, name: str) -> Response:
        """Return what the port of the clients would show to anybody."""
        mend = "go there by its address, or list the name in [observe] hosts of node.toml"
        message = f"{name!r} is no name of this node: {mend}"
        if request.path in PROBES and request.method in ("GET", "HEAD"):
            return self._pages.bare(request.path[1:], why=message, more=bool(request.query))
        return json_response(403, {"code": "forbidden", "msg": message})

    def on_upgrade(self, request: Request) -> Response:
        """Refuse a WebSocket."""
        return not_found(request.path)

    def on_open(self, connection: Connection, request: Request) -> None:
        raise AssertionError("no WebSocket is let in")

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        raise AssertionError("no WebSocket is let in")

    def on_close(self, channel: Channel, code: int) -> None:
        raise AssertionError("no channel is let in")


def observing(pages: Pages, hosts: frozenset[str]) -> EdgeServer:
    """Return the edge that shows `pages`, to browsers under one of the names `hosts`."""
    return EdgeServer(Observed(pages, hosts), limits=LIMITS)
