"""Tokens: who somebody is, signed with the cluster's key.  No I/O.

    claim    meaning
    iss      "unidesk"
    aud      the cluster's id: a token of another cluster is worth nothing here; ID/pages of one
             that reads what nodes say of themselves, and does nothing else
    sub      the principal's id; a visitor and an agent of one id are two principals
    role     visitor | agent | supervisor | operator | service
    exp      end of its life, seconds UTC; nbf, its beginning, when given
    iat, jti when it was issued, and its own name: what revokes it (`cluster.state.tokens`)
    name     as others will see it
    skills   {skill: level}, agents only
    langs    languages spoken, agents only
    cap      conversations at once, agents only

Of the cluster's own, only HS256 is accepted, whatever the token's head says; other issuers are
those of `node.issuers`.  Verifying reads the system's clock.

    the token is                    judged by
    a JWT whose `iss` is known      that issuer, at once or by asking it
    any other JWT                   the cluster's own key
    no JWT, but of RFC 6750's form  the introspecting issuer whose prefix it has, the longest
                                    first; the one without a prefix where none fits

Source: RFC 7519; RFC 8725 (best practices), sections 3.1, 3.8 and 3.9; RFC 6750, section 2.1.
"""

import json
import re
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import jwt
import msgspec
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAlgorithmError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    MissingRequiredClaimError,
)

from cluster.state.commands import By
from node.issuers import Claims, Expired, Issuer, NotVouched, Unasked, UnknownKey
from node.protocol.catalogue import Role
from node.protocol.refusals import Rule

ISSUER = "unidesk"
ALGORITHM = "HS256"
KEY_BYTES_MIN = 16
TOKEN_CHARACTERS_MAX = 8 * 1024
EXP_MAX = 2**53
LEEWAY_S = 5
"""Clocks of those who mint and of this node may differ by as much."""
CAPACITY_DEFAULT = 1
DAY_S = 86_400
PAGES = "pages"
"""Who reads what nodes say of themselves: a name of its own, so that nobody else's pace is its."""
_HMAC_BYTES = 32
_NO_SKILLS: dict[str, int] = {}
"""One for all who have none; nobody writes into a principal's skills."""
_OPAQUE = re.compile(r"[A-Za-z0-9._~+/-]{8,}=*")
_JTI_BYTES = 16
_RULES: tuple[tuple[type[Exception], Rule], ...] = (
    (InvalidSignatureError, "token.signature"),
    (InvalidAlgorithmError, "token.signature"),
    (InvalidAudienceError, "token.audience"),
    (InvalidIssuerError, "token.issuer"),
    (ImmatureSignatureError, "token.not_yet"),
    (MissingRequiredClaimError, "token.claims"),
)
"""Which rule it was, by what PyJWT raises; for anything else it is `token.malformed`."""


class BadToken(Exception):
    """The token proves nothing; the message says why, and may be told to its bearer."""

    def __init__(self, message: str, rule: Rule = "token.malformed") -> None:
        super().__init__(message)
        self.rule: Rule = rule


class UndecidedToken(BadToken):
    """It may be good, and cannot be judged yet: the bearer should ask again in a moment."""


class UnaskedToken(UndecidedToken):
    """Its issuer has to be asked: `ask` returns the principal, or raises `BadToken`."""

    def __init__(self, message: str, ask: "Callable[[], Awaitable[Principal]]") -> None:
        super().__init__(message, "token.unknown_key")
        self.ask = ask


class BadClaims(ValueError):
    """No token says this; the message names the claim as a path: `$.name`."""


class ExpiredToken(BadToken):
    """It was good once: the bearer should fetch another."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: what a token proved."""

    role: Role
    id: str
    exp: int
    """Seconds UTC."""
    name: str = ""
    skills: dict[str, int] = field(default_factory=dict)
    capacity: int = CAPACITY_DEFAULT
    iat: int = 0
    """When the token was issued, seconds UTC; 0 when it does not say."""
    jti: str = ""
    langs: tuple[str, ...] = ()
    """Languages an agent speaks, as tags: `zh`, `en`."""

    @property
    def by(self) -> By:
        """As everybody sees them in an event."""
        return By(self.role, self.id, self.name)


