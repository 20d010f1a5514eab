"""Public keys of an issuer, as they rotate.  Reads files, or talks HTTP.

A key set is read anew when its file changes, every REFRESH_S from a URL, and soon after a token
named a key that is not in it: that is how issuers rotate.  While it cannot be had, the last one
counts.  Whose address is not configured finds it by OpenID Discovery.

Only signatures by private keys count (RS256, ES256, PS256, EdDSA): a public key is no secret that
could sign.

Source: RFC 7517 (key sets), RFC 7519, RFC 8725 sections 3.1 and 3.2; OpenID Connect Core, 10.1.1.
"""

import contextlib
from pathlib import Path
from typing import Literal, get_args

import jwt
import structlog
import trio
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from node.client.http import Unreachable
from node.issuers.failures import Claims, Expired, NotVouched, UnknownKey
from node.issuers.fetching import Fetcher
from node.issuers.provider import Provider

Algorithm = Literal["RS256", "ES256", "PS256", "EdDSA"]
ALGORITHMS = get_args(Algorithm)
KEY_SET_BYTES_MAX = 256 * 1024
KEYS_MAX = 64
REFRESH_S = 300.0
FILE_LOOK_S = 5.0
WANTED_PAUSE_S = 10.0
"""Between two attempts for the sake of keys that are not known: tokens of nobody are cheap."""
LEEWAY_S = 5

log = structlog.get_logger(__name__)

Keys = dict[str, jwt.PyJWK]


_BAD_KEYS = (
    PyJWTError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
)
"""What PyJWT raises for a set that is none: whatever its parsers happen to meet."""


def read_keys(data: bytes) -> Keys:
    """Return the keys that may sign, by their `kid`.  Raises `ValueError` with what is wrong."""
    if len(data) > KEY_SET_BYTES_MAX:
        raise ValueError(f"over {KEY_SET_BYTES_MAX} bytes")
    try:
        found = jwt.PyJWKSet.from_json(data.decode()).keys
    except _BAD_KEYS as error:
        raise ValueError(f"not a JSON Web Key Set: {error!r}") from None
    keys = {str(key.key_id or ""): key for key in found[:KEYS_MAX] if _may_sign(key)}
    if not keys:
        raise ValueError(f"no public key for {', '.join(ALGORITHMS)} in it")
    return keys


def _may_sign(key: jwt.PyJWK) -> bool:
    return key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")


class KeySet:
    """The present keys of one issuer; proves what they signed."""

    def __init__(
        self, name: str, issuer: str, source: Path | str | Provider, fetcher: Fetcher
    ) -> None:
        """Reads a file at once; a URL is asked by `keep_fresh`."""
        self.wanted = trio.Event()
        """Set when a token named a key that is not known."""
        self._name = name
        self._issuer = issuer
        self._source = source
        self._fetcher = fetcher
        self._keys: Keys = {}
        self._changed_ns = -1
        if isinstance(source, Path):
            with contextlib.suppress(OSError, ValueError):  # `keep_fresh` says why, and tries again
                self._take(read_keys(source.read_bytes()), _changed_ns(source))

    def claims(self, token: str, audience: str) -> Claims:
        """Return what `token` says to `audience`.  Raises `NotVouched`."""
        key = self._key(jwt.get_unverified_header(token).get("kid"))
        try:
            claims: Claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["iss", "aud", "exp", "sub"], "verify_iat": False},
            )
        except ExpiredSignatureError:
            raise Expired("the token has expired: fetch a new one") from None
        except (PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise NotVouched(f"not a token of {self._name}: {error}") from None
        return claims

    def _key(self, kid: object) -> jwt.PyJWK:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        key = self._keys.get(str(kid or ""))
        if key is None:
            self.wanted.set()
            raise UnknownKey(f"the key {str(kid)[:64]!r} of {self._name} is not known yet")
        return key

    # -- where they come from

    async def keep_fresh(self) -> None:
        """Read the key set whenever that is due, until cancelled; failures are logged."""
        is_file = isinstance(self._source, Path)
        why = ""
        while True:
            try:
                await self.read()
            except (ValueError, OSError, Unreachable) as error:
                if str(error) != why:
                    why = str(error)
                    log.warning("keys not read", issuer=self._name, why=why)
            else:
                why = ""
            await trio.sleep(FILE_LOOK_S if is_file else WANTED_PAUSE_S)
            with trio.move_on_after(0 if is_file or not self._keys else REFRESH_S):
                await self.wanted.wait()

    async def read(self) -> None:
        """Read the key set now.  Raises `ValueError`, `OSError`, `Unreachable`."""
        source = self._source
        self.wanted = trio.Event()
        if isinstance(source, Path):
            changed_ns = _changed_ns(source)
            if changed_ns != self._changed_ns:
                data = await trio.to_thread.run_sync(source.read_bytes)
                self._take(await trio.to_thread.run_sync(read_keys, data), changed_ns)
            return
        if isinstance(source, Provider):
            await source.refresh()
            url = (await source.known()).jwks_uri
        else:
            url = source
        data = await self._fetcher.get(url)
        self._take(await trio.to_thread.run_sync(read_keys, data))

    def _take(self, keys: Keys, changed_ns: int = 0) -> None:
        if keys.keys() != self._keys.keys():
            log.info("keys read", issuer=self._name, keys=sorted(keys))
        self._keys, self._changed_ns = keys, changed_ns


def _changed_ns(source: Path) -> int:
    try:
        return source.stat().st_mtime_ns
    except OSError:
        return 0
