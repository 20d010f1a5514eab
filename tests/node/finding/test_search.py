"""The index beside the loop: what it takes in, when, and what becomes of its faults."""

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from cluster.state.model import Conversation
from cluster.state.state import State
from node.finding import search as search_module
from node.finding.fulltext import FullText
from node.finding.search import Search
from node.finding.words import parts_of
from tests.node.finding.made import conversation, said


class Told:
    """A state, and an index that is told what is said in it."""

    def __init__(self) -> None:
        self.state = State()
        self.search = Search(lambda: self.state, trio.current_time)

    def say(self, number: int, text: str) -> None:
        one = self.state.conversations.get(conversation(number).cv, conversation(number))
        one = said(one, text)
        self.state.conversations[one.cv] = one
        self.search.note(one, one.tail[-1])

    async def found(self, query: str) -> list[int]:
        sought = await self.search.seek(
            parts_of(query), beyond=None, newest=True, limit=50, everything=True, only=None
        )
        return [int(hit.cv[-10:]) for hit in sought.hits]

    async def settled(self) -> None:
        with trio.fail_after(30):
            while not self.search.complete:
                await trio.sleep(0.005)


@asynccontextmanager
async def running(*known: Conversation) -> AsyncIterator[Told]:
    told = Told()
    told.state.conversations = {one.cv: one for one in known}
    async with trio.open_nursery() as nursery:
        told.search.restart()
        nursery.start_soon(told.search.run)
        yield told
        nursery.cancel_scope.cancel()


async def test_what_was_said_before_a_question_is_found_by_it() -> None:
    async with running() as told:
        told.say(1, "parcel")
        assert await told.found("parcel") == [1]
        told.say(2, "another parcel")
        assert await told.found("parcel") == [2, 1]


async def test_what_is_there_is_read_in_order_and_what_is_said_meanwhile_comes_behind() -> None:
    many = [said(conversation(number), f"parcel {number}") for number in range(350)]
    async with running(*many) as told:
        assert not told.search.complete
        told.say(5, "late")
        told.say(400, "parcel too")
        assert told.search.to_read > 0
        await told.settled()
        found = await told.found("parcel")
        assert found == [400, *range(349, 300, -1)]
        assert await told.found("late") == [5]
        assert (
            told.search.texts == 2 * 350 + 1 + 1
        )  # heads and messages; of the new one no `opened` was told


async def test_a_fault_of_the_database_is_counted_and_all_is_read_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_module, "RETRY_S", (0.01, 0.02))
    faults = [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("malformed")]
    add = FullText.add

    def failing(index: FullText, *arguments: Any) -> None:
        if faults:
            raise faults.pop()
        add(index, *arguments)

    monkeypatch.setattr(FullText, "add", failing)
    async with running(said(conversation(1), "parcel")) as told:
        await told.settled()
        told.say(2, "parcel")
        assert await told.found("parcel") == [2, 1]
        assert told.search.failures == 2


async def test_an_index_that_falls_far_behind_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "TOLD_MAX", 10)
    async with running() as told:
        for number in range(30):
            told.say(number, "parcel")
        assert told.search.told <= 10
        assert told.search.to_read > 0
        await told.settled()
        assert await told.found("parcel") == list(range(29, -1, -1))


async def test_questions_wait_in_the_thread_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = threading.Event()
    seek = FullText.seek

    def slow(index: FullText, *arguments: Any, **more: Any) -> Any:
        assert blocked.wait(10)
        return seek(index, *arguments, **more)

    monkeypatch.setattr(FullText, "seek", slow)
    async with running(said(conversation(1), "parcel")) as told:
        await told.settled()
        found: list[int] = []

        async def ask() -> None:
            found.extend(await told.found("parcel"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            for _ in range(20):
                await trio.sleep(0.001)
            assert found == []
            blocked.set()
        assert found == [1]


async def test_a_jump_to_another_state_leaves_nothing_of_the_one_before() -> None:
    async with running(said(conversation(1), "parcel")) as told:
        await told.settled()
        told.state = State()
        two = said(conversation(2), "parcel")
        told.state.conversations[two.cv] = two
        told.search.restart()
        await told.settled()
        assert await told.found("parcel") == [2]
