"""Agents and visitors at a real three-node cluster, as the complaints of others' users need them.

    Floor     the cluster, and who is at it; everybody leaves with the test
    Seat      one device of an agent; it may accept what it is offered
    Caller    a visitor, or whoever else speaks in conversations

A test has a queue of its own, whose skill its agents hold and nobody else.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from node.client import Client, RequestFailed
from node.client.client import new_key
from node.local import LocalCluster
from node.protocol import catalogue as ops
from node.protocol.catalogue import Ev, Inbox, OfferPush, Push, Request, Role

T = TypeVar("T")
P = TypeVar("P", bound=Push)

WAIT_S = 25.0
"""How long what must happen may take on a busy machine."""
POLL_S = 0.02
QUEUES = tuple(f"case{number}" for number in range(1, 41))


def rules() -> str:
    """Return rules that give every case a queue of its own."""
    return "[queue.general]\n" + "".join(
        f'[queue.{queue}]\nskills = ["{queue}"]\naccept = "30s"\n' for queue in QUEUES
    )


async def until(what: Callable[[], Any], why: str = "it never happened") -> None:
    """Wait until `what` holds; fail with `why` when it never does."""
    with trio.move_on_after(WAIT_S):
        while not what():
            await trio.sleep(POLL_S)
        return
    raise AssertionError(why)


async def together(*asked: Callable[[], Awaitable[T]]) -> list[T | RequestFailed]:
    """Ask all at once; return what came of each, in their order."""
    found: dict[int, T | RequestFailed] = {}

    async def ask(number: int) -> None:
        try:
            found[number] = await asked[number]()
        except RequestFailed as failed:
            found[number] = failed

    async with trio.open_nursery() as nursery:
        for number in range(len(asked)):
            nursery.start_soon(ask, number)
    return [found[number] for number in range(len(asked))]


class Person:
    """A client, and all that it was told."""

    def __init__(
        self, floor: "Floor", role: Role, who: str, at: str, *, pinned: bool = False, **claims: Any
    ) -> None:
        """Come to node `at` first; `pinned` ones go nowhere else."""
        self.floor = floor
        self.id = floor.id(who)
        self.told: list[Push] = []
        token = floor.cluster.mint(role, self.id, name=who.title(), **claims)
        urls = floor.urls(at)[: 1 if pinned else None]
        self.client = Client(urls, token, pinned=pinned, on_push=self.take)
        self._running = trio.CancelScope()

    async def run(self) -> None:
        """Be connected, until the test is over or the connection is broken."""
        with self._running:
            await self.client.run()

    def leave_without_a_word(self) -> None:
        """Break the connection as a telephone does that falls asleep: no goodbye."""
        self._running.cancel()

    def take(self, push: Push) -> None:
        self.told.append(push)

    async def ask(self, request: Request) -> dict[str, Any]:
        return await self.client.request(request, timeout_s=WAIT_S)

    async def refusal(self, request: Request) -> RequestFailed:
        """Return how `request` is refused; fail when it is not."""
        (came,) = await together(lambda: self.ask(request))
        assert isinstance(came, RequestFailed), f"{request} was not refused: {came}"
        return came

    def events(self, cv: str) -> list[Ev]:
        return [push for push in self.told if isinstance(push, Ev) and push.cv == cv]

    def said(self, cv: str) -> list[Any]:
        """Return what was said in a conversation, in the order in which it came."""
        return [event.data.get("body") for event in self.events(cv) if event.type == "msg"]

    def types(self, cv: str) -> list[str]:
        """Return what kinds of events came."""
        return [event.type for event in self.events(cv)]

    async def hears(self, cv: str, text: str) -> None:
        """Wait until `text` was said in a conversation."""
        await until(lambda: text in self.said(cv), f"{self.id} never heard {text!r}")

    def pushes(self, kind: type[P]) -> list[P]:
        return [push for push in self.told if isinstance(push, kind)]

    async def say(self, cv: str, text: str, *, key: str = "", **more: Any) -> dict[str, Any]:
        return await self.ask(ops.MsgSend(cv=cv, key=key or new_key(), body=text, **more))

    async def history(self, cv: str) -> list[dict[str, Any]]:
        """Return all events of a conversation, read anew."""
        events: list[dict[str, Any]] = []
        while True:
            after = events[-1]["seq"] if events else 0
            page = await self.ask(ops.CvHistory(cv=cv, after=after))
            events += page["events"]
            if not page.get("more"):
                return events


class Caller(Person):
    """A visitor."""

    async def open(self, text: str = "", *, key: str = "", **more: Any) -> str:
        """Open a conversation in the queue of the test."""
        hint = {"queue": self.floor.queue}
        opening = ops.CvOpen(key=key or new_key(), hint=hint, text=text, **more)
        return str((await self.ask(opening))["cv"])


class Seat(Person):
    """One device of an agent."""

    def __init__(self, *args: Any, accepts: bool = True, **claims: Any) -> None:
        super().__init__(*args, **claims)
        self.accepts = accepts
        self.offers: list[OfferPush] = []
        """All that were ever made."""
        self.fences: dict[str, int] = {}
        """Of the conversations that were assigned to this agent and are not closed."""
        self.loads: list[int] = []

    def take(self, push: Push) -> None:
        super().take(push)
        match push:
            case OfferPush():
                self.offers.append(push)
                if self.accepts:
                    self.floor.nursery.start_soon(self.accept, push.oid)
            case Inbox():
                self.loads.append(push.load)
            case Ev(type="assigned", cv=cv) if push.data.get("agent") == self.id:
                self.fences[cv] = push.data["fence"]
            case Ev(type="closed", cv=cv):
                self.fences.pop(cv, None)

    async def accept(self, oid: str) -> None:
        """Accept; be silent where another device was quicker."""
        try:
            await self.ask(ops.OfferAccept(oid=oid, key=new_key()))
        except RequestFailed as failed:
            if failed.code != "offer_gone":
                raise

    async def set(self, status: Any) -> None:
        await self.ask(ops.StatusSet(status=status))

    async def answer(self, cv: str, text: str, **more: Any) -> dict[str, Any]:
        return await self.say(cv, text, fence=self.fences[cv], **more)

    async def close(self, cv: str) -> None:
        await self.ask(ops.CvClose(cv=cv, key=new_key()))


class Floor:
    """Everybody who is at the cluster in one test."""

    def __init__(self, cluster: LocalCluster, nursery: trio.Nursery, queue: str) -> None:
        self.cluster = cluster
        self.nursery = nursery
        self.queue = queue

    def urls(self, first: str) -> list[str]:
        """Return where clients connect, node `first` first."""
        return sorted(self.cluster.urls, key=lambda url: url != self.cluster.url(first))

    def id(self, who: str) -> str:
        """Return a principal of this test alone."""
        return f"{self.queue}-{who}"

    async def seat(
        self, who: str, at: str, *, capacity: int = 5, online: bool = True, **options: Any
    ) -> Seat:
        """Let an agent in by one more device."""
        skills = options.pop("skills", {self.queue: 1})
        seat = Seat(self, "agent", who, at, capacity=capacity, skills=skills, **options)
        await self._come(seat)
        if online:
            await seat.set("online")
        return seat

    async def caller(self, who: str, at: str, **options: Any) -> Caller:
        """Let a visitor in."""
        caller = Caller(self, "visitor", who, at, **options)
        await self._come(caller)
        return caller

    async def supervisor(self, at: str) -> Person:
        person = Person(self, "supervisor", "supervisor", at)
        await self._come(person)
        return person

    async def _come(self, person: Person) -> None:
        self.nursery.start_soon(person.run)
        await person.client.wait_welcome()

    async def restart(self, name: str) -> None:
        """Start a killed node again, and wait until it serves."""
        self.cluster.restart(name)
        await self.cluster.wait_ready(timeout_s=60)


@asynccontextmanager
async def open_floor(cluster: LocalCluster, queue: str) -> AsyncIterator[Floor]:
    """Let people in, and out again when the block ends."""
    async with trio.open_nursery() as nursery:
        yield Floor(cluster, nursery, queue)
        nursery.cancel_scope.cancel()
