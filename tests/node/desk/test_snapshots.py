"""A snapshot by HTTP: who may ask for one, what is said of it, and why there is none."""

import json
from typing import Any

import pytest
import trio
import trio.testing

from cluster.port import SnapshotWaits
from node.desk import snapshots
from node.protocol.catalogue import Role
from tests.node.desk.office import office
from tests.node.desk.test_backups import ask


async def test_an_operator_is_told_what_the_node_has_now() -> None:
    async with office() as desks:
        answer = await ask(desks.desks["n1"], "POST", "/v1/snapshot")
        index = desks.port().status().applied_index
        assert (answer.status, json.loads(answer.body)) == (
            200,
            {
                "node": "n1",
                "cluster": "demo",
                "index": index,
                "term": 1,
                "bytes": 4096,
                "file": f"/var/n1/{index:016d}.snap",
                "written": True,
                "write_ms": 7,
                "standing": "serving",
                "why": "",
            },
        )


@pytest.mark.parametrize("role", ["visitor", "agent", "supervisor", "service"])
async def test_nobody_else_may(role: Role) -> None:
    async with office() as desks:
        answer = await ask(desks.desks["n1"], "POST", "/v1/snapshot", role=role)
        assert answer.status == 403
        assert not desks.port().saves


async def test_who_must_wait_hears_why_and_asks_again_with_the_index() -> None:
    async with office() as desks:
        desk, port = desks.desks["n1"], desks.port()
        port.has_saved = False
        first = await ask(desk, "POST", "/v1/snapshot")
        waits: dict[str, Any] = json.loads(first.body)
        assert (first.status, waits["why"]) == (202, "it is being written")
        port.has_saved = True
        again = await ask(desk, "POST", f"/v1/snapshot?index={waits['index']}")
        assert (again.status, json.loads(again.body)["index"]) == (200, waits["index"])
        assert port.saves == [waits["index"]] * 2


async def test_a_fenced_node_saves_what_it_has_and_says_that_it_is_fenced() -> None:
    async with office() as desks:
        desks.port().stand("fenced", "no majority can be reached")
        told = json.loads((await ask(desks.desks["n1"], "POST", "/v1/snapshot")).body)
        assert (told["standing"], told["why"]) == ("fenced", "no majority can be reached")


async def test_where_there_will_be_none_the_reason_is_told() -> None:
    async with office() as desks:
        desks.port().no_snapshot = "n1 writes nothing: its disk is full"
        answer = await ask(desks.desks["n1"], "POST", "/v1/snapshot")
        refusal = json.loads(answer.body)
        assert (answer.status, refusal["code"]) == (409, "conflict")
        assert refusal["msg"] == "n1 writes nothing: its disk is full"


@pytest.mark.parametrize("index", ["", "-1", "x", "1.5", "9" * 5_000, "²"])
async def test_an_index_that_is_none_is_refused(index: str) -> None:
    async with office() as desks:
        answer = await ask(desks.desks["n1"], "POST", f"/v1/snapshot?index={index}")
        assert answer.status == 400


async def test_a_wrong_method_is_named() -> None:
    async with office() as desks:
        answer = await ask(desks.desks["n1"], "GET", "/v1/snapshot")
        assert (answer.status, dict(answer.headers)["Allow"]) == (405, "POST")


async def test_only_so_many_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with office() as desks:
        done, statuses = trio.Event(), list[int]()

        async def later(index: int = 0) -> SnapshotWaits:
            await done.wait()
            return SnapshotWaits(index, "")

        async def post() -> None:
            statuses.append((await ask(desks.desks["n1"], "POST", "/v1/snapshot")).status)

        monkeypatch.setattr(desks.port(), "save_snapshot", later)
        async with trio.open_nursery() as nursery:
            for _ in range(snapshots.WAITING_MAX + 2):
                nursery.start_soon(post)
            await trio.testing.wait_all_tasks_blocked()
            done.set()
        assert sorted(statuses) == [202] * snapshots.WAITING_MAX + [503] * 2
