"""Tokens that only their issuer can judge, judged by asking it.  Talks HTTP.

    token ─┬─ known                             yes or no, at once
           └─ not known ─┬─ nobody asks yet     ask, within a deadline
                         ├─ somebody asks       wait for the same answer
                         └─ too many ask        nobody can say now: come again

    the answer          counts for
    active              `cache`, but not beyond its `exp`
    not active          NO_S
    none, or nonsense   nothing: never a yes, never a lasting no

Tokens are kept as their hashes.  An answer without `exp` is good for UNDATED_S, after which a live
connection has to renew, so that the issuer is asked again.

Source: RFC 7662, sections 2.1, 2.2 and 4.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
import trio

from node.client.http import Unreachable
from node.issuers.config import IssuerConfig
from node.issuers.credentials import proved
from node.issuers.failures import Claims, Expired, NotVouched, Unasked, UnknownKey
from node.issuers.fetching import Fetcher
from node.issuers.keys import LEEWAY_S

KNOWN_MAX = 10_000
ASKING_MAX = 256
"""Different tokens asked about at once, most of them waiting for a connection."""
NO_S = 5.0
UNDATED_S = 300

Seconds = (
    Annotated[int, msgspec.Meta(ge=0, le=2**53)] | Annotated[float, msgspec.Meta(ge=0, le=2**53)]
)


class _Judged(msgspec.Struct):
    """The part of an answer that counts here."""

    active: bool
    exp: Seconds | None = None
    nbf: Seconds | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    scope: str = ""


class _Question:
    """One that is being asked; others wait for its answer."""

    __slots__ = ("failed", "settled")

    def __init__(self) -> None:
        self.settled = trio.Event()
        self.failed: str | None = None


class Introspection:
    """What one issuer said of tokens lately."""

    def __init__(
        self,
        config: IssuerConfig,
        fetcher: Fetcher,
        endpoint: Callable[[], Awaitable[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`endpoint` finds out where to ask; may raise `Unreachable`."""
        assert config.introspection is not None
        self._config = config
        self._asks = config.introspection
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._clock = clock
        self._known: dict[bytes, tuple[float, Claims | NotVouched]] = {}
        """Until when, UTC, and what it said.  The oldest first."""
        self._asking: dict[bytes, _Question] = {}

    def claims(self, token: str) -> Claims:
        """Return what the issuer said of `token` lately.  Raises `NotVouched`, `Unasked`."""
        found = self._lately(_digest(token))
        if found is None:
            why = f"{self._config.name} has to be asked about this token"
            raise Unasked(why, partial(self._ask, token))
        return found

    def _lately(self, digest: bytes) -> Claims | None:
        known = self._known.get(digest)
        if known is None:
            return None
        until, said = known
        if until <= self._clock():
            del self._known[digest]
            return None
        if isinstance(said, NotVouched):
            raise type(said)(str(said))
        return said

    async def _ask(self, token: str) -> Claims:
        """Return what the issuer says of `token`.  Raises `NotVouched`, `UnknownKey`."""
        digest = _digest(token)
        while (found := self._lately(digest)) is None:
            question = self._asking.get(digest)
            if question is None:
                return await self._ask_first(token, digest)
            await question.settled.wait()
            if question.failed is not None:  # else it is known now, or whoever asked has left
                raise UnknownKey(question.failed)
        return found

    async def _ask_first(self, token: str, digest: bytes) -> Claims:
        name = self._config.name
        if len(self._asking) >= ASKING_MAX:
            raise UnknownKey(f"{name} is asked about too many tokens: come again")
        self._asking[digest] = question = _Question()
        try:
            claims = self._judged(await self._answer(token))
        except Unreachable as error:
            question.failed = f"{name} does not answer: {error}"
            raise UnknownKey(question.failed) from None
        except NotVouched as no:
            self._keep(digest, self._clock() + NO_S, no)
            raise
        finally:
            del self._asking[digest]
            question.settled.set()
        self._keep(digest, min(claims["exp"], self._clock() + self._asks.cache_s), claims)
        return claims

    async def _answer(self, token: str) -> bytes:
        url = await self._endpoint()
        fields = {"token": token, "token_type_hint": "access_token"}
        form, headers = proved(self._asks.client, fields)
        answer = await self._fetcher.post(url, form, headers)
        if answer.status != 200:
            raise Unreachable(f"{url}: answered {answer.status}")
        return answer.body

    def _judged(self, data: bytes) -> Claims:
        """Return the claims of an answer.  Raises `NotVouched`; `Unreachable` for nonsense."""
        name, now = self._config.name, self._clock()
        try:
            claims: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
            found = msgspec.convert(claims, _Judged)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreachable(f"not an answer of RFC 7662: {error}") from None
        if not found.active:
            raise NotVouched(f"{name} says that the token is not active")
        if found.exp is not None and found.exp <= now - LEEWAY_S:
            raise Expired("the token has expired: fetch a new one")
        if found.nbf is not None and found.nbf > now + LEEWAY_S:
            raise NotVouched(f"{name} says that the token is not active yet")
        if found.iss not in (None, self._config.issuer):
            raise NotVouched(f"{name} says that the token is another issuer's")
        self._check_meant_for_us(found)
        return {**claims, "exp": now + UNDATED_S if found.exp is None else found.exp}

    def _check_meant_for_us(self, found: _Judged) -> None:
        name, audience, scope = self._config.name, self._config.audience, self._asks.scope
        audiences = [found.aud] if isinstance(found.aud, str) else found.aud or []
        if audience and audience not in audiences:
            raise NotVouched(f"[auth.{name}] audience: the token is not for {audience}")
        if scope and scope not in found.scope.split():
            raise NotVouched(f"[auth.{name}] scope: the token's does not hold {scope}")

    def _keep(self, digest: bytes, until: float, said: Claims | NotVouched) -> None:
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[digest] = (until, said)


def _digest(token: str) -> bytes:
    """Return what stands for a token where it is kept."""
    return hashlib.sha256(token.encode()).digest()
