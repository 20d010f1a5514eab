"""What no provider, cookie or stranger can make of a login with a browser."""

import base64
import hashlib
from collections.abc import Callable
from html import unescape
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from node.login.ticket import Tickets
from tests.node.desk.office import KEY
from tests.node.login.visit import (
    Browser,
    company,
    finish,
    id_token,
    words,
)

pytestmark = pytest.mark.usefixtures("impatient")

CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "another"}, "its nonce is not that of this login"),
    ({"nonce": None}, "its nonce is not that of this login"),
    ({"nonce": 7}, "its nonce is not that of this login"),
    ({"iss": "https://evil.example"}, "proves nothing"),
    ({"aud": "another"}, "proves nothing"),
    ({"aud": ["desk", "another"]}, "several audiences and no azp"),
    ({"aud": ["desk", "another"], "azp": "another"}, "issued to another client"),
    ({"azp": "another"}, "issued to another client"),
    ({"exp": 1}, "expired"),
    ({"exp": None}, "proves nothing"),
    ({"sub": None}, "proves nothing"),
    ({"at_hash": "x"}, "at_hash"),
    ({"groups": ["cooks"]}, "[auth.corp.groups] gives a role to desk, leads; groups says cooks"),
    ({"groups": None}, "gives a role to desk, leads; groups says none"),
    ({"groups": None, "role": "operator"}, "gives a role to"),
    ({"sub": "x" * 200}, "a claim is not what it must be"),
    ({"key": ec.generate_private_key(ec.SECP256R1())}, "proves nothing"),
    ({"kid": "unknown"}, "not known yet"),
]


@pytest.mark.parametrize(("changes", "why"), CHANGES)
async def test_an_id_token_that_does_not_prove_this_login_logs_nobody_in(
    changes: dict[str, Any], why: str
) -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/token"] = {"id_token": id_token(one, asked, **changes), "access_token": "a"}
        page = await finish(browser, desks.desks["n1"], asked)
        assert page.status in (400, 502)
        assert why in unescape(words(page))
        assert "<textarea" not in page.body.decode()


async def test_the_hash_of_the_access_token_is_checked_as_the_standard_says() -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        half = hashlib.sha256(b"a").digest()[:16]
        at_hash = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        made = id_token(one, asked, at_hash=at_hash)
        one.pages["/token"] = {"id_token": made, "access_token": "a"}
        assert (await finish(browser, desks.desks["n1"], asked)).status == 200


async def test_unsigned_and_symmetric_id_tokens_prove_nothing() -> None:
    async with company() as (desks, one):
        for algorithm, key in (("none", ""), ("HS256", "s3cret".ljust(32, "x"))):
            browser = Browser()
            asked = await browser.begin(desks.desks["n1"])
            claims = jwt.decode(id_token(one, asked), options={"verify_signature": False})
            made = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "ec"})
            one.pages["/token"] = {"id_token": made}
            assert (await finish(browser, desks.desks["n1"], asked)).status == 400


async def test_the_answer_to_somebody_elses_login_is_refused() -> None:
    """Login CSRF: the attacker's own code, sent to the victim's browser."""
    async with company() as (desks, one):
        victim, attacker = Browser(), Browser()
        asked = await attacker.begin(desks.desks["n1"])
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        none = await finish(victim, desks.desks["n1"], asked)
        assert "begun no login here" in words(none)
        await victim.begin(desks.desks["n1"])
        other = await finish(victim, desks.desks["n1"], asked)
        assert "(state)" in words(other)
        assert one.count("/token") == 0


async def test_the_answer_of_another_provider_is_refused() -> None:
    """Mix-up: RFC 9207's `iss` counts when it is there, and must be where it is promised."""
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        mixed = await finish(browser, desks.desks["n1"], asked, iss="https://evil.example")
        assert "(iss)" in words(mixed)
        assert (await finish(browser, desks.desks["n1"], asked, iss=one.url)).status == 200
    async with company() as (desks, one):
        one.describe(authorization_response_iss_parameter_supported=True)
        asked = await browser.begin(desks.desks["n1"])
        assert "(iss)" in words(await finish(browser, desks.desks["n1"], asked))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cookie: cookie[:-3] + "xyz",
        lambda cookie: "x" * 9_000,
        lambda cookie: jwt.encode({"name": "corp"}, KEY.ljust(32, b"\0"), algorithm="HS256"),
        lambda cookie: Tickets(b"a key of another").issue("corp")[1],
        lambda cookie: Tickets(KEY).issue("other")[1],
    ],
)
async def test_a_cookie_that_was_not_made_for_this_is_refused(spoil: Callable[[str], str]) -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        (name,) = browser.cookies
        browser.cookies[name] = spoil(browser.cookies[name])
        page = await finish(browser, desks.desks["n1"], asked)
        assert page.status == 400
        assert one.count("/token") == 0


@pytest.mark.parametrize(
    ("page", "status", "why"),
    [
        ({"error": "invalid_grant"}, 400, "gave no ID token"),
        (400, 400, "refused the code"),
        (500, 502, "answered 500"),
        (302, 400, "answered 302"),
        (b"[" * 90_000, 400, "gave no ID token"),
        (b" " * 5_000_000, 502, "over 262144 bytes"),
        ({"id_token": 7}, 400, "gave no ID token"),
        ({"id_token": "x.y.z"}, 400, "proves nothing"),
        ({"id_token": ""}, 400, "proves nothing"),
    ],
)
async def test_a_token_endpoint_that_misbehaves_logs_nobody_in(
    page: Any, status: int, why: str
) -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/token"] = page
        answer = await finish(browser, desks.desks["n1"], asked)
        assert (answer.status, why in words(answer)) == (status, True), words(answer)


async def test_a_provider_that_hangs_or_is_away_is_said_so() -> None:
    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep(30)

    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/token"] = hang
        with trio.fail_after(30):
            answer = await finish(browser, desks.desks["n1"], asked)
        assert answer.status == 502
        assert "no answer within 1 s" in words(answer)
    async with company() as (desks, one):
        one.pages.clear()
        answer = await Browser().ask(desks.desks["n1"], "/v1/login/corp")
        assert answer.status == 502
        one.describe()
        await trio.sleep(0.05)
        await Browser().begin(desks.desks["n1"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code_challenge_methods_supported": ["plain"]}, "does not take PKCE"),
        ({"token_endpoint": ""}, "names no"),
    ],
)
async def test_a_provider_that_is_not_enough_is_refused(changes: Any, why: str) -> None:
    async with company() as (desks, one):
        one.describe(**changes)
        answer = await Browser().ask(desks.desks["n1"], "/v1/login/corp")
        assert why in words(answer)
