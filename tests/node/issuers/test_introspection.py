"""Tokens that say nothing by themselves: their issuer is asked, once, and never for long."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from node.auth import BadToken, ExpiredToken, Principal, UnaskedToken, UndecidedToken, Verifier
from node.issuers import Issuer, IssuerConfig, fetching, introspection
from node.issuers.config import ClientCredentials, IntrospectionConfig
from tests.node.desk.office import KEY
from tests.node.issuers.party import Page, Party, party

TOKEN = "opaque-token-of-corp"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 1.0)


def active(**more: Any) -> dict[str, Any]:
    told = {"active": True, "sub": "ada", "exp": int(time.time()) + 86_400, "aud": "unidesk"} | more
    return {name: value for name, value in told.items() if value is not None}


def issuer(one: Party, *, prefix: str = "", scope: str = "", **changes: Any) -> Issuer:
    asks = IntrospectionConfig(
        changes.pop("url", f"{one.url}/introspect"),
        ClientCredentials("desk", "s3cret:%"),
        scope,
        prefix,
        changes.pop("cache_s", 10.0),
    )
    fields: dict[str, Any] = {"roles": ("agent",), "role": "agent", "introspection": asks} | changes
    return Issuer(IssuerConfig(fields.pop("name", "corp"), one.url, "unidesk", None, **fields))


@asynccontextmanager
async def asking(page: Page | None = None, **changes: Any) -> AsyncIterator[tuple[Party, Verifier]]:
    async with party() as one:
        one.describe()
        one.pages["/introspect"] = active() if page is None else page
        corp = issuer(one, **changes)
        yield one, Verifier(KEY, "demo", [corp])
        await corp.fetcher.aclose()


async def ask(verifier: Verifier, token: str = TOKEN) -> Principal:
    """What a caller who can wait does."""
    try:
        return verifier.verify(token)
    except UnaskedToken as question:
        return await question.ask()


async def test_the_issuer_is_asked_as_this_client_and_its_yes_counts_for_a_while() -> None:
    async with asking() as (one, verifier):
        with pytest.raises(UndecidedToken, match="has to be asked"):
            verifier.verify(TOKEN)
        assert (await ask(verifier)).id == "ada"
        assert verifier.verify(TOKEN).role == "agent", "without waiting, once it is known"
        (asked,) = one.asked
        assert asked.form == {"token": TOKEN, "token_type_hint": "access_token"}
        told = base64.b64decode(asked.headers["authorization"].removeprefix("Basic "))
        assert told == b"desk:s3cret%3A%25"


async def test_where_to_ask_may_be_discovered() -> None:
    async with asking(url="") as (one, verifier):
        assert (await ask(verifier)).id == "ada"
        assert one.count("/.well-known/openid-configuration") == 1


async def test_a_yes_is_not_kept_beyond_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(cache_s=0.05) as (one, verifier):
        await ask(verifier)
        await trio.sleep(0.06)
        one.pages["/introspect"] = {"active": False}
        with pytest.raises(BadToken, match="not active"):
            await ask(verifier)
        monkeypatch.setattr(introspection, "NO_S", 0.05)
        with pytest.raises(BadToken, match="not active"):
            verifier.verify(TOKEN)
        assert one.count("/introspect") == 2, "a no is kept too, for a moment"


async def test_many_who_bring_the_same_token_ask_once() -> None:
    async with asking() as (one, verifier), trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask, verifier)
    assert one.count("/introspect") == 1


async def test_when_whoever_asked_leaves_another_asks() -> None:
    gate = trio.Event()

    async def hold(stream: trio.SocketStream) -> None:
        await gate.wait()

    async with asking(hold) as (one, verifier), trio.open_nursery() as nursery:
        leaving = trio.CancelScope()

        async def first() -> None:
            with leaving:
                await ask(verifier)

        nursery.start_soon(first)
        while not one.asked:
            await trio.sleep(0.005)
        nursery.start_soon(ask, verifier)
        await trio.sleep(0.02)
        one.pages["/introspect"] = active()
        leaving.cancel()
    assert one.count("/introspect") == 2


async def test_a_failure_is_told_to_all_who_wait_and_to_nobody_after() -> None:
    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep(30)

    async with asking(hang) as (one, verifier):
        heard: list[str] = []

        async def fail() -> None:
            with pytest.raises(UndecidedToken) as failure:
                await ask(verifier)
            heard.append(str(failure.value))

        with trio.fail_after(15):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(fail)
        assert len(heard) == 20
        assert "no answer within 1 s" in heard[0]
        assert one.count("/introspect") == 1
        one.pages["/introspect"] = active()
        assert (await ask(verifier)).id == "ada"


@pytest.mark.parametrize(
    "page",
    [
        500,
        401,
        404,
        b"",
        b"[]",
        b"yes",
        b'{"active": "yes"}',
        b"[" * 99_999,
        b'{"active": 1}',
        b"\xff",
    ],
)
async def test_no_answer_is_never_a_yes_and_never_a_lasting_no(page: Page) -> None:
    async with asking(page) as (one, verifier):
        with pytest.raises(UndecidedToken, match="does not answer"):
            await ask(verifier)
        one.pages["/introspect"] = active()
        assert (await ask(verifier)).id == "ada"


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ({"active": False}, "not active"),
        (active(nbf=int(time.time()) + 86_400), "not active yet"),
        (active(iss="https://evil.example"), "another issuer's"),
        (active(aud="another"), r"\[auth.corp\] audience"),
        (active(aud=None), r"\[auth.corp\] audience"),
        (active(aud=["a", "b"]), r"\[auth.corp\] audience"),
        (active(scope="other"), r"\[auth.corp\] scope"),
        (active(scope="desktop"), r"\[auth.corp\] scope"),
        (active(scope="desk", sub=None), "id_claim"),
        (active(scope="desk", sub="x" * 200), "a claim is not what"),
    ],
)
async def test_a_yes_for_something_else_is_a_no(page: Page, why: str) -> None:
    async with asking(page, scope="desk") as (_, verifier):
        with pytest.raises(BadToken, match=why):
            await ask(verifier)


async def test_an_expired_one_is_told_apart_also_from_memory() -> None:
    async with asking(active(exp=int(time.time()) - 60)) as (_, verifier):
        for _ in range(2):
            with pytest.raises(ExpiredToken):
                await ask(verifier)


async def test_an_answer_without_an_end_has_one_here() -> None:
    async with asking(active(exp=None)) as (_, verifier):
        left_s = (await ask(verifier)).exp - time.time()
        assert introspection.UNDATED_S - 5 <= left_s <= introspection.UNDATED_S


async def test_no_more_than_so_many_are_asked_about_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep(30)

    monkeypatch.setattr(introspection, "ASKING_MAX", 3)
    async with asking(hang) as (_, verifier):
        heard: list[str] = []

        async def fail(number: int) -> None:
            with pytest.raises(UndecidedToken) as failure:
                await ask(verifier, f"token-number-{number}")
            heard.append(str(failure.value))

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(fail, number)
        assert sum("too many tokens" in words for words in heard) == 7


async def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "KNOWN_MAX", 3)
    async with asking() as (_, verifier):
        for number in range(5):
            await ask(verifier, f"token-number-{number}")
        verifier.verify("token-number-4")
        with pytest.raises(UnaskedToken):
            verifier.verify("token-number-0")


async def test_an_opaque_token_finds_its_issuer_by_the_longest_prefix() -> None:
    async with party() as one, party() as two:
        one.pages["/introspect"], two.pages["/introspect"] = active(), active(sub="bob")
        all_of, some_of = issuer(one), issuer(two, prefix="two_", name="two")
        verifier = Verifier(KEY, "demo", [all_of, some_of])
        assert (await ask(verifier, "two_12345678")).id == "bob"
        assert (await ask(verifier, "one_12345678")).id == "ada"
        only = Verifier(KEY, "demo", [some_of])
        with pytest.raises(BadToken, match="not a token of this cluster"):
            only.verify("one_12345678")
        for made in (all_of, some_of):
            await made.fetcher.aclose()


async def test_a_jwt_of_an_issuer_that_is_asked_is_asked_about_too() -> None:
    async with asking({"active": False}) as (one, verifier):
        with pytest.raises(BadToken, match="not active"):
            await ask(verifier, one.token())


@pytest.mark.parametrize(
    "token", ["", "short", "white space in it", "ümlaut-and-more", "a" * 9_000]
)
async def test_what_is_no_token_at_all_is_not_asked_about(token: str) -> None:
    async with asking() as (one, verifier):
        with pytest.raises(BadToken) as refusal:
            verifier.verify(token)
        assert not isinstance(refusal.value, UndecidedToken)
        assert not one.asked
