"""Backups by HTTP: who gets one, what is in it, and for how long it is kept."""

import io
import json

import pytest
import trio
import trio.testing

from cluster.backup.file import Reader
from cluster.backup.restore import load
from cluster.port import Unavailable
from cluster.state import snapshot
from cluster.state.commands import RaiseLevel
from cluster.state.levels import LEVEL
from node.desk import backups
from node.desk.application import Desk
from node.edge.http import Request, Response
from node.protocol import catalogue as ops
from node.protocol.catalogue import Role
from tests.node.desk.office import office, settle, token


async def ask(
    desk: Desk, method: str, target: str, *, role: Role = "operator", subject: str = "boss"
) -> Response:
    path, _, query = target.partition("?")
    bearer = f"Bearer {token(role, subject)}".encode()
    request = Request(method, path, query, ((b"authorization", bearer),), b"", "127.0.0.1:9")
    answer = desk.on_request(request)
    if callable(answer):
        made = await answer()
        assert isinstance(made, Response)
        return made
    assert isinstance(answer, Response)
    return answer


async def begin(desk: Desk, query: str = "") -> str:
    answer = await ask(desk, "POST", f"/v1/backup{query}")
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["backup"])


async def read(desk: Desk, name: str) -> bytes:
    data, number = b"", 0
    while (answer := await ask(desk, "GET", f"/v1/backup/{name}?piece={number}")).status == 200:
        data, number = data + answer.body, number + 1
    assert answer.status == 204
    return data


async def test_the_pieces_are_a_backup_of_the_moment_in_which_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backups, "PIECE_BYTES", 64)
    async with office() as desks:
        desk, ann = desks.desks["n1"], await desks.visitor()
        cv = await desks.opened(ann, "before")
        name = await begin(desk)
        expected = snapshot.digest(desks.port().state)
        await ann.ok(ops.MsgSend(cv=cv, key="k", body="after"))
        first = await ask(desk, "GET", f"/v1/backup/{name}?piece=0")
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece=0")).body == first.body
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece=7")).status == 400
        reader = Reader("it", io.BytesIO(await read(desk, name)).read)
        assert snapshot.digest(load(reader)) == expected
        header = reader.header
        assert (header.cluster, header.node, header.stale) == ("demo", "n1", False)
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece=0")).status == 404


@pytest.mark.parametrize("role", ["visitor", "agent", "supervisor", "service"])
async def test_only_operators_get_one(role: Role) -> None:
    async with office() as desks:
        answer = await ask(desks.desks["n1"], "POST", "/v1/backup", role=role)
        assert answer.status == 403


async def test_nobody_reads_another_operators_backup() -> None:
    async with office() as desks:
        desk = desks.desks["n1"]
        name = await begin(desk)
        other = await ask(desk, "GET", f"/v1/backup/{name}?piece=0", subject="eve")
        assert other.status == 404


async def test_so_many_are_kept_at_once_and_who_stays_away_loses_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with office() as desks:
        desk = desks.desks["n1"]
        names = [await begin(desk) for _ in range(backups.KEPT_MAX)]
        refused = await ask(desk, "POST", "/v1/backup")
        assert json.loads(refused.body)["code"] == "overloaded"
        monkeypatch.setattr(backups, "IDLE_S", -1.0)
        await begin(desk)
        assert (await ask(desk, "GET", f"/v1/backup/{names[0]}?piece=0")).status == 404


async def test_without_a_quorum_only_a_stale_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    async with office() as desks:
        desk, port = desks.desks["n1"], desks.port()

        async def no_quorum() -> Unavailable:
            return Unavailable("minority", "no quorum")

        monkeypatch.setattr(port, "barrier", no_quorum)
        refused = await ask(desk, "POST", "/v1/backup")
        assert (refused.status, json.loads(refused.body)["code"]) == (503, "minority")
        name = await begin(desk, "?stale=true")
        reader = Reader("it", io.BytesIO(await read(desk, name)).read)
        assert reader.header.stale


async def test_a_wrong_method_is_named() -> None:
    async with office() as desks:
        desk = desks.desks["n1"]
        assert (await ask(desk, "GET", "/v1/backup")).status == 405
        assert (await ask(desk, "POST", "/v1/backup/x")).status == 405


async def test_who_waits_for_a_quorum_has_a_place_and_not_more_than_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with office() as desks:
        desk, port = desks.desks["n1"], desks.port()
        quorum, statuses = trio.Event(), list[int]()

        async def late() -> None:
            await quorum.wait()

        async def post() -> None:
            statuses.append((await ask(desk, "POST", "/v1/backup")).status)

        monkeypatch.setattr(port, "barrier", late)
        async with trio.open_nursery() as nursery:
            for _ in range(backups.KEPT_MAX + 3):
                nursery.start_soon(post)
            await trio.testing.wait_all_tasks_blocked()
            quorum.set()
        assert sorted(statuses) == [200] * backups.KEPT_MAX + [503] * 3


async def test_whoever_asks_for_one_piece_for_ever_loses_the_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with office() as desks:
        desk = desks.desks["n1"]
        name = await begin(desk)
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece=0")).status == 200
        monkeypatch.setattr(backups, "WHOLE_S", -1.0)
        desk._ways_in.forget_idle()
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece=0")).status == 404


@pytest.mark.parametrize("piece", ["9" * 5_000, "-1", "", "x", "0.0"])
async def test_a_piece_that_is_no_number_is_refused(piece: str) -> None:
    async with office() as desks:
        desk = desks.desks["n1"]
        name = await begin(desk)
        assert (await ask(desk, "GET", f"/v1/backup/{name}?piece={piece}")).status == 400


@pytest.mark.parametrize("query", ["", "?stale=true"])
async def test_the_audit_log_says_who_took_one(query: str) -> None:
    async with office() as desks:
        state = desks.port().state
        desks.port().submit(RaiseLevel(LEVEL), lambda _: None)
        await settle()
        await begin(desks.desks["n1"], query)
        await settle()
        lines = [one for one in state.audit if one.what == "backup.take"]
        assert [one.by.id for one in lines] == ["boss"]
