"""One issuer: its proof of a token, then what its claims mean here.  Reads files, talks HTTP.

token ─▶ key set | shared secret | introspection ─▶ claims ─▶ mapping ─▶ id, role, skills, cap
"""

from functools import partial

import trio

from node.client.http import Unreachable
from node.issuers.config import IssuerConfig
from node.issuers.failures import Claims, NotVouched, Unasked
from node.issuers.fetching import Fetcher
from node.issuers.introspection import Introspection
from node.issuers.keys import KeySet
from node.issuers.mapping import mapped
from node.issuers.provider import Provider
from node.issuers.secret import SharedSecret


class Issuer:
    """One issuer and what it needs to prove its tokens."""

    def __init__(self, config: IssuerConfig) -> None:
        """Reads files at once; `keep_fresh` asks whom it has to ask."""
        self.config = config
        self.fetcher = Fetcher()
        self.provider = Provider(config.name, config.issuer, self.fetcher)
        self.keys: KeySet | None = None
        """None where nothing of it is signed with a private key."""
        self._secret: SharedSecret | None = None
        self._introspection: Introspection | None = None
        if config.introspection is not None:
            self._introspection = Introspection(config, self.fetcher, self._introspection_url)
        if config.secret is not None:
            self._secret = SharedSecret(config.name, config.issuer, config.secret)
        elif config.introspection is None or config.login is not None:
            source = self.provider if config.keys is None else config.keys
            self.keys = KeySet(config.name, config.issuer, source, self.fetcher)

    def claims(self, token: str) -> Claims:
        """Return what `token` says, its `role` as this cluster's.

        Raises `NotVouched`; `Unasked` when it has to be asked first.
        """
        return mapped(self.config, self._proved(token))

    def _proved(self, token: str) -> Claims:
        if self._introspection is not None:
            try:
                return self._introspection.claims(token)
            except Unasked as question:
                raise Unasked(str(question), partial(self._asked, question)) from None
        if not self.config.audience:
            name = self.config.name
            raise NotVouched(f"[auth.{name}] has no audience: its tokens open nothing; log in")
        if self._secret is not None:
            return self._secret.claims(token, self.config.audience)
        assert self.keys is not None
        return self.keys.claims(token, self.config.audience)

    async def _asked(self, question: Unasked) -> Claims:
        return mapped(self.config, await question.ask())

    async def _introspection_url(self) -> str:
        asks = self.config.introspection
        assert asks is not None
        if asks.url:
            return asks.url
        url = (await self.provider.known()).introspection_endpoint
        if not url:
            raise Unreachable(f"{self.config.issuer} names no introspection_endpoint")
        return url

    async def keep_fresh(self) -> None:
        """Read keys and secrets whenever that is due, until cancelled; failures are logged."""
        try:
            async with trio.open_nursery() as nursery:
                if self.keys is not None:
                    nursery.start_soon(self.keys.keep_fresh)
                if self._secret is not None:
                    nursery.start_soon(self._secret.keep_fresh)
                nursery.start_soon(trio.sleep_forever)
        finally:
            with trio.CancelScope(shield=True):
                await self.fetcher.aclose()
