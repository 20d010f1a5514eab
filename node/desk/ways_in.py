"""What is served by HTTP, by path, and which WebSockets are let in.

/v1/op/…        Calls           one operation
/v1/events      Events          a session that only listens
/v1/login/…     BrowserLogin    at the company's own provider
/v1/token       TokenEndpoint   a secret for a token
/v1/visitor     Visitors        a token for anybody, from pages that may ask
/v1/backup/…    Backups         the whole state, for operators
/v1/snapshot    Snapshots       this node's own state into its folder, for operators
anything else   FrontPage       probes, figures, descriptions; 404

/v1/ws          a WebSocket, in the client's first encoding that is spoken here
"""

from collections.abc import Callable, Sequence

from node.config import Config
from node.desk.backups import PATH as BACKUP_PATH
from node.desk.backups import Backups
from node.desk.browser_login import PATH as LOGIN_PATH
from node.desk.browser_login import BrowserLogin
from node.desk.calls import PATH as CALLS_PATH
from node.desk.calls import Calls
from node.desk.context import Context
from node.desk.event_stream import PATH as EVENTS_PATH
from node.desk.event_stream import Events
from node.desk.front_page import FrontPage
from node.desk.gate import Gate
from node.desk.idleness import Idleness
from node.desk.opening import Opening
from node.desk.operations import Operations
from node.desk.pages import Pages
from node.desk.passwords import Passwords
from node.desk.requests import Requests
from node.desk.session import Session
from node.desk.snapshots import PATH as SNAPSHOT_PATH
from node.desk.snapshots import Snapshots
from node.desk.token_endpoint import PATH as TOKEN_PATH
from node.desk.token_endpoint import TokenEndpoint
from node.desk.visitors import PATH as VISITOR_PATH
from node.desk.visitors import Visitors
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response, not_found
from node.issuers import Issuer
from node.protocol.codec import BY_SUBPROTOCOL

WS_PATH = "/v1/ws"
SHARED_PATHS = (CALLS_PATH, EVENTS_PATH, VISITOR_PATH)
"""What pages of other origins may use, if they are configured."""


class WaysIn:
    """The answers to everything that is no frame of a WebSocket."""

    def __init__(
        self,
        context: Context,
        config: Config,
        issuers: Sequence[Issuer],
        passwords: Passwords,
        opening: Opening,
        operations: Operations,
        requests: Requests,
        idleness: Idleness,
        pages: Pages,
        attach: Callable[[Session], None],
    ) -> None:
        """`attach` takes in a session that begins."""
        gate = Gate(context)
        self._calls = Calls(context, gate, operations, idleness)
        self._tokens = TokenEndpoint(context, gate, passwords, config)
        self._events = Events(context, gate, opening, requests, attach)
        self._browser_login = BrowserLogin(
            context, gate, config.cluster, issuers, config.limits.trusted_addresses
        )
        self._visitors = Visitors(context, gate, config)
        self._backups = Backups(context, gate)
        self._snapshots = Snapshots(context, gate)
        self._front_page = FrontPage(gate, pages, elsewhere=config.observe is not None)
        self.origins = self._visitors.origins

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Answer a probe, a scraper, a person, or a system that asks or listens."""
        if not self.origins or not request.path.startswith(SHARED_PATHS):
            return self._answer(request)
        return self.origins.preflight(request) or self.origins.share(request, self._answer(request))

    def _answer(self, request: Request) -> Answer | ResponseFactory:
        if request.path.startswith(CALLS_PATH):
            return self._calls.answer(request)
        if request.path == TOKEN_PATH:
            return self._tokens.answer(request)
        if request.path == EVENTS_PATH:
            return self._events.answer(request)
        if request.path.startswith(LOGIN_PATH):
            return self._browser_login.answer(request)
        if request.path == VISITOR_PATH:
            return self._visitors.answer(request)
        if request.path == BACKUP_PATH or request.path.startswith(f"{BACKUP_PATH}/"):
            return self._backups.answer(request)
        if request.path == SNAPSHOT_PATH:
            return self._snapshots.answer(request)
        return self._front_page.answer(request)

    def on_live(self, session: Session) -> None:
        """A session was welcomed."""
        self._events.on_live(session)

    def forget_idle(self) -> None:
        """Let go of what nobody came back for; called every second."""
        self._browser_login.forget_idle()
        self._tokens.forget_idle()
        self._visitors.forget_idle()
        self._backups.forget_idle()


def on_upgrade(request: Request) -> str | Response | None:
    """Choose the encoding of a WebSocket; None for the first one, a response to refuse it."""
    if request.path != WS_PATH:
        return not_found(request.path)
    if not request.subprotocols:
        return None
    for offered in request.subprotocols:
        if offered in BY_SUBPROTOCOL:
            return offered
    spoken = ", ".join(BY_SUBPROTOCOL)
    return json_response(400, {"code": "bad_request", "msg": f"subprotocols here: {spoken}"})
