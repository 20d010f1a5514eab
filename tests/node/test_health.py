"""The pages for probes and people."""

import json
from typing import get_args

import pytest

from cluster.port import Standing
from node.edge.http import Request, Response
from node.health import probe_page, readiness
from node.protocol import catalogue as ops
from tests.node.desk.office import Office, office


def get(desk: Office, target: str, node: str = "n1") -> Response:
    path, _, query = target.partition("?")
    answer = desk.desks[node].pages.answer(Request("GET", path, query, (), b"", "127.0.0.1:9"))
    assert isinstance(answer, Response)
    return answer


async def test_a_node_that_turns_is_alive_whatever_its_standing() -> None:
    async with office() as desk:
        desk.port().stand("fenced")
        assert (get(desk, "/livez").status, get(desk, "/livez").body) == (200, b"ok\n")


async def test_a_serving_node_is_ready() -> None:
    async with office() as desk:
        assert (get(desk, "/readyz").status, get(desk, "/readyz").body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        ("fenced", "quorum"),
        ("starting", "quorum"),
        ("catching_up", "caught-up"),
        ("failed", "disk"),
        ("draining", "accepting"),
    ],
)
async def test_a_node_that_is_not_ready_says_why_in_words(standing: Standing, word: str) -> None:
    async with office() as desk:
        desk.port().stand(standing, "no majority")
        page = get(desk, "/readyz")
        assert page.status == 503
        assert page.body.decode().startswith(f"[-]{word} failed: ")
        assert page.body.decode().endswith("readyz check failed\n")
        assert len(page.body.split()) > 2


async def test_verbose_lists_every_check() -> None:
    async with office() as desk:
        lines = get(desk, "/readyz?verbose").body.decode().splitlines()
        assert "[+]quorum ok" in lines
        assert lines[-1] == "readyz check passed"
        desk.port().stand("fenced")
        lines = get(desk, "/readyz?verbose").body.decode().splitlines()
        assert any(line.startswith("[-]quorum failed: ") for line in lines)
        assert "[+]disk ok" in lines
        assert lines[-1] == "readyz check failed"


async def test_a_check_that_is_excluded_does_not_count() -> None:
    async with office() as desk:
        desk.port().stand("fenced")
        page = get(desk, "/readyz?verbose&exclude=quorum&exclude=nonsense")
        assert page.status == 200
        lines = page.body.decode().splitlines()
        assert "[+]quorum excluded: ok" in lines
        assert any(line.startswith("warn: no check is called nonsense") for line in lines)
        assert get(desk, "/readyz?exclude=quorum").body == b"ok\n"
        assert get(desk, "/readyz?exclude=disk").status == 503


async def test_one_check_may_be_asked_alone() -> None:
    async with office() as desk:
        desk.port().stand("fenced")
        assert get(desk, "/readyz/disk").status == 200
        assert get(desk, "/readyz/quorum").status == 503
        assert get(desk, "/livez/loop").body == b"ok\n"
        unknown = get(desk, "/readyz/moon")
        assert unknown.status == 404
        assert "quorum" in json.loads(unknown.body)["msg"]


async def test_a_node_has_started_once_a_leader_was_heard_and_stays_so() -> None:
    async with office() as desk:
        desk.port().stand("starting")
        page = get(desk, "/startupz?verbose")
        assert page.status == 503
        assert "[-]joined failed: " in page.body.decode()
        assert "[+]log ok" in page.body.decode()
        for standing in get_args(Standing):
            if standing != "starting":
                desk.port().stand(standing)
                assert get(desk, "/startupz").status == 200, standing


async def test_only_a_loop_that_hangs_is_a_reason_to_restart() -> None:
    async with office() as desk:
        for standing in get_args(Standing):
            desk.port().stand(standing, "the disk hangs, nobody is heard")
            assert get(desk, "/livez").status == 200, standing
        desk.desks["n1"].pages.core_silent = lambda: True
        page = get(desk, "/livez?verbose")
        assert page.status == 503
        assert "[-]core failed: " in page.body.decode()


