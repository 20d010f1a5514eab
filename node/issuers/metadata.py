"""What an OpenID provider says of itself, and when it is believed.  No I/O.

    issuer + "/.well-known/openid-configuration"     where it says it
    issuer                                           must be the configured one, letter by letter
    jwks_uri, *_endpoint                             https://, or loopback

Source: OpenID Connect Discovery 1.0, sections 3, 4.1 and 4.3; RFC 8414; RFC 9207, section 3.
"""

import msgspec

from node.issuers.fetching import check_url

WELL_KNOWN = "/.well-known/openid-configuration"
BASIC, POST = "client_secret_basic", "client_secret_post"


class Metadata(msgspec.Struct, frozen=True):
    """The part of it that counts here."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    introspection_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = (BASIC,)
    code_challenge_methods_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False


def metadata_url(issuer: str) -> str:
    """Return where `issuer` describes itself."""
    return issuer.rstrip("/") + WELL_KNOWN


def read_metadata(data: bytes, issuer: str) -> Metadata:
    """Return what `issuer` said.  Raises `ValueError` with what is wrong."""
    try:
        found = msgspec.json.decode(data, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not the metadata of a provider: {error}") from None
    if found.issuer != issuer:
        raise ValueError(f"it is that of {found.issuer[:200]!r}, not of {issuer!r}")
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint"):
        url = getattr(found, name)
        if url or name == "jwks_uri":
            try:
                check_url(url)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return found
