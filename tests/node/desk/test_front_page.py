"""Who may see what of the node itself: at the port of the clients, and where machines look."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from cluster.state.commands import SYSTEM, RevokeTokens
from cluster.state.limits import CLOCKS_S
from node.auth import claimed, mint, pass_for_pages
from node.config import ObserveConfig
from node.desk.application import Desk
from node.desk.observing import LIMITS, observing
from node.edge.addresses import Addresses
from node.edge.http import Request, Response
from node.edge.server import open_listener
from node.protocol.catalogue import Role
from tests.node.desk.office import CLUSTER, KEY, Office, office, token

PROBES = ("/livez", "/readyz", "/startupz")
PAGES = ("/metrics", "/cluster", "/readyz/quorum")
HOSTS = frozenset({"n1.desk.example"})
APART = ObserveConfig(("127.0.0.1", 7401))
BY_PROXIES = (
    (),
    ((b"x-forwarded-for", b"203.0.113.9"),),
    ((b"forwarded", b"for=127.0.0.1"),),
    ((b"x-real-ip", b"127.0.0.1"), (b"x-forwarded-for", b"127.0.0.1")),
)


def get(
    desk: Office,
    target: str,
    *,
    bearer: str = "",
    peer: str = "127.0.0.1:9",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Any:
    path, _, query = target.partition("?")
    if bearer:
        headers = (*headers, (b"authorization", f"Bearer {bearer}".encode()))
    return desk.desks["n1"].on_request(Request("GET", path, query, headers, b"", peer))


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("peer", ["127.0.0.1:9", "[::1]:9", "203.0.113.9:9", ""])
async def test_where_a_request_comes_from_opens_nothing(path: str, peer: str) -> None:
    async with office() as desk:
        for headers in BY_PROXIES:
            page = get(desk, path, peer=peer, headers=headers)
            assert page.status == 401
            assert ("WWW-Authenticate", "Bearer") in page.headers
            said = json.loads(page.body)
            assert "an operator's token" in said["msg"]
            assert said["data"] == {"rule": "token.missing"}


@pytest.mark.parametrize("path", PAGES)
async def test_where_machines_look_elsewhere_the_clients_port_says_so(path: str) -> None:
    async with office(observe=APART) as desk:
        page = get(desk, path)
        assert page.status == 404
        assert "[observe]" in json.loads(page.body)["msg"]
        assert "7401" not in json.loads(page.body)["msg"], "an address is for those inside"


@pytest.mark.parametrize("path", [*PAGES, "/cluster?digest=1", "/readyz?verbose", "/livez?verbose"])
@pytest.mark.parametrize("observe", [None, APART])
async def test_an_operator_sees_all_of_it_from_anywhere(
    path: str, observe: ObserveConfig | None
) -> None:
    async with office(observe=observe) as desk:
        page = get(desk, path, bearer=token("operator", "o1"), peer="203.0.113.9:9")
        page = page if isinstance(page, Response) else await page()
        assert page.status == 200
        assert b"check passed;" not in page.body


@pytest.mark.parametrize("role", ["visitor", "agent", "supervisor", "service"])
async def test_other_roles_see_none_of_it(role: Role) -> None:
    async with office() as desk:
        for path in (*PAGES, "/readyz?verbose"):
            page = get(desk, path, bearer=token(role, "x1"))
            assert page.status == 403
            assert json.loads(page.body)["data"] == {"rule": "role"}


async def test_an_operator_sees_it_while_the_node_lets_nobody_in() -> None:
    async with office() as desk:
        desk.port().stand("fenced", "no majority")
        proof = token("operator", "o1")
        assert json.loads(get(desk, "/cluster", bearer=proof).body)["standing"] == "fenced"
        page = get(desk, "/readyz?verbose", bearer=proof)
        assert page.status == 503
        assert b"[-]quorum failed: no majority" in page.body


async def test_what_the_cli_makes_to_read_pages_opens_nothing_else() -> None:
    async with office() as desk:
        proof = pass_for_pages(KEY, CLUSTER)
        for path in PAGES:
            assert get(desk, path, bearer=proof).status == 200
        headers = ((b"authorization", f"Bearer {proof}".encode()),)
        for path in ("/v1/backup", "/v1/snapshot", "/v1/op/audit.list", "/v1/op/node.drain"):
            order = Request("POST", path, "", headers, b"{}", "127.0.0.1:9")
            answer: Any = desk.desks["n1"].on_request(order)
            assert answer.status == 401, path
            assert json.loads(answer.body)["data"] == {"rule": "token.audience"}


async def test_pages_can_be_read_again_soon_after_all_that_could_was_revoked() -> None:
    async with office() as desk:
        desk.cluster.now_ms = (int(time.time()) - 2 * CLOCKS_S) * 1000
        desk.cluster.do(RevokeTokens(SYSTEM, "k", kind="operator", id="pages"))
        for afresh, status in ((False, 401), (True, 200)):
            proof = pass_for_pages(KEY, CLUSTER, afresh=afresh)
            assert get(desk, "/cluster", bearer=proof).status == status


async def test_what_reads_pages_of_another_cluster_reads_none_here() -> None:
    async with office() as desk:
        for proof in (
            pass_for_pages(KEY, "other"),
            pass_for_pages(b"another key's 16", CLUSTER),
            mint(KEY, f"{CLUSTER}/pages", role="visitor", subject="v1", ttl_s=60),
        ):
            assert get(desk, "/cluster", bearer=proof).status in (401, 403)


async def test_a_token_that_was_revoked_shows_nothing() -> None:
    async with office() as desk:
        proof = token("operator", "o1")
        jti, exp_s = claimed(proof)
        desk.cluster.do(RevokeTokens(SYSTEM, "k", jti=jti, exp_s=exp_s))
        assert get(desk, "/metrics", bearer=proof).status == 401


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer x",
        b"Basic b3A6b3A=",
        b"bearer \xff\xfe",
        b"Bearer " + b"e" * 9_000,
    ],
)
async def test_what_is_no_token_shows_nothing(value: bytes) -> None:
    async with office() as desk:
        for path in (*PAGES, "/readyz?verbose"):
            page = get(desk, path, headers=((b"authorization", value),))
            assert page.status == 401


@pytest.mark.parametrize("probe", PROBES)
async def test_a_probe_says_whether_and_no_more(probe: str) -> None:
    async with office() as desk:
        assert (get(desk, probe).status, get(desk, probe).body) == (200, b"ok\n")
        for query in ("verbose", "verbose&exclude=quorum", "exclude=disk", "x=" * 50):
            page = get(desk, f"{probe}?{query}")
            assert page.status == 200
            assert b"[+]" not in page.body
            assert page.body.startswith(f"{probe[1:]} check passed; its checks are shown".encode())


async def test_no_parameter_makes_a_probe_tell_which_check_failed() -> None:
    async with office() as desk:
        desk.port().stand("fenced", "nothing was heard of n2 at 10.0.0.2:7200")
        answers = {
            (page.status, page.body)
            for page in (
                get(desk, "/readyz"),
                get(desk, "/readyz?verbose"),
                get(desk, "/readyz?exclude=quorum"),
                get(desk, "/readyz?exclude=quorum&exclude=leader&exclude=disk"),
            )
        }
        ((status, body),) = answers
        assert status == 503
        assert b"n2" not in body
        assert b"quorum" not in body


async def test_a_probe_does_not_fail_for_a_token_that_it_need_not_have() -> None:
    async with office() as desk:
        for probe in PROBES:
            assert get(desk, probe, bearer=token("operator", "o1", ttl_s=-60)).status == 200


@pytest.mark.parametrize(
    "path",
    ["//cluster", "/cluster/", "/Cluster", "/%63luster", "/v1/../cluster", "/metrics/x", "/"],
)
async def test_a_path_that_is_nearly_one_is_none(path: str) -> None:
    async with office() as desk:
        assert get(desk, path).status == 404
        assert get(desk, path, bearer=token("operator", "o1")).status == 404


# -- where machines look


@asynccontextmanager
async def looking(desk: Desk) -> AsyncIterator[int]:
    listener = open_listener("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(observing(desk.pages, HOSTS).serve, [listener])
        yield listener.getsockname()[1]
        nursery.cancel_scope.cancel()


async def say(port: int, head: bytes) -> bytes:
    with trio.fail_after(30):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(head)
            said = b""
            while chunk := await stream.receive_some():  # until it hangs up, or has refused
                said += chunk
                if b" 404 Not Found" in said:
                    break
            return said


def test_where_machines_look_one_neighbour_leaves_room_for_the_others() -> None:
    addresses = Addresses(
        connections_max=LIMITS.address_connections_max, connects_per_s=LIMITS.address_connects_per_s
    )
    let_in = [addresses.enter("10.0.0.9", now=0.0) for _ in range(10_000)].count(True)
    assert 16 <= let_in <= LIMITS.handshaking_max // 2
    assert addresses.enter("10.0.0.8", now=0.0)


async def test_where_machines_look_nobody_is_asked_who_they_are() -> None:
    async with office(observe=APART) as desk, looking(desk.desks["n1"]) as port:
        for path, inside in (
            ("/livez", b"ok"),
            ("/startupz?verbose", b"[+]joined ok"),
            ("/readyz/quorum", b"ok"),
            ("/metrics", b"unidesk_raft_term"),
            ("/cluster", b'"standing":"serving"'),
            ("/cluster?digest=1", b'"state_digest"'),
        ):
            said = await say(
                port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            assert said.startswith(b"HTTP/1.1 200 OK"), said
            assert inside in said


@pytest.mark.parametrize(
    ("host", "mark", "status"),
    [
        (b"evil.example:7400", b"Accept-Language: en", b"403"),
        (b"n1.desk.example:7400", b"Accept-Language: en", b"200"),
        (b"unidesk.monitoring.svc:7400", b"User-Agent: Prometheus/3.5.0", b"200"),
    ],
)
async def test_where_machines_look_no_browser_is_led_under_a_strangers_name(
    host: bytes, mark: bytes, status: bytes
) -> None:
    async with office(observe=APART) as desk, looking(desk.desks["n1"]) as port:
        head = b"GET /cluster HTTP/1.1\r\nHost: %b\r\n%b\r\nConnection: close\r\n\r\n"
        said = await say(port, head % (host, mark))
        assert said.startswith(b"HTTP/1.1 " + status)
        assert (b"[observe] hosts" in said) == (status == b"403")


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/startupz", b"/readyz?verbose"])
async def test_where_machines_look_a_probe_that_looks_like_a_browser_hears_no_more_than_well(
    path: bytes,
) -> None:
    head = (
        b"GET %b HTTP/1.1\r\nHost: n1.lb.example:7400\r\nAccept-Language: *\r\n"
        b"User-Agent: Mozilla/5.0 (compatible; HealthCheck/1.0)\r\nConnection: close\r\n\r\n"
    )
    async with office(observe=APART) as desk, looking(desk.desks["n1"]) as port:
        said = await say(port, head % path)
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert b"[+]" not in said
        assert (b"[observe] hosts" in said) == (b"?" in path)


ORDER = (
    b"POST /v1/op/cv.open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
)
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (UPGRADE % b"/v1/ws", b"404"),
        (UPGRADE % b"/metrics", b"404"),
        (b"GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (ORDER, b"405"),
        (b"PUT /cluster HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n", b"413"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9_000, b"431"),
        (b"GET /metrics HTTP/1.1\nHost: x\n\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    ],
)
async def test_where_machines_look_nothing_else_is_served(head: bytes, status: bytes) -> None:
    async with office(observe=APART) as desk, looking(desk.desks["n1"]) as port:
        assert (await say(port, head)).startswith(b"HTTP/1.1 " + status)
        ok = await say(port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert ok.startswith(b"HTTP/1.1 200"), "it goes on"