async def test_a_draining_desk_is_not_ready() -> None:
    async with office() as desk:
        await desk.desks["n1"].drain(0.0)
        assert get(desk, "/readyz").status == 503
        checks = readiness(desk.port().status(), draining=True)
        assert b"stopped" in probe_page("readyz", checks).body


async def test_the_cluster_page_shows_what_this_node_sees() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv, other = await desk.opened(visitor), await desk.opened(visitor)
        await desk.assigned(cv, agent)
        desk.routed(other)
        page = json.loads(get(desk, "/cluster").body)
        assert (page["cluster"], page["node"], page["standing"]) == ("demo", "n1", "serving")
        assert page["pid"] > 0
        assert page["leader"] == "n1"
        assert page["rules_rev"] == 1
        assert page["counts"] == {
            "conversations": 2,
            "new": 0,
            "waiting": 1,
            "offered": 0,
            "assigned": 1,
            "closed": 0,
            "agents": 1,
            "sessions": 1,
            "connections": 2,
        }
        me, peer = page["nodes"]
        assert (me["id"], me["self"]) == ("n1", True)
        assert (peer["id"], peer["connected"], peer["peer"]) == ("n2", True, "127.0.0.1:7202")
        assert "state_digest" not in page
        assert page["epoch"] == 0
        assert page["chaos"] == {"allowed": [], "faults": []}
        assert page["backup_ms"] == 0


async def test_two_nodes_with_the_same_state_show_the_same_digest() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        digests = []
        for _ in range(2):
            await desk.opened(visitor)
            for node in ("n1", "n2"):
                request = Request("GET", "/cluster", "digest=1", (), b"", "127.0.0.1:9")
                answer = desk.desks[node].pages.answer(request)
                assert not isinstance(answer, Response)
                page = await answer()
                digests.append(json.loads(page.body)["state_digest"])
        assert digests[0] == digests[1]
        assert digests[2] == digests[3]
        assert digests[0]["digest"] != digests[2]["digest"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/op/cv.open", 405),
        ("POST", "/livez", 405),
        ("GET", "/v1/ws", 404),
    ],
)
async def test_what_is_not_there_is_said_in_json(method: str, path: str, status: int) -> None:
    async with office() as desk:
        request = Request(method, path, "", (), b"", "127.0.0.1:9")
        page = desk.desks["n1"].on_request(request)
        assert isinstance(page, Response)
        assert page.status == status
        assert json.loads(page.body).keys() == {"code", "msg"}


async def test_a_query_without_end_is_refused() -> None:
    async with office() as desk:
        assert get(desk, "/cluster?" + "&".join(f"a{n}" for n in range(50))).status == 400


async def test_an_upgrade_picks_the_clients_first_encoding_that_is_spoken_here() -> None:
    async with office() as desk:

        def upgrade(path: str, offered: bytes) -> object:
            headers = ((b"sec-websocket-protocol", offered),) if offered else ()
            request = Request("GET", path, "", headers, b"", "127.0.0.1:9")
            return desk.desks["n1"].on_upgrade(request)

        assert upgrade("/v1/ws", b"x, unidesk.v1+msgpack, unidesk.v1+json") == "unidesk.v1+msgpack"
        assert upgrade("/v1/ws", b"") is None
        for path, offered in (("/v1/ws", b"graphql-ws"), ("/elsewhere", b"unidesk.v1+json")):
            refusal = upgrade(path, offered)
            assert isinstance(refusal, Response)
            assert refusal.status in (400, 404)


async def test_counts_follow_a_conversation_to_its_end() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        await visitor.ok(ops.CvClose(cv=cv, key="c"))
        counts = json.loads(get(desk, "/cluster", node="n2").body)["counts"]
        assert (counts["conversations"], counts["closed"], counts["new"]) == (1, 1, 0)
