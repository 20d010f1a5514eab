"""Visitors who need not say who they are: `POST /v1/visitor`.  No I/O.

    asked by                                       answered with
    a page whose origin is configured              {token, id, exp}: a visitor that is new
    the same, with such a token that is good yet   the same id, a token that lasts longer
    a page of another origin, or no page           403, naming the rule
    an address that asks too often                 429, Retry-After

`exp` is in milliseconds UTC.  Nothing is kept of a visitor but what the token says, so that any
node answers.  Only tokens that were given out here are renewed: one that somebody was given for an
hour does not become one for ever.

Source: RFC 6750; RFC 6454 for the origin.
"""

import math
from functools import partial

from node.auth import BadToken, Principal, mint
from node.config import Config
from node.desk.address_pace import AddressPace
from node.desk.context import Context
from node.desk.gate import Gate
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.origins import Origins, origin_of, unlisted

PATH = "/v1/visitor"
ANONYMOUS = "anon-"
"""How the ids of visitors begin that were made here."""
BURST_S = 60.0


class Visitors:
    """Gives out tokens to pages that may ask."""

    def __init__(self, context: Context, gate: Gate, config: Config) -> None:
        self._context = context
        self._gate = gate
        self._cluster = config.cluster
        self._config = config.visitors
        self.origins = Origins(config.visitors.origins)
        self._pace = AddressPace(
            config.visitors.per_minute / 60,
            BURST_S,
            context.clock,
            config.limits.trusted_addresses,
        )

    def forget_idle(self) -> None:
        """Drop addresses that have asked for nothing lately."""
        self._pace.forget_idle()

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Return a token, or why there is none."""
        if not self.origins:
            return self._gate.refusal("not_found", "node.toml has no [visitors] here")
        if request.method != "POST":
            return self._gate.wrong_method(request, "POST")
        if not self.origins.allows(origin_of(request)):
            said = self.origins.foreign(request) or "a request without an Origin"
            return self._gate.refusal("forbidden", unlisted(said), {"rule": "origin"})
        wait_s = self._pace.wait_s(request)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            message = "[visitors] per_minute: too many from this address; wait a little"
            return self._gate.refusal(
                "rate_limited", message, {"rule": "rate.address"}, headers=headers
            )
        if request.header(b"authorization") is not None:
            return self._gate.admit(request, "auth", partial(self._renewed, request))
        closed = self._gate.closed()
        return closed if closed is not None else self._given(ANONYMOUS + self._context.ids.new())

    def _renewed(self, request: Request, principal: Principal) -> Response:
        if not principal.id.startswith(ANONYMOUS) or principal.role != "visitor":
            return self._gate.refusal(
                "forbidden",
                "only tokens of anonymous visitors are renewed",
                {"rule": "visitor.named"},
            )
        try:
            self._context.verifier.verify_own(self._gate.token(request))
        except BadToken as error:
            return self._gate.refusal("unauthorized", str(error), {"rule": error.rule})
        return self._given(principal.id)

    def _given(self, visitor: str) -> Response:
        ttl_s = self._config.ttl_s
        token = mint(
            self._cluster.key, self._cluster.id, role="visitor", subject=visitor, ttl_s=ttl_s
        )
        exp = self._context.verifier.verify_own(token).exp * 1000
        body = {"token": token, "id": visitor, "exp": exp}
        return json_response(200, body, {"Cache-Control": "no-store"})
