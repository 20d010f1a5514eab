"""Every way to prove who one is lets in by every door, ends when it ends, and is renewed."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from node.edge.http import Request, Response
from node.issuers import IssuerConfig
from node.issuers.config import ClientCredentials, IntrospectionConfig
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, TokenExpiring, Welcome
from tests.node.desk.office import Client, Office, office, settle, token
from tests.node.desk.test_over_sockets import listening
from tests.node.issuers.party import KEY_SET, Party, party

SECRET = b"what the shop signs its customers with"
OPAQUE = "opaque-token-of-ada"
Maker = Callable[[Party, int, str], str]
"""Makes a token of so many seconds, of somebody."""


def own(one: Party, ttl_s: int, subject: str) -> str:
    return token("agent", subject, ttl_s=ttl_s)


def corp(one: Party, ttl_s: int, subject: str) -> str:
    return one.token(iss="https://corp", sub=subject, exp=int(time.time()) + ttl_s)


def shop(one: Party, ttl_s: int, subject: str) -> str:
    told = {"iss": "https://shop", "aud": "unidesk", "sub": subject}
    return jwt.encode({**told, "exp": int(time.time()) + ttl_s}, SECRET, algorithm="HS256")


def issuers(one: Party, folder: Path) -> tuple[IssuerConfig, ...]:
    (folder / "keys.json").write_text(json.dumps(KEY_SET))
    (folder / "secret").write_bytes(SECRET)
    asks = IntrospectionConfig(f"{one.url}/introspect", ClientCredentials("desk", "s"), cache_s=0)
    audience, agent, visitor = "unidesk", ("agent",), ("visitor",)
    return (
        IssuerConfig("corp", "https://corp", audience, folder / "keys.json", agent, "agent"),  # type: ignore[arg-type]
        IssuerConfig(
            "shop",
            "https://shop",
            audience,
            None,
            visitor,  # type: ignore[arg-type]
            "visitor",
            secret=folder / "secret",
        ),
        IssuerConfig("asked", one.url, audience, None, agent, "agent", introspection=asks),  # type: ignore[arg-type]
    )


@asynccontextmanager
async def company(folder: Path) -> AsyncIterator[tuple[Office, Party]]:
    async with party() as one, office(issuers=issuers(one, folder)) as desk:
        yield desk, one


def says(one: Party, subject: str = "ada", ttl_s: int = 600, **more: Any) -> None:
    """Have the party say who an opaque token is."""
    told = {"active": True, "sub": subject, "aud": "unidesk", "exp": int(time.time()) + ttl_s}
    one.pages["/introspect"] = told | more


async def said(client: Client, token: str) -> None:
    """Say hello, and wait for what comes of it, also where somebody far away is asked."""
    client.say(ops.Hello(ver="1", token=token))
    with trio.fail_after(30):
        while not client.heard(Welcome) and not client.heard(Bye):
            await trio.sleep(0.005)


@pytest.mark.parametrize("made", [own, corp, shop])
async def test_it_is_told_in_time_that_a_token_ends_and_a_newer_one_renews_it(
    made: Maker, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with company(tmp_path) as (desk, one):
        late, client = desk.client(), desk.client()
        for each in (late, client):
            each.say(ops.Hello(ver="1", token=made(one, 100, "ada")))
        await settle()
        assert client.heard(Welcome)
        await trio.sleep(30)
        assert not client.heard(TokenExpiring)
        await trio.sleep(15)
        assert [each.heard(TokenExpiring)[0].exp // 1000 for each in (late, client)]
        assert 50 <= client.heard(TokenExpiring)[0].exp / 1000 - time.time() <= 101
        newer = made(one, 300, "ada")
        assert (await client.ok(ops.Auth(token=newer)))["exp"] > client.heard(TokenExpiring)[0].exp
        refused = await client.err(ops.Auth(token=made(one, 300, "bob")))
        assert refused.code == "unauthorized"
        await trio.sleep(80)
        assert [bye.code for bye in late.heard(Bye)] == [4102]
        assert not client.heard(Bye), "it goes on under the newer one"
        await trio.sleep(220)
        assert [bye.code for bye in client.heard(Bye)] == [4102]


async def test_an_opaque_token_is_asked_about_at_hello_and_again_when_it_renews(
    tmp_path: Path,
) -> None:
    async with company(tmp_path) as (desk, one):
        says(one, ttl_s=30)
        client = desk.client()
        await said(client, OPAQUE)
        (welcome,) = client.heard(Welcome)
        assert welcome.you["id"] == "ada"
        await trio.sleep(0.6)  # a tick of the desk's clock
        assert client.heard(TokenExpiring), "less is left than the warning's time"

        async def renewed() -> ops.Reply:
            number = client.ask(ops.Auth(token=OPAQUE))
            with trio.fail_after(30):
                while not [one for one in client.heard(ops.Reply) if one.id == number]:
                    await trio.sleep(0.005)
            return client.answer(number)

        says(one, ttl_s=900)
        reply = await renewed()
        assert isinstance(reply, ops.Ok)
        assert reply.r["exp"] / 1000 - time.time() > 800
        says(one, "bob")
        reply = await renewed()
        assert isinstance(reply, ops.Err)
        assert (reply.code, "somebody else's" in reply.msg) == ("unauthorized", True)
        one.pages["/introspect"] = 500
        reply = await renewed()
        assert isinstance(reply, ops.Err)
        assert (reply.code, reply.retry) == ("upstream", True)
        one.pages["/introspect"] = {"active": False}
        reply = await renewed()
        assert isinstance(reply, ops.Err)
        assert reply.code == "unauthorized"
        assert client.session.live


@pytest.mark.parametrize(
    ("page", "code", "resume"),
    [
        ({"active": False}, 4103, False),
        (500, 4008, True),
        ({"active": True, "exp": 1}, 4102, False),
    ],
)
async def test_a_hello_whose_issuer_says_no_or_nothing_is_sent_away(
    page: Any, code: int, resume: bool, tmp_path: Path
) -> None:
    async with company(tmp_path) as (desk, one):
        one.pages["/introspect"] = page
        client = desk.client()
        await said(client, OPAQUE)
        (bye,) = client.heard(Bye)
        assert (bye.code, bye.resume) == (code, resume)


async def test_what_is_asked_behind_a_hello_that_waits_is_answered_in_order(tmp_path: Path) -> None:
    async with company(tmp_path) as (desk, one):
        says(one)
        client = desk.client()
        client.say(
            ops.Hello(ver="1", token=OPAQUE),
            ops.StatusSet(id=1, status="online"),
            ops.StatusSet(id=2, status="away"),
        )
        assert not client.all()
        with trio.fail_after(30):
            while len(client.heard(ops.Ok)) < 2:
                await trio.sleep(0.005)
        assert [one.id for one in client.heard(ops.Ok)] == [1, 2]


async def test_a_client_that_leaves_while_its_issuer_is_asked_leaves_nothing(
    tmp_path: Path,
) -> None:
    gate = trio.Event()

    async def hold(stream: trio.SocketStream) -> None:
        await gate.wait()
        body = json.dumps({"active": True, "sub": "ada", "aud": "unidesk"}).encode()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with company(tmp_path) as (desk, one):
        one.pages["/introspect"] = hold
        client = desk.client()
        client.say(ops.Hello(ver="1", token=OPAQUE))
        with trio.fail_after(30):
            while not one.asked:
                await trio.sleep(0.005)
        client.leave()
        gate.set()
        await trio.sleep(0.1)
        assert not client.heard(Welcome)
        assert "ada" not in desk.port().state.agents


async def test_by_http_an_issuer_is_asked_too_and_events_begin_once_it_has_answered(
    tmp_path: Path,
) -> None:
    async with company(tmp_path) as (desk, one), listening(desk.desks["n1"]) as port:
        says(one)

        def ask(method: str, path: str) -> tuple[int, str, bytes]:
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                headers = {"Authorization": f"Bearer {OPAQUE}"}
                connection.request(method, path, b"{}" if method == "POST" else None, headers)
                answer = connection.getresponse()
                stream = answer.getheader("Content-Type", "")
                return answer.status, stream, answer.read1()
            finally:
                connection.close()

        status, _, body = await trio.to_thread.run_sync(ask, "POST", "/v1/op/cv.open")
        assert (status, json.loads(body)["code"]) == (403, "forbidden"), "an agent opens none"
        status, kind, body = await trio.to_thread.run_sync(ask, "GET", "/v1/events")
        assert (status, kind, body[:5]) == (200, "text/event-stream", b"retry")
        one.pages["/introspect"] = 503
        status, _, body = await trio.to_thread.run_sync(ask, "GET", "/v1/events")
        assert (status, json.loads(body)["retry"]) == (502, True)
        one.pages["/introspect"] = {"active": False}
        for method, path in (("POST", "/v1/op/cv.get"), ("GET", "/v1/events")):
            status, _, body = await trio.to_thread.run_sync(ask, method, path)
            assert (status, json.loads(body)["code"]) == (401, "unauthorized")


async def test_a_token_that_needs_nobody_is_judged_on_the_spot(tmp_path: Path) -> None:
    async with company(tmp_path) as (desk, one):
        headers = ((b"authorization", b"Bearer " + shop(one, 60, "c-1").encode()),)
        request = Request("POST", "/v1/op/status.set", "", headers, b"{}", "127.0.0.1:9")
        answer = desk.desks["n1"].on_request(request)
        assert isinstance(answer, Response), "no task was needed to say no"
        assert answer.status == 403
