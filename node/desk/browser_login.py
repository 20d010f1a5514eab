"""Login with a browser, by HTTP.  Waits for providers.

    GET  /v1/login/NAME[?return_to=URL][&state=TEXT]     302 to the provider, and a cookie
    GET  /v1/login/NAME?return_to=http://127.0.0.1:PORT/&challenge=S256[&state=TEXT]
    GET  /v1/login/NAME/callback?code&state[&iss]        one of:
           a page with the token                         when no return_to was given
           302 return_to#token=…&exp=…&state=…           when it is one of those configured
           302 http://127.0.0.1:PORT/?code=…&state=…     for a command line, which then asks
    POST /v1/login/NAME/token  {"code", "verifier"}      200 {"token", "exp", "role", "id", "name"}

A token stands in a fragment, which no server sees, or in a body; never in a query.  `return_to`
counts letter by letter, so that nobody is sent anywhere else.  The callback may come to any node.

Source: RFC 9700, sections 4.1, 4.2.4 and 4.11; RFC 8252, section 7.3; RFC 6265bis (`__Host-`).
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlencode

import msgspec

from node.auth import Principal, mint
from node.config import ClusterConfig
from node.desk.address_pace import AddressPace
from node.desk.context import Context
from node.desk.gate import Gate
from node.edge.addresses import Network
from node.edge.application import ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.issuers import Issuer
from node.login.flow import Flow, LoginFailed
from node.login.grant import BadGrant, Grants
from node.login.pages import HEADERS, Language, done_page, failed_page, language_of
from node.login.ticket import TICKET_S, BadTicket, Ticket, Tickets

PATH = "/v1/login/"
LOGINS_PER_S, LOGINS_BURST_S = 5.0, 20.0
"""Requests of one address: an office behind one address begins its day at once."""
ECHO_CHARACTERS_MAX = 256
FIELDS_MAX = 16
QUERY_CHARACTERS_MAX = 8 * 1024
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}(/[A-Za-z0-9._~/-]*)?")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_ECHO = re.compile(r"[A-Za-z0-9._~-]*")


class _Redeem(msgspec.Struct):
    code: str
    verifier: str


class BrowserLogin:
    """Answers those who log in with a browser."""

    def __init__(
        self,
        context: Context,
        gate: Gate,
        cluster: ClusterConfig,
        issuers: Iterable[Issuer],
        trusted: Sequence[Network],
    ) -> None:
        """`trusted` are the addresses behind which there are many."""
        self._context = context
        self._gate = gate
        self._cluster = cluster
        self._flows = {
            one.config.name: Flow(one) for one in issuers if one.config.login is not None
        }
        self._tickets = Tickets(cluster.key)
        self._grants = Grants(cluster.key)
        self._pace = AddressPace(LOGINS_PER_S, LOGINS_BURST_S, context.clock, trusted)

    def forget_idle(self) -> None:
        """Drop addresses that have not logged in lately."""
        self._pace.forget_idle()

    def answer(self, request: Request) -> Response | ResponseFactory:
        """Return what follows from a request below `PATH`."""
        name, _, step = request.path.removeprefix(PATH).partition("/")
        flow = self._flows.get(name)
        if flow is None or step not in ("", "callback", "token"):
            known = ", ".join(self._flows) or "none"
            return self._gate.refusal("not_found", f"no login {name[:32]!r} here; there is {known}")
        allowed = "POST" if step == "token" else "GET"
        if request.method != allowed:
            return self._gate.wrong_method(request, allowed)
        wait_s = self._pace.wait_s(request)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return self._gate.refusal(
                "rate_limited",
                "too many logins; wait a little",
                {"rule": "rate.address"},
                headers=headers,
            )
        match step:
            case "token":
                return self._token(flow, request)
            case "callback":
                return partial(self._finish, flow, request)
            case _:
                return partial(self._begin, flow, request)

    async def _begin(self, flow: Flow, request: Request) -> Response:
        try:
            query = _query(request)
            return_to, challenge = query.get("return_to", ""), query.get("challenge", "")
            _check_return(flow, return_to, challenge)
            echo = query.get("state", "")
            if len(echo) > ECHO_CHARACTERS_MAX or not _ECHO.fullmatch(echo):
                raise LoginFailed("state: up to 256 letters, digits and - . _ ~")
            ticket, cookie = self._tickets.issue(
                flow.name, return_to=return_to, challenge=challenge, echo=echo
            )
            return _redirect(await flow.begin(ticket), _cookie(flow, cookie, TICKET_S))
        except LoginFailed as error:
            return self._failed(flow, request, error)

    async def _finish(self, flow: Flow, request: Request) -> Response:
        ticket: Ticket | None = None
        try:
            ticket = self._tickets.read(flow.name, _cookie_of(flow, request))
            principal = await flow.finish(ticket, _query(request))
        except BadTicket as error:
            return self._failed(flow, request, LoginFailed(str(error)))
        except LoginFailed as error:
            if ticket is not None and ticket.challenge:
                told = {"error": "access_denied", "error_description": str(error)[:500]}
                return _redirect(_with(ticket.return_to, "?", told, ticket), _cookie(flow, "", 0))
            return self._failed(flow, request, error)
        return self._sent(flow, request, ticket, principal)

    def _sent(self, flow: Flow, request: Request, ticket: Ticket, principal: Principal) -> Response:
        """Return the answer that takes somebody, logged in, to where they are waited for."""
        gone = _cookie(flow, "", 0)
        if ticket.challenge:
            grant = self._grants.make(flow.name, principal, ticket.challenge)
            return _redirect(_with(ticket.return_to, "?", {"code": grant}, ticket), gone)
        token, exp = self._minted(flow, principal)
        if ticket.return_to:
            told = {"token": token, "exp": str(exp)}
            return _redirect(_with(ticket.return_to, "#", told, ticket), gone)
        page = done_page(principal, token, _language(request))
        return Response(page.status, page.body, page.content_type, (*page.headers, gone))

    def _token(self, flow: Flow, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(request.body, type=_Redeem)
            principal = self._grants.redeem(flow.name, asked.code, asked.verifier)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._gate.refusal("bad_request", f"body: {error}")
        except BadGrant as error:
            return self._gate.refusal("unauthorized", str(error), {"rule": "login.code"})
        token, exp = self._minted(flow, principal)
        told = {"token": token, "exp": exp, "role": principal.role}
        told |= {"id": principal.id, "name": principal.name}
        return json_response(200, told, {"Cache-Control": "no-store"})

    def _minted(self, flow: Flow, principal: Principal) -> tuple[str, int]:
        """Return a token of ours, and when it ends, milliseconds UTC."""
        is_agent = principal.role == "agent"
        token = mint(
            self._cluster.key,
            self._cluster.id,
            role=principal.role,
            subject=principal.id,
            ttl_s=flow.config.ttl_s,
            name=principal.name,
            skills=principal.skills if is_agent else None,
            capacity=principal.capacity if is_agent else None,
            langs=principal.langs if is_agent else (),
        )
        return token, self._context.verifier.verify_own(token).exp * 1000

    def _failed(self, flow: Flow, request: Request, error: LoginFailed) -> Response:
        status = 502 if error.retry else 400
        self._context.tally.errors["upstream" if error.retry else "unauthorized"] += 1
        again = flow.config.redirect_uri.removesuffix("/callback")  # where the cookie will be
        return failed_page(status, str(error), again, _language(request))


def _check_return(flow: Flow, return_to: str, challenge: str) -> None:
    """Refuse to send the result anywhere but where it may go.  Raises `LoginFailed`."""
    config = flow.config
    if challenge:
        if not config.command_line:
            raise LoginFailed(f"[auth.{flow.name}.login] command_line is off")
        if not _LOOPBACK.fullmatch(return_to) or not _CHALLENGE.fullmatch(challenge):
            raise LoginFailed("a command line gives http://127.0.0.1:PORT/ and an S256 challenge")
    elif return_to and return_to not in config.return_to:
        raise LoginFailed(f"[auth.{flow.name}.login] return_to does not list that address")


def _query(request: Request) -> dict[str, str]:
    """Return the fields of the query, each given once.  Raises `LoginFailed`."""
    try:
        if len(request.query) > QUERY_CHARACTERS_MAX:
            raise ValueError("too long")
        fields = parse_qsl(request.query, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise LoginFailed(f"query: {error}") from None
    if len(fields) != len(dict(fields)):
        raise LoginFailed("query: a field is there twice")
    return dict(fields)


def _with(return_to: str, mark: str, fields: dict[str, str], ticket: Ticket) -> str:
    echo = {"state": ticket.echo} if ticket.echo else {}
    return return_to + mark + urlencode({**fields, **echo})


def _redirect(where: str, cookie: tuple[str, str]) -> Response:
    kept_by_nobody = [header for header in HEADERS if header[0] != "Vary"]
    return Response(302, b"", headers=(("Location", where), cookie, *kept_by_nobody))


def _language(request: Request) -> Language:
    return language_of((request.header(b"accept-language") or b"").decode("latin-1"))


# -- the cookie


def _is_secure(flow: Flow) -> bool:
    return flow.config.redirect_uri.startswith("https://")


def _cookie_name(flow: Flow) -> str:
    """A browser takes `__Host-` from this host alone, over TLS: nobody beside it can plant one."""
    return f"{'__Host-' if _is_secure(flow) else ''}unidesk-login-{flow.name}"


def _cookie(flow: Flow, value: str, ttl_s: int) -> tuple[str, str]:
    """Return the header that sets it; Lax, for the callback comes from the provider's site."""
    secure = "; Secure" if _is_secure(flow) else ""
    rest = f"Path=/; Max-Age={ttl_s}; HttpOnly; SameSite=Lax{secure}"
    return "Set-Cookie", f"{_cookie_name(flow)}={value}; {rest}"


def _cookie_of(flow: Flow, request: Request) -> str:
    wanted = _cookie_name(flow)
    for part in (request.header(b"cookie") or b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value
    return ""
