"""Visitors who need not say who they are: pages that may ask, and what they get."""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
import trio

from node.auth import Verifier
from node.config import LimitsConfig, VisitorsConfig
from node.desk.calls import PATH as CALLS_PATH
from node.desk.visitors import PATH
from node.edge.http import Request, Response
from node.origins import Origins, mistake_in
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, TokenExpiring, Welcome
from tests.node.desk.office import CLUSTER, KEY, Office, office, settle, token
from tests.node.desk.test_over_sockets import listening

SHOP = "https://shop.acme.example"
EVIL = "https://evil.example"
OPEN = VisitorsConfig((SHOP, "http://localhost:*"))
VERIFIER = Verifier(KEY, CLUSTER)


@dataclass
class Heard:
    status: int
    headers: dict[str, str]
    body: Any


def post(
    desk: Office, origin: str = SHOP, *, bearer: str = "", peer: str = "198.51.100.1:9"
) -> Heard:
    headers = [(b"origin", origin.encode())] if origin else []
    if bearer:
        headers.append((b"authorization", f"Bearer {bearer}".encode()))
    answer = desk.desks["n1"].on_request(Request("POST", PATH, "", tuple(headers), b"", peer))
    assert isinstance(answer, Response)
    return Heard(answer.status, dict(answer.headers), json.loads(answer.body))


async def test_a_page_that_is_configured_gets_a_visitor_who_talks_at_any_node() -> None:
    async with office(visitors=OPEN) as desk:
        given = post(desk)
        assert given.status == 200
        assert given.headers["Access-Control-Allow-Origin"] == SHOP
        assert given.headers["Cache-Control"] == "no-store"
        principal = VERIFIER.verify(given.body["token"])
        assert (principal.role, principal.id) == ("visitor", given.body["id"])
        assert given.body["exp"] == principal.exp * 1000
        assert 86_000 <= principal.exp - time.time() <= 86_401
        visitor = desk.client("n2", origin=SHOP)
        visitor.say(ops.Hello(ver="1", token=given.body["token"]))
        await settle()
        assert visitor.heard(Welcome)[0].you["id"] == given.body["id"]
        assert (await visitor.ok(ops.CvOpen(key="k", text="hi")))["seq"]
        assert post(desk).body["id"] != given.body["id"]


async def test_the_same_visitor_comes_back_with_a_token_that_lasts_longer() -> None:
    async with office(visitors=OPEN) as desk:
        given = post(desk).body
        again = post(desk, bearer=given["token"])
        assert (again.status, again.body["id"]) == (200, given["id"])
        assert again.body["exp"] >= given["exp"]
        visitor = desk.client(origin=SHOP)
        visitor.say(ops.Hello(ver="1", token=given["token"]))
        await settle()
        assert (await visitor.ok(ops.Auth(token=again.body["token"])))["exp"] == again.body["exp"]


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        (token("visitor", "v1"), 403),
        (token("agent", "anon-x"), 403),
        (token("visitor", "anon-x", ttl_s=-60), 401),
        ("nonsense", 401),
    ],
)
async def test_only_tokens_that_were_given_out_here_are_renewed(bearer: str, status: int) -> None:
    async with office(visitors=OPEN) as desk:
        assert post(desk, bearer=bearer).status == status


@pytest.mark.parametrize(
    "origin", ["", EVIL, SHOP + ":8443", "http://shop.acme.example", "null", SHOP + "/", "*"]
)
async def test_other_pages_get_none_and_hear_which_rule_refused(origin: str) -> None:
    async with office(visitors=OPEN) as desk:
        refused = post(desk, origin)
        assert (refused.status, refused.body["code"]) == (403, "forbidden")
        assert "[visitors] origins does not list" in refused.body["msg"]
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_nobody_gets_any_where_nothing_is_configured() -> None:
    async with office() as desk:
        refused = post(desk)
        assert (refused.status, "no [visitors]" in refused.body["msg"]) == (404, True)
        assert "Vary" not in refused.headers


async def test_an_address_that_asks_too_often_is_told_to_wait() -> None:
    trusted = LimitsConfig(trusted_addresses=())
    visitors = VisitorsConfig((SHOP,), per_minute=10)
    async with office(visitors=visitors, limits=trusted) as desk:
        heard = [post(desk, peer="203.0.113.7:1") for _ in range(12)]
        assert [one.status for one in heard] == [200] * 10 + [429] * 2
        assert heard[-1].headers["Retry-After"] == "6"
        assert heard[-1].headers["Access-Control-Allow-Origin"] == SHOP, "the page may read it"
        assert post(desk, peer="203.0.113.8:1").status == 200
        v6 = [post(desk, peer=f"[2001:db8::{n:x}]:1").status for n in range(12)]
        assert v6.count(429) == 2, "a customer's network counts as one address"
        assert {post(desk, peer="127.0.0.1:1").status for _ in range(12)} == {200}


async def test_a_visitor_of_another_page_is_sent_away_an_agent_is_not() -> None:
    async with office(visitors=OPEN) as desk:
        given = post(desk).body["token"]
        for made in (given, token("visitor", "v1")):
            stray = desk.client(origin=EVIL)
            stray.say(ops.Hello(ver="1", token=made))
            await settle()
            (bye,) = stray.heard(Bye)
            assert (bye.code, bye.resume) == (4104, False)
            assert bye.reason == f"[visitors] origins does not list {EVIL}"
        for origin in ("", SHOP, "http://localhost:5173"):
            welcome = desk.client(origin=origin)
            welcome.say(ops.Hello(ver="1", token=given))
            await settle()
            assert welcome.heard(Welcome)
        agent = desk.client(origin=EVIL)
        agent.say(ops.Hello(ver="1", token=token("agent", "a1")))
        await settle()
        assert agent.heard(Welcome), "an agent brings a token: no cookie could be borrowed"


