"""What the port of the clients shows of the node itself, and to whom.  No I/O.

                                    without a token                 with an operator's
    /livez /readyz /startupz        200 or 503, without checks      the same: it is not looked at
    the same with ?verbose &c.      the same, and who is shown more as asked
    /readyz/CHECK /metrics /cluster 401, or 404 with [observe]      as asked
    /v1/openapi.json and the like   shown: they are the same everywhere

A probe must not fail, and have its node restarted, because a token that it needs not has expired.

Where a request comes from opens nothing: behind a proxy on this machine the whole internet comes
from loopback, and not every proxy says that it is one (`docs/adr/0036`).
"""

from node.desk import asyncapi
from node.desk.gate import Gate
from node.desk.openapi import openapi
from node.desk.pages import GUARDED, PROBES, Pages
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import JSON_TYPE, json_response, not_found
from node.protocol import proto
from node.protocol.requests.base import OPERATOR

THERE = "the address of [observe] in this node's node.toml"
HERE = "an operator's token: Authorization: Bearer TOKEN"


class FrontPage:
    """Answers requests that are no operation, at the port of the clients."""

    def __init__(self, gate: Gate, pages: Pages, *, elsewhere: bool) -> None:
        """`elsewhere`: machines have an address of their own."""
        self._gate = gate
        self._pages = pages
        self._elsewhere = elsewhere
        self._shown = f"shown at {THERE}, and here to {HERE}" if elsewhere else f"shown to {HERE}"

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Return the page that was asked for, as far as it is for whoever asks."""
        if request.method not in ("GET", "HEAD"):
            return self._pages.answer(request)  # which says so
        description = _description(request.path)
        if description is not None:
            return description
        probe = request.path in PROBES
        if probe and not request.query:
            return self._bare(request)
        if not (probe or request.path in GUARDED or request.path.startswith(_CHECKS)):
            return not_found(request.path)
        if request.header(b"authorization") is not None:
            return self._gate.admit(
                request,
                request.path[:64],
                lambda _: self._pages.answer(request),
                roles=OPERATOR,
                fenced=True,
                for_pages=True,
            )
        return self._bare(request) if probe else self._withheld(request)

    def _bare(self, request: Request) -> Response:
        why = f"its checks are {self._shown}"
        return self._pages.bare(request.path[1:], why=why, more=bool(request.query))

    def _withheld(self, request: Request) -> Response:
        message = f"{request.path[:64]} is {self._shown}"
        if self._elsewhere:
            return json_response(404, {"code": "not_found", "msg": message})
        headers = {"WWW-Authenticate": "Bearer"}
        return self._gate.refusal(
            "unauthorized", message, {"rule": "token.missing"}, headers=headers
        )


_CHECKS = tuple(f"{probe}/" for probe in PROBES)


def _description(path: str) -> Response | None:
    match path:
        case "/v1/openapi.json":
            return Response(200, openapi(), content_type=JSON_TYPE)
        case "/v1/asyncapi.yaml":
            return Response(200, asyncapi.as_yaml(), content_type="application/yaml")
        case "/v1/unidesk.proto":
            return Response(200, proto.text().encode())
    return None
