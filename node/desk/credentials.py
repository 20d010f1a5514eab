"""Secrets in a request: whose they are, and whether they came by a way that nobody reads along.
No I/O.

    came by                                  X-Forwarded-Proto    its secrets
    TLS to this node                         -, https             taken
    this machine, no proxy to be seen        -, https             taken
    a proxy: of this machine, or one of      https                taken
    [limits] trusted_addresses               -, http              refused
    anything else                            whatever it says     refused

A proxy ends its client's TLS and is the only one who knows of it, so that it has to say so.  Only
proxies are believed, also about the client's address (the last of X-Forwarded-For).

    grant_type          secret in the body            in the header: Basic
    client_credentials  client_id, client_secret      form-encoded, RFC 6749 2.3.1
    password            username, password            as they are, RFC 7617

Source: RFC 6749, sections 2.3.1, 3.2, 4.3.2, 4.4.2 and 5.2; RFC 7617; RFC 7239 for the idea of the
headers that proxies add.
"""

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote_plus

from node.edge.http import Request
from node.tables import Network

Grant = Literal["client_credentials", "password"]
OAuthError = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
]

BODY_BYTES_MAX = 8 * 1024
FIELDS_MAX = 16
USER_CHARACTERS_MAX = 256
_FORM = b"application/x-www-form-urlencoded"
_BY_PROXIES = (b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"via")
_NAMES: dict[Grant, tuple[str, str]] = {
    "client_credentials": ("client_id", "client_secret"),
    "password": ("username", "password"),
}


class BadCredentials(Exception):
    """The request is none that a token is given for, whatever the secret."""

    def __init__(self, error: OAuthError, message: str) -> None:
        super().__init__(message)
        self.error: OAuthError = error


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody says to prove who they are."""

    grant: Grant
    user: str
    secret: str
    basic: bool
    """Whether they came in the header, so that the refusal has to name that scheme."""

    def __repr__(self) -> str:
        return f"<Credentials {self.grant} {self.user[:64]!r}>"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    address: str
    safe: bool
    """Whether nobody could read along."""


def origin_of(request: Request, proxies: Sequence[Network], *, tls: bool) -> Origin:
    """Return where `request` comes from; `tls`: this node's own port is within TLS."""
    host = request.peer.rpartition(":")[0].strip("[]")
    peer = _parsed(host)
    near = peer is None or peer.is_loopback  # no address at all: a local socket
    if not near and not any(peer in network for network in proxies if peer is not None):
        return Origin(host, tls)
    schemes = request.tokens(b"x-forwarded-proto")
    if schemes:
        safe = all(scheme.lower() == b"https" for scheme in schemes)
    else:
        proxied = any(request.header(name) is not None for name in _BY_PROXIES)
        safe = tls or (near and not proxied)
    told = [one.decode("latin-1") for one in request.tokens(b"x-forwarded-for")[-1:]]
    known = [one for one in told if _parsed(one) is not None]
    return Origin(known[0] if known else host, safe)


def credentials_of(request: Request) -> Credentials:
    """Return what the request proves itself with.  Raises `BadCredentials`."""
    fields = _fields(request)
    grant = fields.get("grant_type", "")
    if grant not in _NAMES:
        message = "grant_type: client_credentials for services, password for people"
        raise BadCredentials("unsupported_grant_type" if grant else "invalid_request", message)
    user_field, secret_field = _NAMES[grant]
    user, secret = fields.get(user_field, ""), fields.get(secret_field, "")
    header = request.header(b"authorization")
    if header is not None:
        named = user
        if secret:
            raise BadCredentials("invalid_request", "prove yourself in one place: header or body")
        user, secret = _basic(header, encoded=grant == "client_credentials")
        if named not in ("", user):
            raise BadCredentials("invalid_request", f"{user_field}: is not that of the header")
    if not user or not secret:
        message = f"give {user_field} and {secret_field}, in the body or as Basic"
        raise BadCredentials("invalid_request", message)
    if len(user) > USER_CHARACTERS_MAX:
        raise BadCredentials("invalid_request", f"{user_field}: over {USER_CHARACTERS_MAX}")
    return Credentials(grant, user, secret, header is not None)


def _fields(request: Request) -> dict[str, str]:
    media = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if media != _FORM:
        raise BadCredentials("invalid_request", f"the body must be {_FORM.decode()}")
    if len(request.body) > BODY_BYTES_MAX:
        raise BadCredentials("invalid_request", f"a body of over {BODY_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:  # of Unicode too; its words might repeat the secret
        raise BadCredentials("invalid_request", "the body is no form of UTF-8") from None
    fields = {name: value for name, value in pairs if value}
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadCredentials("invalid_request", "a field is there twice")
    return fields


def _basic(header: bytes, *, encoded: bool) -> tuple[str, str]:
    scheme, _, data = header.partition(b" ")
    if scheme.lower() != b"basic":
        raise BadCredentials("invalid_request", "the header must be Authorization: Basic")
    try:
        text = base64.b64decode(data.strip(), validate=True).decode()
        user, colon, secret = text.partition(":")
        if encoded:
            user, secret = (unquote_plus(part, errors="strict") for part in (user, secret))
    except (binascii.Error, ValueError):
        raise BadCredentials("invalid_request", "Basic: no base64 of UTF-8") from None
    if not colon:
        raise BadCredentials("invalid_request", "Basic: no colon between user and secret")
    return user, secret


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