async def test_without_a_list_visitors_come_from_anywhere() -> None:
    async with office() as desk:
        visitor = desk.client(origin=EVIL)
        visitor.say(ops.Hello(ver="1", token=token("visitor", "v1")))
        await settle()
        assert visitor.heard(Welcome)


async def test_a_visitor_is_told_in_time_that_its_token_ends(autojump_clock: Any) -> None:
    async with office(visitors=VisitorsConfig((SHOP,), ttl_s=120)) as desk:
        given = post(desk).body
        visitor = desk.client(origin=SHOP)
        visitor.say(ops.Hello(ver="1", token=given["token"]))
        await trio.sleep(50)
        assert not visitor.heard(TokenExpiring)
        await trio.sleep(15)
        (warning,) = visitor.heard(TokenExpiring)
        assert warning.exp == given["exp"]


# -- browsers that ask whether they may


class Page:
    """What a browser sends for a page, on a real socket."""

    def __init__(self, port: int, origin: str) -> None:
        self.port = port
        self.origin = origin

    async def fetch(self, method: str, path: str, body: Any = None, **headers: str) -> Heard:
        told = {"Origin": self.origin} | {name.replace("_", "-"): v for name, v in headers.items()}

        def ask() -> Heard:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), told)
                answer = connection.getresponse()
                stream = answer.getheader("Content-Type") == "text/event-stream"
                text = b"" if stream else answer.read()
                return Heard(answer.status, dict(answer.getheaders()), text)
            finally:
                connection.close()

        return await trio.to_thread.run_sync(ask)


@pytest.mark.parametrize("path", [CALLS_PATH + "cv.open", "/v1/events", PATH])
async def test_a_preflight_says_what_a_page_may_ask(path: str) -> None:
    async with office(visitors=OPEN) as desk, listening(desk.desks["n1"]) as port:
        asking = {"Access_Control_Request_Method": "POST"}
        heard = await Page(port, SHOP).fetch("OPTIONS", path, **asking)
        assert heard.status == 204
        assert heard.headers["Access-Control-Allow-Origin"] == SHOP
        assert heard.headers["Access-Control-Allow-Methods"] == "GET, POST"
        for name in ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"):
            assert name in heard.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in heard.headers
        assert heard.headers["Vary"] == "Origin"
        refused = await Page(port, EVIL).fetch("OPTIONS", path, **asking)
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("path", ["/cluster", "/metrics", "/v1/login/corp", "/livez"])
async def test_what_is_not_for_pages_is_shared_with_none(path: str) -> None:
    async with office(visitors=OPEN) as desk, listening(desk.desks["n1"]) as port:
        heard = await Page(port, SHOP).fetch("GET", path)
        assert "Access-Control-Allow-Origin" not in heard.headers
        asking = {"Access_Control_Request_Method": "GET"}
        assert (await Page(port, SHOP).fetch("OPTIONS", path, **asking)).status in (404, 405)


async def test_a_page_reads_answers_errors_and_events() -> None:
    async with office(visitors=OPEN) as desk, listening(desk.desks["n1"]) as port:
        page, bearer = Page(port, SHOP), f"Bearer {token('visitor', 'v1')}"
        opened = await page.fetch(
            "POST", CALLS_PATH + "cv.open", {"key": "k", "text": "hi"}, Authorization=bearer
        )
        refused = await page.fetch("POST", CALLS_PATH + "cv.open", {}, Authorization="Bearer x")
        told = await page.fetch("GET", "/v1/events", Authorization=bearer)
        assert [one.status for one in (opened, refused, told)] == [200, 401, 200]
        for one in (opened, refused, told):
            assert one.headers["Access-Control-Allow-Origin"] == SHOP
            assert one.headers["Vary"] == "Origin"
        stranger = Page(port, EVIL)
        opened = await stranger.fetch(
            "POST", CALLS_PATH + "cv.open", {"key": "k", "text": "hi"}, Authorization=bearer
        )
        assert "Access-Control-Allow-Origin" not in opened.headers
        assert opened.headers["Vary"] == "Origin"


# -- origins themselves


@pytest.mark.parametrize(
    "origin", [SHOP, "http://a", "https://a.example:8443", "http://localhost:*", "http://[::1]:*"]
)
def test_an_origin_is_as_a_browser_sends_it(origin: str) -> None:
    assert not mistake_in(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "null",
        "shop.example",
        SHOP + "/",
        SHOP + "/path",
        SHOP.upper(),
        SHOP + ":443",
        "http://a:80",
        SHOP + ":*",
        "https://*.example",
        "ws://a",
        "https://user@a",
        "https://a b",
    ],
)
def test_what_is_no_origin_is_named(origin: str) -> None:
    assert mistake_in(origin)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:1", True),
        ("http://localhost:65000", True),
        ("http://localhost", True),
        ("https://localhost:1", False),
        ("http://localhost.evil.example:1", False),
        ("http://localhost:1.evil.example", False),
        ("http://evil.example:1", False),
        ("http://localhost:1/", False),
    ],
)
def test_any_port_is_any_port_of_this_machine(origin: str, allowed: bool) -> None:
    assert Origins(["http://localhost:*"]).allows(origin) is allowed


def test_what_is_shown_of_an_origin_breaks_out_of_nothing() -> None:
    shown = Origins([SHOP]).foreign(
        Request("GET", "/", "", ((b"origin", b"https://\xff\x01" + b"x" * 500),), b"", "")
    )
    assert shown.isprintable()
    assert len(shown) == 100
