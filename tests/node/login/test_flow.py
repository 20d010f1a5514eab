"""A login with a browser: what it gives, and what no provider, page or stranger can make of it."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from node.auth import BadToken, Verifier
from node.desk.application import Desk
from node.edge.http import Response
from node.issuers import fetching, keys, provider
from node.login.ticket import Tickets, challenge_of
from node.protocol import catalogue as ops
from tests.node.desk.office import CLUSTER, KEY, settle
from tests.node.issuers.party import KEY as PROVIDER_KEY
from tests.node.issuers.party import KEY_SET, Party
from tests.node.login.visit import CONSOLE, REDIRECT, Browser, company, header, words

VERIFIER = Verifier(KEY, CLUSTER)
CLI = "v" * 43
LOOPBACK = "http://127.0.0.1:5000/"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 1.0)
    monkeypatch.setattr(provider, "PAUSE_S", 0.01)
    monkeypatch.setattr(keys, "WANTED_PAUSE_S", 0.01)


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


def token_on(page: Response) -> str:
    return unescape(page.body.decode().partition("</textarea>")[0].rpartition(">")[2])


async def test_who_logs_in_gets_a_token_of_ours_with_what_the_groups_give() -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"])
        assert asked["redirect_uri"] == REDIRECT
        assert asked["code_challenge_method"] == "S256"
        assert (asked["response_type"], asked["scope"]) == ("code", "openid profile")
        one.pages["/token"] = {"id_token": id_token(one, asked), "token_type": "Bearer"}
        page = await finish(browser, desks.desks["n2"], asked)  # another node than it began with
        assert page.status == 200
        principal = VERIFIER.verify(token_on(page))
        assert (principal.role, principal.id, principal.name) == ("agent", "ada", "Ada")
        assert (principal.skills, principal.capacity) == ({"refund": 3}, 4)
        client = desks.client("n1")
        client.say(ops.Hello(ver="1", token=token_on(page)))
        await settle()
        assert desks.port().state.agents["ada"].name == "Ada"
        (told,) = [request for request in one.asked if request.path == "/token"]
        assert told.form["grant_type"] == "authorization_code"
        assert (told.form["code"], told.form["redirect_uri"]) == ("c0de", REDIRECT)
        assert challenge_of(told.form["code_verifier"]) == asked["code_challenge"]
        assert told.headers["authorization"] == "Basic " + base64.b64encode(b"desk:s3cret").decode()


async def test_the_cookie_says_nothing_that_helps_and_goes_when_it_was_used() -> None:
    async with company() as (desks, one):
        browser = Browser()
        answer = await browser.ask(desks.desks["n1"], "/v1/login/corp")
        cookie = header(answer, "Set-Cookie")
        assert "HttpOnly; SameSite=Lax" in cookie
        assert "Max-Age=600" in cookie
        asked = dict(parse_qsl(urlsplit(header(answer, "Location")).query))
        body = base64.urlsafe_b64decode(cookie.split(".")[1] + "==").decode()
        assert not any(asked[name] in body for name in ("state", "nonce", "code_challenge"))
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        page = await finish(browser, desks.desks["n1"], asked)
        assert "Max-Age=0" in header(page, "Set-Cookie")
        again = await finish(browser, desks.desks["n1"], asked)
        assert again.status == 400
        assert "has begun no login here" in words(again)


async def test_over_tls_the_cookie_is_bound_to_its_host() -> None:
    secure = {"redirect_uri": REDIRECT.replace("http:", "https:")}
    async with company(login=secure) as (desks, _):
        answer = await Browser().ask(desks.desks["n1"], "/v1/login/corp")
        cookie = header(answer, "Set-Cookie")
        assert cookie.startswith("__Host-unidesk-login-corp=")
        assert cookie.endswith("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure")


async def test_a_page_that_is_configured_gets_the_token_in_the_fragment() -> None:
    async with company() as (desks, one):
        browser = Browser()
        asked = await browser.begin(desks.desks["n1"], f"return_to={quote(CONSOLE)}&state=xyz")
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        answer = await finish(browser, desks.desks["n2"], asked)
        assert answer.status == 302
        where = urlsplit(header(answer, "Location"))
        assert f"{where.scheme}://{where.netloc}{where.path}" == CONSOLE
        assert not where.query, "what is in a query is in logs, in histories, in Referer"
        told = dict(parse_qsl(where.fragment))
        assert VERIFIER.verify(told["token"]).id == "ada"
        assert told["state"] == "xyz"
        assert header(answer, "Referrer-Policy") == "no-referrer"
        assert header(answer, "Cache-Control") == "no-store"


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        CONSOLE + "/",
        CONSOLE + "?x=1",
        CONSOLE + "#x",
        CONSOLE + ".evil.example",
        "https://console.acme.example@evil.example/signed-in",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        LOOPBACK,
        "http://127.0.0.1:5000@evil.example/",
    ],
)
async def test_nobody_is_sent_anywhere_else(return_to: str) -> None:
    async with company() as (desks, _):
        answer = await Browser().ask(
            desks.desks["n1"], f"/v1/login/corp?return_to={quote(return_to, safe='')}"
        )
        assert answer.status == 400
        assert "return_to does not list" in words(answer)
        assert "Location" not in dict(answer.headers)


@pytest.mark.parametrize(
    "return_to",
    [
        CONSOLE,
        "http://localhost:5000/",
        "http://127.0.0.1/",
        "https://127.0.0.1:5000/",
        "http://127.0.0.1:5000@evil.example/",
        "http://127.0.0.1:5000/?a=b",
        "http://127.0.0.1:5000/#a",
        "http://127.0.0.1.evil.example:5000/",
        "http://127.0.0.1:5000/\r\nSet-Cookie: a=b",
        "http://10.0.0.1:5000/",
    ],
)
async def test_a_command_line_waits_on_loopback_and_nowhere_else(return_to: str) -> None:
    async with company() as (desks, _):
        query = f"return_to={quote(return_to, safe='')}&challenge={challenge_of(CLI)}"
        answer = await Browser().ask(desks.desks["n1"], f"/v1/login/corp?{query}")
        assert answer.status == 400
        assert "a command line gives" in words(answer)


async def test_a_command_line_gets_a_code_and_only_its_verifier_makes_a_token_of_it() -> None:
    async with company() as (desks, one):
        browser = Browser()
        query = f"return_to={quote(LOOPBACK)}&challenge={challenge_of(CLI)}&state=abc"
        asked = await browser.begin(desks.desks["n1"], query)
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        answer = await finish(browser, desks.desks["n2"], asked)
        where = header(answer, "Location")
        assert where.startswith(LOOPBACK + "?")
        told = dict(parse_qsl(urlsplit(where).query))
        assert told["state"] == "abc"
        with pytest.raises(BadToken):
            VERIFIER.verify(told["code"])

        async def redeem(verifier: str, code: str = told["code"], name: str = "corp") -> Response:
            body = json.dumps({"code": code, "verifier": verifier}).encode()
            path = f"/v1/login/{name}/token"
            return await browser.ask(desks.desks["n1"], path, method="POST", body=body)

        for wrong in ("", "w" * 43, challenge_of(CLI)):
            assert (await redeem(wrong)).status == 401
        cookie = (await browser.ask(desks.desks["n1"], "/v1/login/corp")).headers
        ticket = dict(cookie)["Set-Cookie"].partition("=")[2].partition(";")[0]
        assert (await redeem(CLI, ticket)).status == 401, "a ticket is no grant"
        given = await redeem(CLI)
        assert given.status == 200
        body = json.loads(given.body)
        assert VERIFIER.verify(body["token"]).skills == {"refund": 3}
        assert (body["role"], body["id"]) == ("agent", "ada")


async def test_a_command_line_hears_of_a_failure_too() -> None:
    async with company() as (desks, _):
        browser = Browser()
        query = f"return_to={quote(LOOPBACK)}&challenge={challenge_of(CLI)}"
        asked = await browser.begin(desks.desks["n1"], query)
        answer = await browser.ask(
            desks.desks["n1"],
            f"/v1/login/corp/callback?error=access_denied&state={asked['state']}",
        )
        told = dict(parse_qsl(urlsplit(header(answer, "Location")).query))
        assert told["error_description"] == "corp says: access_denied"


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


async def test_what_an_error_says_of_itself_is_shown_as_text_and_nothing_else() -> None:
    async with company() as (desks, _):
        browser = Browser()
        for error, shown in (
            ("access_denied", "corp says: access_denied"),
            ("<script>alert(1)</script>", "&lt;script&gt;"),
            ("x\r\nSet-Cookie: a=b", "an error without a name"),
        ):
            asked = await browser.begin(desks.desks["n1"])
            query = f"error={quote(error, safe='')}&state={asked['state']}"
            page = await browser.ask(desks.desks["n1"], f"/v1/login/corp/callback?{query}")
            assert page.status == 400
            assert shown in page.body.decode()
            assert "<script" not in page.body.decode()


async def test_pages_speak_the_language_of_the_browser_and_are_kept_by_nobody() -> None:
    async with company() as (desks, one):
        for language, lang, title in (
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans", "登录成功"),
            ("de, en;q=0.5, zh;q=0.1", "en", "You are logged in"),
            ("", "en", "You are logged in"),
            ("zh;q=x, ,;", "en", "You are logged in"),
        ):
            browser = Browser(language=language)
            asked = await browser.begin(desks.desks["n1"])
            one.pages["/token"] = {"id_token": id_token(one, asked, name="<b>Ada</b>")}
            page = await finish(browser, desks.desks["n1"], asked)
            html = page.body.decode()
            assert f'<html lang="{lang}">' in html
            assert f">{title}</h1>" in html
            assert "&lt;b&gt;Ada" in html
            assert '<label for="token">' in html
            assert header(page, "Cache-Control") == "no-store"
            assert "frame-ancestors 'none'" in header(page, "Content-Security-Policy")


async def test_other_paths_and_methods_are_refused_in_words() -> None:
    async with company() as (desks, _):
        desk, browser = desks.desks["n1"], Browser()
        unknown = await browser.ask(desk, "/v1/login/google")
        assert (unknown.status, "there is corp" in words(unknown)) == (404, True)
        assert (await browser.ask(desk, "/v1/login/corp/x")).status == 404
        assert (await browser.ask(desk, "/v1/login/corp", method="POST")).status == 405
        assert (await browser.ask(desk, "/v1/login/corp/token")).status == 405
        twice = await browser.ask(desk, "/v1/login/corp?state=a&state=b")
        assert "twice" in words(twice)
        many = "&".join(f"a{number}=1" for number in range(20))
        assert (await browser.ask(desk, f"/v1/login/corp?{many}")).status == 400
        assert (await browser.ask(desk, "/v1/login/corp?state=%00")).status == 400


async def test_an_address_that_logs_in_too_often_is_told_to_wait() -> None:
    async with company() as (desks, _):
        browser, desk = Browser(), desks.desks["n1"]
        statuses = [
            (await browser.ask(desk, "/v1/login/corp?state=%00", peer="203.0.113.7:4")).status
            for _ in range(120)
        ]
        assert statuses.count(429) in range(15, 21)
        assert (await browser.ask(desk, "/v1/login/corp", peer="203.0.113.8:4")).status == 302
        here = [(await browser.ask(desk, "/v1/login/corp?state=%00")).status for _ in range(120)]
        assert 429 not in here, "this machine itself may be a proxy"


async def test_keys_that_were_added_lately_are_looked_for_at_once() -> None:
    async with company() as (desks, one):
        browser = Browser()
        one.pages["/keys"] = {"keys": [KEY_SET["keys"][0] | {"kid": "old"}]}
        await trio.sleep(0.05)
        asked = await browser.begin(desks.desks["n1"])
        one.pages["/keys"] = KEY_SET
        one.pages["/token"] = {"id_token": id_token(one, asked)}
        assert (await finish(browser, desks.desks["n1"], asked)).status == 200
