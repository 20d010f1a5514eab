"""Agents whose sessions are in several workers of one node, and in workers that are gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from cluster.port import Answer
from cluster.state.commands import By, CloseSession, OpenConversation
from cluster.state.model import Session
from cluster.state.outcome import Done, Refused
from node.desk.application import Desk
from node.protocol.catalogue import Bye, Hello, Resume, SupJoin, Welcome
from node.protocol.codes import Close
from node.workers.remote import RemotePort
from tests.cluster.three import until
from tests.node.desk.office import Client, config_of, token
from tests.node.workers.test_feed import Pair, pair

CV = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@dataclass
class Worker:
    """What serves clients in a worker process, in this one."""

    port: RemotePort
    desk: Desk
    life: trio.CancelScope

    async def agent(self, sid: str = "") -> tuple[Client, str]:
        """Let `ben` in, with a session of before if there is one; return its id too."""
        client = Client(self.desk)
        client.say(Hello(ver="1", token=token("agent", "ben"), resume=Resume(sid=sid)))
        await until(lambda: bool(client.heard(Welcome)))
        return client, client.heard(Welcome)[0].sid


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[tuple[Pair, Worker, Worker]]:
    async with pair(folder) as node:
        workers = []
        for _ in range(2):
            port, _, life = await node.worker_with_its_life()
            desk = Desk(port, config_of("n1", ("n1",)))
            port.watch_taken(desk.on_session_taken)
            await node.nursery.start(desk.run)
            workers.append(Worker(port, desk, life))
        yield node, workers[0], workers[1]


def session(node: Pair, sid: str) -> Session | None:
    return node.replica.state.sessions.get(sid)


async def test_a_session_goes_on_in_one_worker_when_its_old_socket_ends_in_another(
    tmp_path: Path,
) -> None:
    async with two_workers(tmp_path) as (node, first, second):
        old, sid = await first.agent()
        new, resumed = await second.agent(sid)
        assert resumed == sid
        await until(lambda: [one.code for one in old.heard(Bye)] == [Close.REPLACED])
        old.leave(1000)  # the client says goodbye: here a logout, were it still its session
        answers: list[Answer] = []
        first.port.submit(CloseSession(sid, "n1", node.replica.boot), answers.append)
        await until(lambda: bool(answers))
        assert isinstance(answers[0], Refused)
        node.holders.sweep()
        assert await second.port.barrier() is None
        known = session(node, sid)
        assert known is not None
        assert not known.lost_ms
        assert not new.heard(Bye)
        new.leave(1000)
        await until(lambda: session(node, sid) is None)


async def test_a_session_may_come_back_to_the_worker_that_it_left(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (node, first, second):
        _, sid = await first.agent()
        away, _ = await second.agent(sid)
        back, _ = await first.agent(sid)
        await until(lambda: bool(away.heard(Bye)))
        away.leave()
        assert await second.port.barrier() is None
        assert not back.heard(Bye)
        known = session(node, sid)
        assert known is not None
        assert not known.lost_ms


async def test_the_agents_of_a_worker_that_died_are_lost_and_others_are_not(
    tmp_path: Path,
) -> None:
    async with two_workers(tmp_path) as (node, first, second):
        _, lost = await first.agent()
        _, kept = await second.agent()
        node.holders.sweep()
        first.life.cancel()
        await trio.testing.wait_all_tasks_blocked()
        node.holders.sweep()
        node.holders.sweep()
        await until(lambda: bool((known := session(node, lost)) and known.lost_ms))
        known = session(node, kept)
        assert known is not None
        assert not known.lost_ms
        _, resumed = await second.agent(lost)
        assert resumed == lost
        node.holders.sweep()
        assert await second.port.barrier() is None
        known = session(node, lost)
        assert known is not None
        assert not known.lost_ms


async def supervise(worker: Worker, subject: str) -> None:
    boss = Client(worker.desk)
    boss.say(Hello(ver="1", token=token("supervisor", subject)))
    await until(lambda: bool(boss.heard(Welcome)))
    boss.ask(SupJoin(cv=CV, mode="barge"))


async def test_what_supervisors_joined_from_a_worker_that_died_ends(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (node, first, second):
        sent = OpenConversation(CV, By("visitor", "ada"), "o")
        assert isinstance(await node.replica.propose(sent), Done)
        for worker in (first, second):
            await supervise(worker, "sue" if worker is first else "max")

        def joined() -> set[str]:
            return {one.id for one in node.replica.state.conversations[CV].overseers}

        await until(lambda: joined() == {"sue", "max"})
        node.holders.sweep()
        first.life.cancel()
        await trio.testing.wait_all_tasks_blocked()
        node.holders.sweep()
        await until(lambda: joined() == {"max"})
