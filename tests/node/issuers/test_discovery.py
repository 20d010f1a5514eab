"""An issuer of which only the name is known: it is found, checked, and kept while it is away."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from node.auth import BadToken, UndecidedToken, Verifier
from node.client.http import Unreachable
from node.issuers import Issuer, IssuerConfig, fetching, keys, provider
from node.issuers.fetching import Fetcher, check_url
from node.issuers.metadata import metadata_url, read_metadata
from tests.node.desk.office import KEY
from tests.node.issuers.party import Party, party

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once; how long an answer may take stays as it is, for a machine may be busy."""
    monkeypatch.setattr(fetching, "FETCH_S", PATIENCE_S)
    monkeypatch.setattr(provider, "PAUSE_S", 0.01)
    monkeypatch.setattr(keys, "WANTED_PAUSE_S", 0.01)


def config(one: Party, **changes: Any) -> IssuerConfig:
    return IssuerConfig("corp", one.url, "unidesk", None, ("agent",), "agent", **changes)


@asynccontextmanager
async def kept(issuer: Issuer) -> AsyncIterator[Verifier]:
    """Keep an issuer's keys fresh."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(issuer.keep_fresh)
        yield Verifier(KEY, "demo", [issuer])
        nursery.cancel_scope.cancel()


async def until_decided(verifier: Verifier, token: str) -> str:
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return verifier.verify(token).id
            except UndecidedToken:
                await trio.sleep(0.01)


async def test_the_issuer_alone_leads_to_its_keys() -> None:
    async with party() as one:
        one.describe()
        issuer = Issuer(config(one))
        async with kept(issuer) as verifier:
            assert await until_decided(verifier, one.token()) == "ada"
            with pytest.raises(BadToken, match="not a token of corp"):
                verifier.verify(one.token(aud="another"))
        assert [asked.path for asked in one.asked[:2]] == [
            "/.well-known/openid-configuration",
            "/keys",
        ]


async def test_a_provider_that_comes_later_or_goes_away_is_waited_for() -> None:
    async with party() as one:
        issuer = Issuer(config(one))
        async with kept(issuer) as verifier:
            with pytest.raises(UndecidedToken):
                verifier.verify(one.token())
            await trio.sleep(0.1)
            with pytest.raises(UndecidedToken):
                verifier.verify(one.token())
            one.describe()
            assert await until_decided(verifier, one.token()) == "ada"
            one.pages.clear()
            asked = len(one.asked)
            with trio.fail_after(PATIENCE_S):
                while len(one.asked) == asked:  # until it was asked again, in vain
                    with pytest.raises(UndecidedToken):
                        verifier.verify(one.token(kid="other"))
                    await trio.sleep(0.01)
            assert verifier.verify(one.token()).id == "ada"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "https://evil.example"}, "it is that of 'https://evil.example'"),
        ({"issuer": "http://127.0.0.1/"}, "it is that of"),
        ({"jwks_uri": "http://login.acme.example/keys"}, "jwks_uri: .* unprotected"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"token_endpoint": "http://169.254.169.254/"}, "token_endpoint: .* unprotected"),
        ({"jwks_uri": 7}, "not the metadata"),
    ],
)
async def test_metadata_that_may_not_be_believed_is_named(changes: Any, why: str) -> None:
    async with party() as one:
        one.describe(**changes)
        issuer = Issuer(config(one))
        with pytest.raises(Unreachable, match=why):
            await issuer.provider.known()
        assert one.count("/keys") == 0
        await issuer.fetcher.aclose()


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"issuer": "x"}'])
def test_nonsense_is_no_metadata(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the metadata"):
        read_metadata(data, "x")


async def _hang(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _drip(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.02)


async def _flood(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b" " * 5_000_000)


SMALL = gzip.compress(b" " * 20_000_000, compresslevel=1)


async def _unfold(stream: trio.SocketStream) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(SMALL)
    await stream.send_all(head + SMALL)


async def _move(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\n\r\n")


async def _babble(stream: trio.SocketStream) -> None:
    await stream.send_all(b"no HTTP at all\r\n\r\n")


async def _break(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{")


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (_flood, "over 262144 bytes"),
        (_unfold, "not the metadata"),
        (_move, "answered 302"),
        (_babble, "http"),
        (_break, "http"),
        (500, "answered 500"),
    ],
)
async def test_a_provider_that_misbehaves_costs_little(page: Any, why: str) -> None:
    await known_in_vain(page, why)


@pytest.mark.parametrize("page", [_hang, _drip])
async def test_a_provider_that_does_not_come_to_an_end_is_given_up(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.3)
    await known_in_vain(page, "no answer within 0.3 s")


async def known_in_vain(page: Any, why: str) -> None:
    """Ask a provider that serves `page` what it is; it is not told, because of `why`."""
    async with party() as one:
        one.pages["/.well-known/openid-configuration"] = page
        issuer = Issuer(config(one))
        with trio.fail_after(PATIENCE_S), pytest.raises(Unreachable, match=why):
            await issuer.provider.known()
        await issuer.fetcher.aclose()


async def test_who_needs_it_at_the_same_time_waits_for_one_request() -> None:
    async with party() as one:
        one.describe()
        issuer = Issuer(config(one))
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(issuer.provider.known)
        assert one.count("/.well-known/openid-configuration") == 1
        await issuer.fetcher.aclose()


async def test_nobody_there_is_said_in_words() -> None:
    fetcher = Fetcher()
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1/: "):
        await fetcher.get("http://127.0.0.1:1/")
    with pytest.raises(Unreachable, match="unprotected"):
        await fetcher.get("http://login.acme.example/")
    await fetcher.aclose()


@pytest.mark.parametrize("url", ["https://a.example/x", "http://127.0.0.1:9/", "http://[::1]/"])
def test_what_is_protected_or_stays_here_may_be_asked(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url", ["http://a.example/", "ws://127.0.0.1/", "ftp://a/", "", "https://", "http://0.0.0.0/"]
)
def test_anything_else_may_not(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_url(url)


def test_the_slash_at_the_end_of_an_issuer_is_not_doubled() -> None:
    assert metadata_url("https://a.example/r/") == metadata_url("https://a.example/r")
