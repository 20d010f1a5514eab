"""`POST /v1/token`: a secret for a token, by RFC 6749, and everything that is none."""

import base64
import ipaddress
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cluster.port import Unavailable
from cluster.state import commands
from cluster.state.commands import By
from node.desk.attempts import ACCOUNT
from node.desk.credentials import BadCredentials, Origin, credentials_of, origin_of
from node.desk.token_endpoint import PATH
from node.edge.addresses import network_of
from node.edge.http import Request
from node.protocol import catalogue as ops
from tests.node.desk.hashed import HASHES, NEXT, SECRET
from tests.node.desk.office import Office, office
from tests.node.desk.test_calls import Caller, Heard
from tests.node.desk.test_over_sockets import listening

OLGA = By("operator", "olga")
FORM = "application/x-www-form-urlencoded"


@asynccontextmanager
async def desk_with_accounts() -> AsyncIterator[tuple[Office, int]]:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        desk.cluster.now_ms = int(time.time() * 1000)
        hashed = HASHES[SECRET]
        ada = commands.PutAccount(OLGA, "a", "ada", "agent", "Ada", {"vip": 3}, 4, secret=hashed)
        desk.cluster.do(ada)
        desk.cluster.do(commands.PutAccount(OLGA, "p", "pos", "service", secret=hashed))
        yield desk, port


