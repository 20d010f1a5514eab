"""What an ID token has to prove, after its signature, `iss`, `aud` and `exp`.  No I/O.

    nonce      the one that was sent: it was made for this login
    azp        this client, when it is there; must be, when there are several audiences
    at_hash    that of the access token, when both are there

Source: OpenID Connect Core 1.0, 3.1.3.7 (rules 4, 5 and 11) and 3.1.3.8.
"""

import hashlib
import hmac

from node.issuers.failures import Claims
from node.login.seal import base64url


class NotProved(Exception):
    """The ID token does not prove this login; the message says why."""


def check_id_token(
    claims: Claims, *, algorithm: str, client_id: str, nonce: str, access_token: str
) -> None:
    """Raise `NotProved` when `claims`, proved to be the issuer's, are not about this login."""
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise NotProved("its nonce is not that of this login")
    audiences = claims.get("aud")
    azp = claims.get("azp")
    if isinstance(audiences, list) and len(audiences) > 1 and azp is None:
        raise NotProved("it has several audiences and no azp")
    if azp is not None and azp != client_id:
        raise NotProved("it was issued to another client (azp)")
    at_hash = claims.get("at_hash")
    if at_hash is not None and access_token and at_hash != _half_hash(algorithm, access_token):
        raise NotProved("its at_hash is not that of the access token")


def _half_hash(algorithm: str, token: str) -> str:
    kind = "sha512" if algorithm == "EdDSA" else "sha256"
    digest = hashlib.new(kind, token.encode()).digest()
    return base64url(digest[: len(digest) // 2])
