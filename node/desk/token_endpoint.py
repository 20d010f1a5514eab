"""`POST /v1/token`: a secret for a token.  Waits for the port, and for threads that hash.

    request ─ way safe? ─ a form? ─ not too many wrong? ─ barrier ─ secret ─ IssueToken ─▶ token
                 │           │             │                           │        │
                400         400           429                       400, 401   409    503 when busy

    200  {"access_token": …, "token_type": "Bearer", "expires_in": seconds, "user": …, "role": …}
    4xx  {"error": …, "error_description": …}, and {"code", "msg", "retry", "data": {"rule": …}} as
         everywhere else

The log has the token's name, never the token: whoever is issued one is before or after each
revocation.  An attempt that fails is told to the node's own log, and to no other: whoever guesses
must not fill the cluster's.

Source: RFC 6749, sections 4.3, 4.4, 5.1 and 5.2; RFC 6585, 4 (429).
"""

import math
import re
from functools import partial
from typing import Any

import structlog

from cluster.port import Unavailable
from cluster.state.commands import By, IssueToken
from cluster.state.model import Account
from cluster.state.outcome import Done, Refused
from node.auth import mint, new_jti
from node.config import Config
from node.desk.attempts import Attempts, TooMany
from node.desk.context import Context
from node.desk.credentials import (
    BadCredentials,
    Credentials,
    OAuthError,
    Origin,
    credentials_of,
    origin_of,
)
from node.desk.gate import Gate
from node.desk.passwords import Busy, Passwords
from node.edge.application import ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.protocol.codes import ERRORS, ErrorCode
from node.protocol.refusals import MEANING, Rule

PATH = "/v1/token"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_NOT_DESCRIBABLE = re.compile(r'[^\x20-\x7e]|["\\]')

log = structlog.get_logger(__name__)


class TokenEndpoint:
    """Issues tokens."""

    def __init__(self, context: Context, gate: Gate, passwords: Passwords, config: Config) -> None:
        self._context = context
        self._gate = gate
        self._passwords = passwords
        self._attempts = Attempts(context.clock)
        self._key = config.cluster.key
        self._lives_s = config.tokens
        self._tls = config.client.tls is not None
        self._proxies = config.limits.trusted_addresses

    def answer(self, request: Request) -> Response | ResponseFactory:
        """Return what follows from a request for a token."""
        self._context.tally.requests["token"] += 1
        if request.method != "POST":
            return self._gate.wrong_method(request, "POST")
        closed = self._gate.closed()
        if closed is not None:
            return closed
        origin = origin_of(request, self._proxies, tls=self._tls)
        if not origin.safe:
            message = (
                "secrets are taken over TLS, or from this machine: use https, and let a proxy in"
                " [limits] trusted_addresses say X-Forwarded-Proto: https"
            )
            return self._refuse("invalid_request", "forbidden", message, "credentials.transport")
        try:
            credentials = credentials_of(request)
        except BadCredentials as bad:
            return self._refuse(bad.error, "bad_request", str(bad), None)
        try:
            self._attempts.begin(credentials.user, origin.address)
        except TooMany as many:
            return self._too_many(many)
        return partial(self._log_in, credentials, origin)

    def forget_idle(self) -> None:
        """Drop whoever was not wrong lately."""
        self._attempts.forget_idle()

    async def _log_in(self, credentials: Credentials, origin: Origin) -> Response:
        unavailable = await self._context.port.barrier()
        if unavailable is not None:
            self._attempts.take_back(credentials.user, origin.address)
            return self._not_served(unavailable)
        account = self._context.state.accounts.get(credentials.user)
        hashes = account.secrets if account is not None else ()
        try:
            right = await self._passwords.matches(hashes, credentials.secret)
        except Busy as busy:
            self._attempts.take_back(credentials.user, origin.address)
            return self._gate.refusal("overloaded", str(busy), headers=NO_STORE)
        if account is None or not right:
            return self._wrong(credentials, origin, known=account is not None)
        self._attempts.take_back(credentials.user, origin.address)
        if (account.kind == "service") != (credentials.grant == "client_credentials"):
            rule: Rule = "credentials.grant"
            return self._refuse("unauthorized_client", "forbidden", MEANING[rule], rule)
        return await self._issue(account, origin)

    async def _issue(self, account: Account, origin: Origin) -> Response:
        by, jti = By(account.kind, account.id, account.name), new_jti()
        lives = self._lives_s
        ttl_s = lives.services_s if account.kind == "service" else lives.people_s
        command = IssueToken(by, jti, ttl_s, account.rev, origin.address)
        match await self._context.port.propose(command):
            case Done(result):
                return self._token(account, jti, result["iat"], ttl_s)
            case Refused(code, message, data):
                rule = data.get("rule")
                return self._refuse("invalid_grant", code, message, rule, status=ERRORS[code].http)
            case Unavailable() as unavailable:
                return self._not_served(unavailable)

    def _token(self, account: Account, jti: str, iat_s: int, ttl_s: int) -> Response:
        # Skills and capacity stay with the account: it counts, and they may be many.
        token = mint(
            self._key,
            self._context.cluster,
            role=account.kind,
            subject=account.id,
            ttl_s=ttl_s,
            name=account.name,
            iat_s=iat_s,
            jti=jti,
        )
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": ttl_s,
            "user": account.id,
            "role": account.kind,
        }
        return json_response(200, body, NO_STORE)

    # -- refusals

    def _wrong(self, credentials: Credentials, origin: Origin, *, known: bool) -> Response:
        # What is no account's name may be a password, typed into the wrong field.
        log.info("login refused", user=credentials.user if known else "", address=origin.address)
        rule: Rule = "credentials"
        if credentials.grant == "password" and not credentials.basic:
            return self._refuse("invalid_grant", "unauthorized", MEANING[rule], rule)
        challenge = {"WWW-Authenticate": 'Basic realm="unidesk", charset="UTF-8"'}
        return self._refuse(
            "invalid_client", "unauthorized", MEANING[rule], rule, status=401, headers=challenge
        )

    def _too_many(self, many: TooMany) -> Response:
        headers = {**NO_STORE, "Retry-After": str(math.ceil(many.wait_s))}
        return self._gate.refusal("rate_limited", str(many), {"rule": many.rule}, headers=headers)

    def _not_served(self, unavailable: Unavailable) -> Response:
        return self._gate.refusal(
            unavailable.code, unavailable.message, self._context.elsewhere(), headers=NO_STORE
        )

    def _refuse(
        self,
        error: OAuthError,
        code: ErrorCode,
        message: str,
        rule: Rule | None,
        *,
        status: int = 400,
        headers: dict[str, str] | None = None,
    ) -> Response:
        also: dict[str, Any] = {
            "error": error,
            "error_description": _NOT_DESCRIBABLE.sub("'", message),
        }
        data = {"rule": rule} if rule is not None else None
        return self._gate.refusal(
            code, message, data, headers={**NO_STORE, **(headers or {})}, status=status, also=also
        )
