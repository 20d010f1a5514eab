"""Pages of other origins that may use a node from a browser.  No I/O.

    configured                  the pages that are meant
    https://shop.example        this one: scheme, host and port, as a browser sends them
    http://localhost:*          any port of this machine; only loopback has a star

    from such a page            answered with
    OPTIONS, a preflight        204 and what may be asked, kept PREFLIGHT_S
    anything else               the answer, which the page may read
    from any other page         403 for a preflight; else the answer, which the page cannot read

Nothing here rests on cookies, so that none are allowed; a token has to be brought.  An origin is
what a browser says of a page: it holds for browsers, and proves nothing of anybody else.

Source: WHATWG Fetch, 3.2 (CORS protocol); RFC 6454, 6.2 and 7; RFC 6455, section 10.2.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response

PREFLIGHT_S = 600
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[1-9][0-9]{0,4})?")
_ANY_PORT = re.compile(r"(https?://(?:localhost|127\.0\.0\.1|\[::1\])):\*")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
_EXPOSED = "Retry-After, WWW-Authenticate"
SHOWN_CHARACTERS_MAX = 100


def mistake_in(origin: str) -> str:
    """Return what is wrong with a configured origin; nothing if it is right."""
    if _ANY_PORT.fullmatch(origin):
        return ""
    if "*" in origin:
        return "has a star: only ports of loopback may be any"
    if not _ORIGIN.fullmatch(origin):
        return "is no origin: scheme, host and port in small letters, and no path"
    if origin.endswith(_DEFAULT_PORTS[origin.partition(":")[0]]):
        return "names the port that browsers leave out"
    return ""


def unlisted(origin: str) -> str:
    """Return why a page is refused."""
    return f"[visitors] origins does not list {origin}"


class Origins:
    """The pages that are configured; false when there are none."""

    def __init__(self, origins: Iterable[str]) -> None:
        any_port = [(one, _ANY_PORT.fullmatch(one)) for one in origins]
        self._exact = frozenset(one for one, match in any_port if match is None)
        self._any_port = frozenset(match[1] for _, match in any_port if match is not None)

    def __bool__(self) -> bool:
        return bool(self._exact or self._any_port)

    def allows(self, origin: str) -> bool:
        """Say whether pages of `origin` may ask."""
        if origin in self._exact:
            return True
        match = _ORIGIN.fullmatch(origin)
        return match is not None and origin.removesuffix(match[2] or "") in self._any_port

    def foreign(self, request: Request) -> str:
        """Return the origin of a page that may not ask; nothing for any other, or for none."""
        origin = origin_of(request)
        return "" if not self or not origin or self.allows(origin) else _shown(origin)

    def preflight(self, request: Request) -> Response | None:
        """Return the answer to a preflight; None for any other request."""
        origin = origin_of(request)
        asked = request.header(b"access-control-request-method")
        if request.method != "OPTIONS" or not origin or asked is None:
            return None
        if not self.allows(origin):
            body = {"code": "forbidden", "msg": unlisted(_shown(origin)), "retry": False}
            return json_response(403, body, {"Vary": "Origin"})
        return Response(
            204,
            headers=(
                *_shared(origin),
                ("Access-Control-Allow-Methods", "GET, POST"),
                ("Access-Control-Allow-Headers", _HEADERS),
                ("Access-Control-Max-Age", str(PREFLIGHT_S)),
            ),
        )

    def share(self, request: Request, answer: Answer | ResponseFactory) -> Answer | ResponseFactory:
        """Return `answer` with what lets a page read it, if it may."""
        origin = origin_of(request)
        headers = _shared(origin) if self.allows(origin) else (("Vary", "Origin"),)
        if not callable(answer):
            return replace(answer, headers=(*answer.headers, *headers))
        make = answer

        async def shared() -> Answer:
            made = await make()
            return replace(made, headers=(*made.headers, *headers))

        return shared


def origin_of(request: Request) -> str:
    """Return what a browser says of the page that asks; nothing where no browser does."""
    return (request.header(b"origin") or b"").decode("latin-1")


def _shared(origin: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", _EXPOSED),
        ("Vary", "Origin"),
    )


def _shown(origin: str) -> str:
    plain = "".join(one if one.isascii() and one.isprintable() else "?" for one in origin)
    return plain[:SHOWN_CHARACTERS_MAX]