async def ask(port: int, body: Any = None, basic: str = "", **headers: str) -> Heard:
    """Ask as a client of the standard library does."""
    data = body if isinstance(body, bytes) else urlencode(body or {}).encode()
    told = {"Content-Type": FORM} | {name.replace("_", "-"): one for name, one in headers.items()}
    if basic:
        told["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()

    def post() -> Heard:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", PATH, data, told)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Heard(answer.status, found, json.loads(answer.read()))
        finally:
            connection.close()

    return await trio.to_thread.run_sync(post)


def password(user: str = "ada", secret: str = SECRET) -> dict[str, str]:
    return {"grant_type": "password", "username": user, "password": secret}


SERVICE = {"grant_type": "client_credentials"}


async def test_a_person_gets_a_token_that_says_what_the_account_says() -> None:
    async with desk_with_accounts() as (desk, port):
        heard = await ask(port, password())
        assert heard.status == 200, heard.body
        assert heard.headers["cache-control"] == "no-store"
        assert heard.body["token_type"] == "Bearer"
        assert heard.body["expires_in"] == 8 * 3600
        assert (heard.body["user"], heard.body["role"]) == ("ada", "agent")
        client = desk.client("n2")
        client.say(ops.Hello(ver="1", token=heard.body["access_token"]))
        await trio.testing.wait_all_tasks_blocked()
        (welcome,) = client.heard(ops.Welcome)
        assert welcome.you == {"id": "ada", "role": "agent", "name": "Ada"}
        line = [one for one in desk.port("n2").state.audit if one.what == "token.issue"][-1]
        assert (line.by.id, line.detail["node"], line.detail["address"]) == (
            "ada",
            "n1",
            "127.0.0.1",
        )
        principal = client.session.principal
        assert principal is not None
        assert (principal.jti, principal.exp) == (line.detail["jti"], line.detail["exp"])
        ada = desk.port("n2").state.agents["ada"]
        assert (ada.skills, ada.capacity) == ({"vip": 3}, 4)


async def test_the_largest_account_that_may_be_gets_a_token_that_is_good() -> None:
    async with desk_with_accounts() as (desk, port):
        olga = Caller(port, "operator", "olga")
        put = {
            "user": "🔑" * 64,
            "kind": "agent",
            "name": "名" * 85,
            "skills": {f"{number:02} {'я' * 120}": 100 for number in range(64)},
            "capacity": 1000,
            "secret": SECRET,
        }
        for field, value in (("user", "x" * 129), ("name", "x" * 129)):
            assert (await olga.call("user.put", put | {"key": field, field: value})).status == 400
        made = await olga.call("user.put", put | {"key": "k"})
        assert made.status == 200, made.body
        heard = await ask(port, password("🔑" * 64))
        assert heard.status == 200, heard.body
        client = desk.client()
        client.say(ops.Hello(ver="1", token=heard.body["access_token"]))
        await trio.testing.wait_all_tasks_blocked()
        assert client.heard(ops.Welcome)
        assert len(desk.port().state.agents["🔑" * 64].skills) == 64


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_service_proves_itself_in_the_header_or_in_the_body(by_header: bool) -> None:
    async with desk_with_accounts() as (_, port):
        if by_header:
            body = SERVICE | {"client_id": "pos"}  # some libraries name themselves twice
            heard = await ask(port, body, basic=f"pos:{quote_plus(SECRET)}")
        else:
            heard = await ask(port, SERVICE | {"client_id": "pos", "client_secret": SECRET})
        assert (heard.status, heard.body["expires_in"]) == (200, 3600)
        caller = Caller(port)
        caller.token = heard.body["access_token"]
        assert (await caller.call("cv.open", {"key": "k"})).status == 200


async def test_basic_of_people_is_taken_as_it_is_and_of_services_form_encoded() -> None:
    odd = "naïve + 100% größe"
    async with desk_with_accounts() as (desk, port):
        for name in ("ada", "pos"):
            desk.cluster.do(commands.SetSecret(OLGA, f"s-{name}", name, HASHES[odd]))
        grant = {"grant_type": "password"}
        assert (await ask(port, grant, basic=f"ada:{odd}")).status == 200
        assert (await ask(port, SERVICE, basic=f"pos:{quote_plus(odd)}")).status == 200
        decomposed = "nai\u0308ve + 100% gro\u0308ße"
        assert (await ask(port, password(secret=decomposed))).status == 200, "another keyboard"


async def test_two_secrets_of_a_service_count_while_it_changes_them() -> None:
    async with desk_with_accounts() as (desk, port):
        body = SERVICE | {"client_id": "pos"}
        desk.cluster.do(commands.SetSecret(OLGA, "k1", "pos", HASHES[NEXT], keep=True))
        for secret in (SECRET, NEXT):
            assert (await ask(port, body | {"client_secret": secret})).status == 200
        desk.cluster.do(commands.SetSecret(OLGA, "k2", "pos", HASHES[NEXT]))
        assert (await ask(port, body | {"client_secret": SECRET})).status == 401
        assert (await ask(port, body | {"client_secret": NEXT})).status == 200


BASIC = {"Authorization": "Basic !!!"}


@pytest.mark.parametrize(
    ("body", "basic", "headers", "status", "error", "rule"),
    [
        (password(secret=NEXT), "", {}, 400, "invalid_grant", "credentials"),
        (password("nobody"), "", {}, 400, "invalid_grant", "credentials"),
        (SERVICE, "pos:wrong", {}, 401, "invalid_client", "credentials"),
        (SERVICE, "nobody:wrong", {}, 401, "invalid_client", "credentials"),
        ({"grant_type": "password"}, "ada:wrong", {}, 401, "invalid_client", "credentials"),
        (SERVICE, f"ada:{SECRET}", {}, 400, "unauthorized_client", "credentials.grant"),
        (password("pos"), "", {}, 400, "unauthorized_client", "credentials.grant"),
        ({"grant_type": "implicit"}, "", {}, 400, "unsupported_grant_type", None),
        ({}, "", {}, 400, "invalid_request", None),
        (b"", "", {}, 400, "invalid_request", None),
        (b"grant_type=password&username=a&username=b", "", {}, 400, "invalid_request", None),
        (b"grant_type=password&username=%ff&password=%fe", "", {}, 400, "invalid_request", None),
        (b"\xff\x00\xfe", "", {}, 400, "invalid_request", None),
        (b"a=1&" * 40, "", {}, 400, "invalid_request", None),
        (b"x" * 9_000, "", {}, 400, "invalid_request", None),
        (password(secret=""), "", {}, 400, "invalid_request", None),
        (password("x" * 300), "", {}, 400, "invalid_request", None),
        (password(), "ada:x", {}, 400, "invalid_request", None),
        (SERVICE | {"client_id": "ada"}, f"pos:{SECRET}", {}, 400, "invalid_request", None),
        (SERVICE, "", BASIC, 400, "invalid_request", None),
        (SERVICE, "", {"Authorization": "Basic /w=="}, 400, "invalid_request", None),
        (SERVICE, "no colon", {}, 400, "invalid_request", None),
        (SERVICE, "", {"Authorization": "Bearer x"}, 400, "invalid_request", None),
        (SERVICE, "", {"Content_Type": "application/json"}, 400, "invalid_request", None),
        (password(secret="x" * 5_000), "", {}, 400, "invalid_grant", "credentials"),
        (password(secret="\0" * 20), "", {}, 400, "invalid_grant", "credentials"),
    ],
)
async def test_what_proves_nothing_is_refused_as_the_standard_says(
    body: Any, basic: str, headers: dict[str, str], status: int, error: str, rule: str | None
) -> None:
    async with desk_with_accounts() as (desk, port):
        heard = await ask(port, body, basic, **headers)
        assert (heard.status, heard.body["error"]) == (status, error), heard.body
        assert heard.body.get("data", {}).get("rule") == rule
        assert heard.body["error_description"].isascii()
        assert heard.headers["cache-control"] == "no-store"
        assert ("www-authenticate" in heard.headers) == (status == 401)
        assert "access_token" not in heard.body
        assert SECRET not in json.dumps(heard.body)
        assert not [one for one in desk.port().state.audit if one.what == "token.issue"]


async def test_a_disabled_account_gets_no_token_and_is_told_only_with_the_right_secret() -> None:
    async with desk_with_accounts() as (desk, port):
        desk.cluster.do(commands.PutAccount(OLGA, "k", "ada", disabled=True))
        heard = await ask(port, password())
        assert heard.body["data"] == {"rule": "account.disabled"}
        assert (await ask(port, password(secret=NEXT))).body["data"] == {"rule": "credentials"}


async def test_an_account_that_another_node_has_just_made_may_log_in_here() -> None:
    async with desk_with_accounts() as (desk, port):
        desk.port("n1").held = True
        put = commands.PutAccount(OLGA, "k", "new", "agent", secret=HASHES[SECRET])
        desk.cluster.commit(desk.port("n2"), put, lambda _: None)
        answers: list[Heard] = []

        async def log_in() -> None:
            answers.append(await ask(port, password("new")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(log_in)
            await trio.sleep(0.1)
            assert not answers
            desk.port("n1").release()
        assert answers[0].status == 200


async def test_a_node_without_a_quorum_issues_nothing_and_says_so() -> None:
    async with desk_with_accounts() as (desk, port):
        desk.port().unavailable = Unavailable("minority", "no majority")
        heard = await ask(port, password())
        assert (heard.status, heard.body["code"], heard.body["retry"]) == (503, "minority", True)
        assert "retry-after" in heard.headers


async def test_a_secret_that_changes_while_it_is_looked_at_gives_no_token() -> None:
    async with desk_with_accounts() as (desk, port):
        ahead = 16
        answers: list[Heard] = []

        async def log_in(user: str) -> None:
            answers.append(await ask(port, password(user)))

        async with trio.open_nursery() as nursery:
            for number in range(ahead):
                nursery.start_soon(log_in, f"user{number}")
            while desk.port().barriers < ahead:
                await trio.sleep(0.001)
            nursery.start_soon(log_in, "ada")
            while desk.port().barriers <= ahead:
                await trio.sleep(0.001)
            await trio.sleep(0.001)  # its hash waits behind the others
            desk.cluster.do(commands.SetSecret(OLGA, "k", "ada", HASHES[NEXT]))
        (refused,) = [one for one in answers if one.status != 400]
        assert (refused.status, refused.body["data"]) == (409, {"rule": "account.changed"})
        assert refused.body["error"] == "invalid_grant"


async def test_brute_force_is_slowed_and_good_clients_are_not() -> None:
    async with desk_with_accounts() as (_, port):
        heard = [await ask(port, password(secret=f"{NEXT} {n}")) for n in range(ACCOUNT + 2)]
        assert [one.status for one in heard] == [400] * ACCOUNT + [429, 429]
        assert heard[-1].body["data"] == {"rule": "rate.account"}
        assert int(heard[-1].headers["retry-after"]) >= 1
        assert (await ask(port, password())).status == 429, "the right one too: no oracle"
        body = SERVICE | {"client_id": "pos", "client_secret": SECRET}
        for _ in range(ACCOUNT + 2):
            assert (await ask(port, body)).status == 200, "what is right is not counted"


async def test_a_crowd_of_attempts_does_not_hold_up_the_loop() -> None:
    """A thousand at once: few are looked at, the rest is told to come again, at once."""
    async with desk_with_accounts() as (desk, port):
        boss = await desk.staff("operator")
        statuses: list[int] = []
        limiter = trio.CapacityLimiter(60)
        gaps: list[float] = []

        async def attempt(number: int) -> None:
            async with limiter:
                heard = await ask(
                    port,
                    password(f"user{number}"),
                    X_Forwarded_For=f"10.0.{number % 250}.1",
                    X_Forwarded_Proto="https",
                )
                statuses.append(heard.status)

        async def beat(scope: trio.CancelScope) -> None:
            with scope:
                while True:
                    before = trio.current_time()
                    await trio.sleep(0.005)
                    gaps.append(trio.current_time() - before)

        async with trio.open_nursery() as nursery:
            beating = trio.CancelScope()
            nursery.start_soon(beat, beating)
            async with trio.open_nursery() as crowd:
                for number in range(300):
                    crowd.start_soon(attempt, number)
            await boss.ok(ops.UserList())
            beating.cancel()
        assert set(statuses) <= {400, 503}
        assert len(statuses) == 300
        assert sorted(gaps)[int(len(gaps) * 0.99)] < 0.5


def request_from(peer: str, **headers: str) -> Request:
    told = [
        (name.lower().replace("_", "-").encode(), one.encode()) for name, one in headers.items()
    ]
    return Request("POST", PATH, "", tuple(told), b"", peer)


PROXIES = (ipaddress.ip_network("10.0.0.0/30"),)


@pytest.mark.parametrize(
    ("peer", "headers", "tls", "wanted"),
    [
        ("127.0.0.1:5", {}, False, Origin("127.0.0.1", True)),
        ("[::1]:5", {}, False, Origin("::1", True)),
        ("[::ffff:127.0.0.1]:5", {}, False, Origin("::ffff:127.0.0.1", True)),
        ("192.0.2.1:5", {}, False, Origin("192.0.2.1", False)),
        ("192.0.2.1:5", {}, True, Origin("192.0.2.1", True)),
        ("192.0.2.1:5", {"X_Forwarded_Proto": "https"}, False, Origin("192.0.2.1", False)),
        ("192.0.2.1:5", {"X_Forwarded_For": "127.0.0.1"}, True, Origin("192.0.2.1", True)),
        ("10.0.0.1:5", {}, False, Origin("10.0.0.1", False)),
        ("10.0.0.1:5", {"X_Forwarded_Proto": "HTTPS"}, False, Origin("10.0.0.1", True)),
        ("10.0.0.1:5", {"X_Forwarded_Proto": "https, http"}, False, Origin("10.0.0.1", False)),
        ("10.0.0.1:5", {"X_Forwarded_Proto": "http"}, True, Origin("10.0.0.1", False)),
        (
            "10.0.0.1:5",
            {"X_Forwarded_For": "127.0.0.1, 192.0.2.9", "X_Forwarded_Proto": "https"},
            False,
            Origin("192.0.2.9", True),
        ),
        ("10.0.0.1:5", {"X_Forwarded_For": "garbage"}, True, Origin("10.0.0.1", True)),
        ("127.0.0.1:5", {"X_Forwarded_Proto": "http"}, False, Origin("127.0.0.1", False)),
        ("127.0.0.1:5", {"X_Forwarded_For": "192.0.2.9"}, False, Origin("192.0.2.9", False)),
        ("127.0.0.1:5", {"Via": "1.1 proxy"}, False, Origin("127.0.0.1", False)),
    ],
)
def test_secrets_are_taken_where_nobody_reads_along(
    peer: str, headers: dict[str, str], tls: bool, wanted: Origin
) -> None:
    assert origin_of(request_from(peer, **headers), PROXIES, tls=tls) == wanted


NOISE = st.binary(max_size=60) | st.sampled_from(
    [b"grant_type=password", b"&username=a", b"&password=%FF", b"&&", b"=", b"%", b"a=1;b=2"]
)


@given(
    parts=st.lists(NOISE, max_size=6),
    basic=st.none() | st.binary(max_size=40) | st.just(b"OjpA"),
    forwarded=st.binary(max_size=40),
)
def test_no_bytes_make_a_request_for_a_token_fail_otherwise_than_refused(
    parts: list[bytes], basic: bytes | None, forwarded: bytes
) -> None:
    headers = [
        (b"content-type", FORM.encode()),
        (b"x-forwarded-for", forwarded),
        (b"x-forwarded-proto", forwarded),
    ]
    if basic is not None:
        headers.append((b"authorization", b"Basic " + basic))
    request = Request("POST", PATH, "", tuple(headers), b"".join(parts), "127.0.0.1:5")
    origin = origin_of(request, PROXIES, tls=False)
    network_of(origin.address)
    with suppress(BadCredentials):
        credentials = credentials_of(request)
        assert credentials.user
        assert credentials.secret not in repr(credentials) or len(credentials.secret) < 20


async def test_basic_over_a_plain_connection_from_elsewhere_is_refused_with_the_mend() -> None:
    async with desk_with_accounts() as (desk, _):
        secret = base64.b64encode(f"ada:{SECRET}".encode()).decode()
        request = request_from("192.0.2.1:5", Authorization=f"Basic {secret}")
        answer = desk.desks["n1"].on_request(request)
        body = json.loads(getattr(answer, "body", b"null"))
        assert getattr(answer, "status", 0) == 400
        assert body["data"] == {"rule": "credentials.transport"}
        assert "https" in body["error_description"]


async def test_only_post_is_taken() -> None:
    async with desk_with_accounts() as (desk, _):
        answer = desk.desks["n1"].on_request(Request("GET", PATH, "", (), b"", "127.0.0.1:5"))
        assert getattr(answer, "status", 0) == 405
