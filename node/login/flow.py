"""A login at one provider, from the click to a principal.  Talks HTTP.

    browser            this cluster                                   provider
    ─ GET login ─────▶ ticket into a cookie
    ◀─ 302 ─────────── authorize?code, PKCE S256, state, nonce
    ─ logs in ───────────────────────────────────────────────────────▶
    ◀─ 302 callback?code, state, iss ──────────────────────────────────
    ─ GET callback ──▶ cookie, state, iss
                       code, verifier ───────────────────────────────▶
                       ◀──────────────────────────────────── ID token ─
                       signature, iss, aud, exp, nonce, azp, at_hash
                       claims ─▶ id, role, skills, capacity

Every refusal is a `LoginFailed` with words for whoever sits at the browser.

Source: OpenID Connect Core 1.0, 3.1; RFC 9700, sections 2.1 and 4; RFC 9207, section 2.4.
"""

import hmac
import re
from urllib.parse import urlencode

import jwt
import msgspec

from node.auth import BadToken, Principal, principal_of
from node.client.http import Unreachable
from node.issuers import Claims, Issuer, NotVouched, UnknownKey
from node.issuers.config import LoginConfig
from node.issuers.credentials import proved
from node.issuers.mapping import mapped
from node.issuers.metadata import Metadata
from node.login.id_token import NotProved, check_id_token
from node.login.ticket import Ticket

_PLAIN = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}")
"""What an error of RFC 6749, 4.1.2.1, is made of."""
CODE_CHARACTERS_MAX = 4096


class LoginFailed(Exception):
    """Nobody is logged in; `retry` says whether it may work in a moment."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str = ""


class Flow:
    """Logins at one provider."""

    def __init__(self, issuer: Issuer) -> None:
        assert issuer.config.login is not None
        self._issuer = issuer
        self.config: LoginConfig = issuer.config.login
        self.name = issuer.config.name

    async def begin(self, ticket: Ticket) -> str:
        """Return where to send the browser.  Raises `LoginFailed`."""
        metadata = await self._metadata()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.config.client.id,
                "redirect_uri": self.config.redirect_uri,
                "scope": " ".join(self.config.scopes),
                "state": ticket.state,
                "nonce": ticket.nonce,
                "code_challenge": ticket.code_challenge,
                "code_challenge_method": "S256",
            }
        )
        endpoint = metadata.authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    async def finish(self, ticket: Ticket, answer: dict[str, str]) -> Principal:
        """Return who logged in, by the query of the callback.  Raises `LoginFailed`."""
        if not hmac.compare_digest(answer.get("state", "").encode(), ticket.state.encode()):
            raise LoginFailed("the answer is not that to this login (state)")
        metadata = await self._metadata()
        self._check_iss(metadata, answer.get("iss"))
        if "error" in answer:
            raise LoginFailed(f"{self.name} says: {_told(answer)}")
        code = answer.get("code", "")
        if not 1 <= len(code) <= CODE_CHARACTERS_MAX:
            raise LoginFailed(f"{self.name} sent no code")
        tokens = await self._redeem(metadata, code, ticket)
        claims = await self._proved(tokens, ticket)
        try:
            return principal_of(mapped(self._issuer.config, claims))
        except (NotVouched, BadToken) as error:
            raise LoginFailed(str(error)) from None

    async def _metadata(self) -> Metadata:
        try:
            metadata = await self._issuer.provider.known()
        except Unreachable as error:
            raise LoginFailed(f"{self.name} does not answer: {error}", retry=True) from None
        if not metadata.authorization_endpoint or not metadata.token_endpoint:
            raise LoginFailed(f"{self.name} names no authorization_endpoint or token_endpoint")
        methods = metadata.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise LoginFailed(f"{self.name} does not take PKCE with S256")
        return metadata

    def _check_iss(self, metadata: Metadata, said: str | None) -> None:
        """Refuse the answer of another provider: the mix-up attack."""
        if said is None and not metadata.authorization_response_iss_parameter_supported:
            return
        if said != self._issuer.config.issuer:
            raise LoginFailed("the answer is that of another provider (iss)")

    async def _redeem(self, metadata: Metadata, code: str, ticket: Ticket) -> _Tokens:
        """Return what the provider gives for a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.config.redirect_uri,
            "code_verifier": ticket.verifier,
        }
        methods = metadata.token_endpoint_auth_methods_supported
        form, headers = proved(self.config.client, fields, methods)
        try:
            answer = await self._issuer.fetcher.post(metadata.token_endpoint, form, headers)
            if answer.status == 200:
                return msgspec.json.decode(answer.body, type=_Tokens)
            refused = _error_of(answer.body) if answer.status in (400, 401) else ""
        except Unreachable as error:
            raise LoginFailed(f"{self.name} does not answer: {error}", retry=True) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise LoginFailed(f"{self.name} gave no ID token for the code") from None
        why = f"refused the code: {refused}" if refused else f"answered {answer.status}"
        raise LoginFailed(f"{self.name} {why}", retry=answer.status >= 500)

    async def _proved(self, tokens: _Tokens, ticket: Ticket) -> Claims:
        """Return what an ID token says, once all of it is proved."""
        client_id, keys = self.config.client.id, self._issuer.keys
        assert keys is not None
        try:
            algorithm = str(jwt.get_unverified_header(tokens.id_token).get("alg"))
            try:
                claims = keys.claims(tokens.id_token, client_id)
            except UnknownKey:  # it has just been made: with a key that was added lately
                await keys.read()
                claims = keys.claims(tokens.id_token, client_id)
            check_id_token(
                claims,
                algorithm=algorithm,
                client_id=client_id,
                nonce=ticket.nonce,
                access_token=tokens.access_token,
            )
        except Unreachable as error:
            raise LoginFailed(f"{self.name} does not answer: {error}", retry=True) from None
        except UnknownKey as error:
            raise LoginFailed(str(error), retry=True) from None
        except (NotVouched, NotProved, jwt.InvalidTokenError, ValueError, OSError) as error:
            raise LoginFailed(f"the ID token of {self.name} proves nothing: {error}") from None
        return claims


def _told(answer: dict[str, str]) -> str:
    """Return what an error says of itself, as far as it is plain text."""
    parts = (answer.get("error", ""), answer.get("error_description", ""))
    return ": ".join(part for part in parts if _PLAIN.fullmatch(part)) or "an error without a name"


def _error_of(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=dict[str, object]).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "an error without a name"
    return said if isinstance(said, str) and _PLAIN.fullmatch(said) else "an error without a name"
