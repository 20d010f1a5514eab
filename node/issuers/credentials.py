"""How this cluster proves itself to an issuer.  No I/O.

    client_secret_basic     Authorization: Basic, both parts form-encoded first; what is used
    client_secret_post      in the form, where the provider takes nothing else
    no secret               the client's id alone: PKCE proves the rest

Source: RFC 6749, section 2.3.1; OpenID Connect Core, section 9.
"""

import base64
from collections.abc import Sequence
from urllib.parse import quote_plus

from node.issuers.config import ClientCredentials
from node.issuers.metadata import BASIC, POST


def proved(
    client: ClientCredentials, fields: dict[str, str], methods: Sequence[str] = (BASIC,)
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the form and the headers of a request that `client` makes."""
    if not client.secret:
        return {**fields, "client_id": client.id}, {}
    if BASIC not in methods and POST in methods:
        return {**fields, "client_id": client.id, "client_secret": client.secret}, {}
    pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode()
    return fields, {"Authorization": "Basic " + base64.b64encode(pair).decode()}
