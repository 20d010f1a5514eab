"""A browser without a screen, for desks that are called without sockets: it keeps cookies."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import jwt

from node.desk.application import Desk
from node.edge.http import Request, Response
from node.issuers.config import ClientCredentials, GroupRule, IssuerConfig, LoginConfig
from tests.node.desk.office import Office, office
from tests.node.issuers.party import KEY as PROVIDER_KEY
from tests.node.issuers.party import Party, party

REDIRECT = "http://127.0.0.1:7101/v1/login/corp/callback"
CONSOLE = "https://console.acme.example/signed-in"


@dataclass
class Browser:
    """Asks desks, and keeps what they set."""

    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"

    async def ask(
        self, desk: Desk, target: str, *, method: str = "GET", body: bytes = b"", peer: str = ""
    ) -> Response:
        path, _, query = target.partition("?")
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [(b"accept-language", self.language.encode())]
        if jar:
            headers.append((b"cookie", jar.encode()))
        request = Request(method, path, query, tuple(headers), body, peer or "127.0.0.1:9")
        answer = desk.on_request(request)
        while callable(answer):
            answer = await answer()
        assert isinstance(answer, Response)
        for name, value in answer.headers:
            if name == "Set-Cookie":
                cookie, _, kept = value.partition("=")
                self.cookies[cookie] = kept.partition(";")[0]
        return answer

    async def begin(self, desk: Desk, query: str = "") -> dict[str, str]:
        """Begin a login; return what the provider is asked."""
        answer = await self.ask(desk, "/v1/login/corp" + (f"?{query}" if query else ""))
        assert answer.status == 302, answer.body
        return dict(parse_qsl(urlsplit(header(answer, "Location")).query))


def header(answer: Response, name: str) -> str:
    return dict(answer.headers)[name]


def words(answer: Response) -> str:
    """What a person reads of a page."""
    return re.sub(r"<[^>]+>", " ", answer.body.decode())


def corp(one: Party, **changes: Any) -> IssuerConfig:
    client = ClientCredentials("desk", "s3cret")
    login = LoginConfig(client, REDIRECT, return_to=(CONSOLE,))
    login = replace(login, **changes.pop("login", {}))
    groups = (GroupRule("desk", "agent", {"refund": 3}, 4), GroupRule("leads", "supervisor"))
    config = IssuerConfig("corp", one.url, "", None, ("agent", "supervisor"), groups=groups)
    return replace(config, login=login, **changes)


@asynccontextmanager
async def company(**changes: Any) -> AsyncIterator[tuple[Office, Party]]:
    """Two desks whose people log in with a provider of a test's own."""
    async with party() as one:
        one.describe()
        async with office(issuers=(corp(one, **changes),)) as desks:
            yield desks, one


def id_token(one: Party, asked: dict[str, str], key: Any = PROVIDER_KEY, **changes: Any) -> str:
    claims = {
        "iss": one.url,
        "aud": "desk",
        "sub": "ada",
        "exp": int(time.time()) + 300,
        "nonce": asked["nonce"],
        "name": "Ada",
        "groups": ["desk"],
    } | changes
    made = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(made, key, algorithm="ES256", headers={"kid": changes.get("kid", "ec")})


async def finish(
    browser: Browser, desk: Desk, asked: dict[str, str], code: str = "c0de", **more: str
) -> Response:
    fields = {"code": code, "state": asked["state"], **more}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return await browser.ask(desk, f"/v1/login/corp/callback?{query}")
