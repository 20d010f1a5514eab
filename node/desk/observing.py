"""The address for machines: `[observe] listen`.  Talks to a listening socket.

    GET /livez /readyz /startupz /metrics /cluster      all of it, and no token is asked for
    anything else                                       404: no operation, no login, no WebSocket

Whoever reaches it may read and can change nothing.  It is an edge of its own, so that a flood at
the port of the clients leaves probes and scrapes their sockets, and the other way round.  Plain
HTTP always: it belongs on loopback, or on a network that is the operators' own.
"""

from node.desk.pages import Pages
from node.edge.application import ResponseFactory
from node.edge.channel import Channel
from node.edge.connection import Connection
from node.edge.http import Request, Response
from node.edge.limits import EdgeLimits
from node.edge.server import EdgeServer
from node.health import not_found

LIMITS = EdgeLimits(
    connections_max=1,  # no WebSocket is let in, so this is never asked
    handshaking_max=256,
    address_connections_max=64,  # one scraper that leaks sockets leaves the probes theirs
    requests_running_max=4,
    head_bytes_max=8 * 1024,
    body_bytes_max=1024,
)
"""For some scrapers, probes and people with `curl`."""


class Observed:
    """An `Application` that shows pages, and nothing else."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def on_request(self, request: Request) -> Response | ResponseFactory:
        """Answer a probe, a scraper, a person."""
        return self._pages.answer(request)

    def on_upgrade(self, request: Request) -> Response:
        """Refuse a WebSocket."""
        return not_found(request.path)

    def on_open(self, connection: Connection, request: Request) -> None:
        raise AssertionError("no WebSocket is let in")

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        raise AssertionError("no WebSocket is let in")

    def on_close(self, channel: Channel, code: int) -> None:
        raise AssertionError("no channel is let in")


def observing(pages: Pages) -> EdgeServer:
    """Return the edge that shows `pages`."""
    return EdgeServer(Observed(pages), limits=LIMITS)