class _Claims(msgspec.Struct):
    """The claims that PyJWT does not check, as they must be."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    role: Role
    exp: Annotated[int, msgspec.Meta(le=EXP_MAX)] | Annotated[float, msgspec.Meta(le=EXP_MAX)]
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    skills: Annotated[
        dict[
            Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
            Annotated[int, msgspec.Meta(ge=0, le=100)],
        ],
        msgspec.Meta(max_length=64),
    ] = {}
    cap: Annotated[int, msgspec.Meta(ge=1, le=1000)] = CAPACITY_DEFAULT
    iat: Annotated[int, msgspec.Meta(le=EXP_MAX)] | Annotated[float, msgspec.Meta(le=EXP_MAX)] = 0
    jti: Annotated[str, msgspec.Meta(max_length=256)] = ""
    langs: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=35)], ...],
        msgspec.Meta(max_length=32),
    ] = ()


def mint(
    key: bytes,
    cluster_id: str,
    *,
    role: Role,
    subject: str,
    ttl_s: int,
    name: str = "",
    skills: dict[str, int] | None = None,
    capacity: int | None = None,
    iat_s: int | None = None,
    jti: str = "",
    langs: Sequence[str] = (),
) -> str:
    """Return a token that is good for `ttl_s` seconds from `iat_s`, or now.

    Raises `BadClaims` for what no node would believe.
    """
    now = int(time.time()) if iat_s is None else iat_s
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": cluster_id,
        "sub": subject,
        "role": role,
        "iat": now,
        "exp": now + ttl_s,
        "jti": jti or new_jti(),
    }
    extra = {"name": name, "skills": skills, "cap": capacity, "langs": list(langs)}
    claims.update({claim: value for claim, value in extra.items() if value})
    try:
        _checked(claims)
    except msgspec.ValidationError as error:
        raise BadClaims(str(error)) from None
    return jwt.encode(claims, _hmac_key(key), algorithm=ALGORITHM)


def pass_for_pages(key: bytes, cluster_id: str, *, afresh: bool = False) -> str:
    """Return a token for reading what nodes say of themselves, by whoever has the cluster's key.

    It is good a day to either side of now: a node whose clock is wrong is to say so.  As it lives
    for so long, and also goes where there is no TLS, it opens no operation.

    One made `afresh` begins now: for where those of before were revoked, by whoever feared that
    one had been seen.  Whoever has the key may make it; a node whose clock is behind refuses it.
    """
    begins_s, life_s = int(time.time()) - (0 if afresh else DAY_S), 2 * DAY_S
    audience = _audience_of_pages(cluster_id)
    return mint(key, audience, role="operator", subject=PAGES, ttl_s=life_s, iat_s=begins_s)


def _audience_of_pages(cluster_id: str) -> str:
    return f"{cluster_id}/{PAGES}"  # no cluster's id: those have no slash


def new_jti() -> str:
    """Return a name for a token that no other has."""
    return secrets.token_hex(_JTI_BYTES)


def claimed(token: str) -> tuple[str, int]:
    """Return the `jti` and `exp` that a token claims, unproved: "" or 0 where it says none.

    Raises `BadToken` for what is no token at all.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise BadToken(f"token over {TOKEN_CHARACTERS_MAX} characters")
    try:
        said = jwt.decode(token, options={"verify_signature": False})
    except (InvalidTokenError, ValueError, RecursionError) as error:
        raise BadToken(f"not a token: {error}") from None
    jti, exp = said.get("jti"), said.get("exp")
    exp_s = int(exp) if isinstance(exp, int | float) and 0 < exp <= EXP_MAX else 0
    return (jti if isinstance(jti, str) else ""), exp_s


