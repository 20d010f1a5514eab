"""Texts that only nodes of one cluster can have made, each for one purpose and not for long.
No I/O.

    text = JWT, HS256, by a key of its own: HMAC-SHA256(cluster's key, "unidesk " + purpose)

A text made for one purpose opens for no other, and a token opens for none.  Sealed is not hidden:
whoever holds a text can read it.

Source: RFC 7519; RFC 5869, section 3.2 (`info`) for why every purpose has a key.
"""

import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, InvalidTokenError

ALGORITHM = "HS256"
TEXT_CHARACTERS_MAX = 8 * 1024


class BadSeal(Exception):
    """Nobody here made this text; the message says so."""


class LateSeal(BadSeal):
    """It was made here, too long ago."""


class Seal:
    """Makes and opens the texts of one purpose."""

    def __init__(self, key: bytes, purpose: str) -> None:
        """`key` is the cluster's."""
        self._key = hmac.digest(key, f"unidesk {purpose}".encode(), "sha256")

    def seal(self, fields: dict[str, Any], ttl_s: int) -> str:
        """Return `fields` as a text that opens for `ttl_s` seconds."""
        return jwt.encode({**fields, "exp": int(time.time()) + ttl_s}, self._key, ALGORITHM)

    def open(self, text: str) -> dict[str, Any]:
        """Return what was sealed.  Raises `BadSeal`."""
        if len(text) > TEXT_CHARACTERS_MAX:
            raise BadSeal("not made here: too long")
        try:
            fields: dict[str, Any] = jwt.decode(
                text, self._key, [ALGORITHM], options={"require": ["exp"]}
            )
        except ExpiredSignatureError:
            raise LateSeal("made here, but too long ago") from None
        except (InvalidTokenError, ValueError, OverflowError, RecursionError):
            raise BadSeal("not made here") from None
        return fields

    def derive(self, use: str, seed: str) -> str:
        """Return a text of 43 characters that nobody else can know: the same for the same seed."""
        return base64url(hmac.digest(self._key, f"{use} {seed}".encode(), "sha256"))


def base64url(data: bytes) -> str:
    """Return `data` as RFC 7515, appendix C, writes it."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
