"""Secrets that a company shares with its cluster: HS256, for its visitors alone.  Reads a file.

    shop.secret     one secret a line, each of SECRET_BYTES_MIN or more
                    all count: a new one is added, the shop signs with it, the old one goes

The file is looked at every LOOK_S; while it cannot be read, or holds none, the last secrets count.
Whoever has the secret can be any visitor of this issuer's, and nobody else: the role is fixed by
the configuration, whatever the token says.

Source: RFC 7518, section 3.2 (a key is no shorter than the hash); RFC 8725, section 3.5.
"""

from pathlib import Path

import jwt
import structlog
import trio
from jwt.exceptions import ExpiredSignatureError, InvalidSignatureError, PyJWTError

from node.issuers.failures import Claims, Expired, NotVouched
from node.issuers.keys import LEEWAY_S

ALGORITHM = "HS256"
SECRET_BYTES_MIN = 32
SECRETS_MAX = 4
FILE_BYTES_MAX = 4096
LOOK_S = 5.0

log = structlog.get_logger(__name__)


def read_secrets(data: bytes) -> tuple[bytes, ...]:
    """Return the secrets in a file.  Raises `ValueError` with what is wrong."""
    secrets = tuple(line.strip() for line in data.splitlines() if line.strip())
    if not 1 <= len(secrets) <= SECRETS_MAX or len(data) > FILE_BYTES_MAX:
        raise ValueError(f"holds {len(secrets)} secrets, one a line: 1 to {SECRETS_MAX} may be")
    if min(map(len, secrets)) < SECRET_BYTES_MIN:
        raise ValueError(f"a secret of under {SECRET_BYTES_MIN} bytes")
    return secrets


class SharedSecret:
    """The present secrets of one issuer; proves what was signed with them."""

    def __init__(self, name: str, issuer: str, path: Path) -> None:
        self._name = name
        self._issuer = issuer
        self._path = path
        self._secrets: tuple[bytes, ...] = ()
        try:
            self._secrets = read_secrets(path.read_bytes())
        except (OSError, ValueError) as error:  # it was there when the configuration was read
            log.warning("secret not read", issuer=name, why=str(error))

    def claims(self, token: str, audience: str) -> Claims:
        """Return what `token` says to `audience`.  Raises `NotVouched`."""
        for secret in self._secrets:
            try:
                claims: Claims = jwt.decode(
                    token,
                    secret,
                    algorithms=[ALGORITHM],
                    audience=audience,
                    issuer=self._issuer,
                    leeway=LEEWAY_S,
                    options={"require": ["iss", "aud", "exp", "sub"], "verify_iat": False},
                )
            except InvalidSignatureError:
                continue
            except ExpiredSignatureError:
                raise Expired("the token has expired: fetch a new one") from None
            except (PyJWTError, ValueError, OverflowError, RecursionError) as error:
                raise NotVouched(f"not a token of {self._name}: {error}") from None
            return claims
        raise NotVouched(f"not a token of {self._name}: not signed with its secret")

    async def keep_fresh(self) -> None:
        """Read the file whenever it may have changed, until cancelled."""
        why = ""
        while True:
            await trio.sleep(LOOK_S)
            try:
                self._secrets = read_secrets(await trio.to_thread.run_sync(self._path.read_bytes))
                why = ""
            except (OSError, ValueError) as error:
                if str(error) != why:
                    why = str(error)
                    log.warning("secret not read", issuer=self._name, why=why)