class Verifier:
    """Checks tokens for one cluster: its own, and those of the issuers it trusts."""

    __slots__ = ("_cluster_id", "_issuers", "_key", "_opaque")

    def __init__(self, key: bytes, cluster_id: str, issuers: Iterable[Issuer] = ()) -> None:
        issuers = tuple(issuers)
        self._key = _hmac_key(key)
        self._cluster_id = cluster_id
        by_judging = sorted(issuers, key=lambda one: one.config.judges)
        self._issuers = {one.config.issuer: one for one in by_judging}  # who judges, before others
        asked = [(one.config.introspection, one) for one in issuers]
        self._opaque = sorted(
            ((how.prefix, one) for how, one in asked if how is not None),
            key=lambda pair: -len(pair[0]),
        )

    def verify(self, token: str, *, for_pages: bool = False) -> Principal:
        """Return who `token` proves its bearer to be; `for_pages`, where it may be one for them.

        Raises `ExpiredToken`, `UndecidedToken`, `BadToken`; `UnaskedToken` where whoever can wait
        may ask.
        """
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise BadToken(f"token over {TOKEN_CHARACTERS_MAX} characters")
        with self._telling_why():
            return _principal(_checked(self._claims(token, for_pages=for_pages)))

    def verify_own(self, token: str) -> Principal:
        """Return who a token of the cluster's own key proves its bearer to be.

        Raises `ExpiredToken`, `BadToken`; the latter for tokens of all other issuers.
        """
        with self._telling_why():
            return _principal(_checked(self._own(token)))

    async def _ask(self, question: Unasked) -> Principal:
        """Return whom the issuer says it is.  Raises `BadToken`."""
        with self._telling_why():
            return _principal(_checked(await question.ask()))

    @contextmanager
    def _telling_why(self) -> Iterator[None]:
        """Raise a `BadToken` for every way in which a token proves nothing."""
        try:
            yield
        except Unasked as question:
            raise UnaskedToken(str(question), partial(self._ask, question)) from None
        except (ExpiredSignatureError, Expired):
            message = "the token has expired: fetch a new one"
            raise ExpiredToken(message, "token.expired") from None
        except UnknownKey as error:
            raise UndecidedToken(str(error), "token.unknown_key") from None
        except NotVouched as error:
            raise BadToken(str(error), "token.issuer") from None
        except msgspec.ValidationError as error:
            message = f"a claim is not what it must be: {error}"
            raise BadToken(message, "token.claims") from None
        except (InvalidTokenError, ValueError, OverflowError, RecursionError) as error:
            raise BadToken(f"not a token of this cluster: {error}", _rule_of(error)) from None

    def _claims(self, token: str, *, for_pages: bool) -> Claims:
        """Return what `token` says, once it is proved."""
        issuer = self._issuer_of(token) if self._issuers else None
        return self._own(token, for_pages=for_pages) if issuer is None else issuer.claims(token)

    def _issuer_of(self, token: str) -> Issuer | None:
        """Return whose token it claims to be; None: the cluster's own, if anybody's."""
        said = _issuer_in(token)
        if said is not None:
            return self._issuers.get(said)
        if _OPAQUE.fullmatch(token) is None:
            return None
        fitting = (one for prefix, one in self._opaque if token.startswith(prefix))
        return next(fitting, None)

    def _own(self, token: str, *, for_pages: bool = False) -> Claims:
        """Return what a token of the cluster's own key says."""
        also = [_audience_of_pages(self._cluster_id)] if for_pages else []
        decoded: Claims = jwt.decode(
            token,
            self._key,
            algorithms=[ALGORITHM],
            audience=[self._cluster_id, *also],
            issuer=ISSUER,
            leeway=LEEWAY_S,
            # A node whose clock is late must not send people away for good: `iat` only says
            # when a token was made (RFC 7519, 4.1.6), `nbf` is what bars an early one.
            options={"require": ["iss", "aud", "exp", "sub", "role"], "verify_iat": False},
        )
        return decoded


def _rule_of(error: Exception) -> Rule:
    return next((rule for kind, rule in _RULES if isinstance(error, kind)), "token.malformed")


def principal_of(claims: Claims) -> Principal:
    """Return whom claims name that were proved elsewhere.  Raises `BadToken`."""
    try:
        return _principal(_checked(claims))
    except msgspec.ValidationError as error:
        message = f"a claim is not what it must be: {error}"
        raise BadToken(message, "token.claims") from None


def _principal(claims: _Claims) -> Principal:
    return Principal(
        role=claims.role,
        id=claims.sub,
        exp=int(claims.exp),
        name=claims.name,
        skills=claims.skills or _NO_SKILLS,
        capacity=claims.cap,
        iat=max(0, int(claims.iat)),
        jti=claims.jti,
        langs=claims.langs,
    )


def _checked(claims: dict[str, Any]) -> _Claims:
    """Return the claims.  Raises `msgspec.ValidationError`."""
    found = msgspec.convert(claims, _Claims)
    texts = {"sub": found.sub, "name": found.name, "skills": "".join(found.skills)}
    texts |= {"jti": found.jti, "langs": "".join(found.langs)}
    for claim, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can say half a character, and nothing else can
            raise msgspec.ValidationError(f"half a character - at `$.{claim}`") from None
    return found


def _hmac_key(key: bytes) -> bytes:
    """Return `key`, padded as HMAC itself pads: the same signature, and no advice on its length."""
    assert len(key) >= KEY_BYTES_MIN
    return key.ljust(_HMAC_BYTES, b"\0")


def _issuer_in(token: str) -> str | None:
    """Return the `iss` that a JWT claims, unproved; None for what is no JWT.

    It only says whom to ask: whoever is asked looks at `iss` again, behind the signature.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        said = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    iss = said.get("iss") if isinstance(said, dict) else None
    return iss if isinstance(iss, str) else ""
