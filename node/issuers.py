"""Whose tokens count besides those of the cluster's own key: a company's own issuers.  Reads key
sets from files or by HTTP.

    [auth.corp]                                        what it means
    issuer = "https://login.acme.example/desk"         the token's `iss`
    audience = "unidesk"                               its `aud`
    keys = "corp.jwks.json"                            public keys: a file, or an https:// URL
    roles = ["agent", "supervisor"]                    what it may vouch for, and nothing else
    role = "agent" | role_claim = "realm_access.roles" everybody's role, or where the token says it

A key set is read anew when the file changes, every REFRESH_S, and soon after a token named a key
that is not in it: that is how issuers rotate.  While it cannot be had, the last one counts.

Only signatures by private keys count (RS256, ES256, PS256, EdDSA): a public key is no secret that
could sign.

Source: RFC 7517 (key sets), RFC 7519, RFC 8725 sections 3.1 and 3.2; OpenID Connect Core, 10.1.1.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import jwt
import structlog
import trio
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from node.client.address import Address
from node.client.http import Unreachable, get
from node.protocol.catalogue import Role

Algorithm = Literal["RS256", "ES256", "PS256", "EdDSA"]
ALGORITHMS = get_args(Algorithm)
KEY_SET_BYTES_MAX = 256 * 1024
KEYS_MAX = 64
REFRESH_S = 300.0
FILE_LOOK_S = 5.0
WANTED_PAUSE_S = 10.0
"""Between two attempts for the sake of keys that are not known: tokens of nobody are cheap."""
FETCH_S = 5.0
LEEWAY_S = 5

log = structlog.get_logger(__name__)


class NotVouched(Exception):
    """The token is not one of this issuer's that counts; the message says why."""


class Expired(NotVouched):
    """It was good once."""


class UnknownKey(NotVouched):
    """It may be good: its key is not known here yet."""


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    """What `node.toml` says of one issuer."""

    name: str
    issuer: str
    audience: str
    keys: Path | str
    """A file, or a URL."""
    roles: tuple[Role, ...]
    role: Role | None = None
    role_claim: str = ""
    """Dots lead into maps; the value is a role, or a list with one."""


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


class Issuer:
    """One issuer and its present keys."""

    def __init__(self, config: IssuerConfig) -> None:
        """Reads a file at once; a URL is asked by `keep_fresh`."""
        self.config = config
        self.wanted = trio.Event()
        """Set when a token named a key that is not known."""
        self._keys: Keys = {}
        self._changed_ns = -1
        if isinstance(config.keys, Path):
            with contextlib.suppress(OSError, ValueError):  # `keep_fresh` says why, and tries again
                self._take(config.keys.read_bytes(), _changed_ns(config.keys))

    def claims(self, token: str) -> dict[str, Any]:
        """Return what `token` says, its `role` as this cluster's.  Raises `NotVouched`."""
        key = self._key(jwt.get_unverified_header(token).get("kid"))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=self.config.audience,
                issuer=self.config.issuer,
                leeway=LEEWAY_S,
                options={"require": ["iss", "aud", "exp", "sub"], "verify_iat": False},
            )
        except ExpiredSignatureError:
            raise Expired("the token has expired: fetch a new one") from None
        except (PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise NotVouched(f"not a token of {self.config.name}: {error}") from None
        return claims | {"role": self._role(claims)}

    def _key(self, kid: object) -> jwt.PyJWK:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        key = self._keys.get(str(kid or ""))
        if key is None:
            self.wanted.set()
            raise UnknownKey(f"the key {str(kid)[:64]!r} of {self.config.name} is not known yet")
        return key

    def _role(self, claims: dict[str, Any]) -> Role:
        config = self.config
        if config.role is not None:
            return config.role
        value: Any = claims
        for part in config.role_claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        said = value if isinstance(value, list) else [value]
        for role in config.roles:  # in the order of the file: whoever has two gets the first
            if role in said:
                return role
        vouched = ", ".join(config.roles)
        raise NotVouched(f"{config.name} vouches for {vouched}; {config.role_claim} says none")

    # -- keys

    async def keep_fresh(self) -> None:
        """Read the key set whenever that is due, until cancelled; failures are logged."""
        why = ""
        while True:
            try:
                await self._read()
            except (ValueError, OSError, Unreachable) as error:
                if str(error) != why:
                    why = str(error)
                    log.warning("keys not read", issuer=self.config.name, why=why)
            else:
                why = ""
            await trio.sleep(WANTED_PAUSE_S if isinstance(self.config.keys, str) else FILE_LOOK_S)
            with trio.move_on_after(REFRESH_S if isinstance(self.config.keys, str) else 0):
                await self.wanted.wait()

    async def _read(self) -> None:
        source = self.config.keys
        self.wanted = trio.Event()
        if isinstance(source, Path):
            changed_ns = _changed_ns(source)
            if changed_ns != self._changed_ns:
                self._take(await trio.to_thread.run_sync(source.read_bytes), changed_ns)
            return
        address = Address.parse(source)
        answer = await get(address, address.path, timeout_s=FETCH_S)
        if answer.status != 200:
            raise Unreachable(f"{source}: answered {answer.status}")
        self._take(answer.body)

    def _take(self, data: bytes, changed_ns: int = 0) -> None:
        keys = read_keys(data)
        if keys.keys() != self._keys.keys():
            log.info("keys read", issuer=self.config.name, keys=sorted(keys))
        self._keys, self._changed_ns = keys, changed_ns


def _changed_ns(source: Path | str) -> int:
    try:
        return source.stat().st_mtime_ns if isinstance(source, Path) else 0
    except OSError:
        return 0
