"""Whatever happens in whatever order, a client holds every event once and in order.

A visitor's client and a supervisor's, at two nodes, lose their connections, come back at either
node with what they have, subscribe and unsubscribe, while messages are sent and a node lags or
jumps to a snapshot.  In the end each holds 1, 2, 3 … of the conversation, as the state has it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Gap
from tests.node.desk.office import Client, Office, office

NODES = ("n1", "n2")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 4)),
        st.tuples(st.just("visitor moves"), st.sampled_from(NODES)),
        st.tuples(st.just("boss moves"), st.sampled_from(NODES)),
        st.tuples(st.just("boss subscribes"), st.integers(0, 3)),
        st.tuples(st.just("boss unsubscribes"), st.just(0)),
        st.tuples(st.just("lags"), st.sampled_from(NODES)),
        st.tuples(st.just("catches up"), st.sampled_from(NODES)),
        st.tuples(st.just("jumps"), st.just("n2")),
        st.tuples(st.just("reads slowly"), st.booleans()),
    ),
    max_size=25,
)


class Holder:
    """What somebody has of one conversation, over all their connections."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.seqs: list[int] = []

    def collect(self, cv: str) -> None:
        """Take over what the connection delivered; it must go on where the last one ended."""
        if self.client is None:
            return
        assert self.client.heard(Gap) == []
        for seq in self.client.seqs(cv):
            assert seq == len(self.seqs) + 1, (seq, self.seqs, self.client.all())
            self.seqs.append(seq)
        self.client.forget()

    @property
    def have(self) -> int:
        return len(self.seqs)


class Play:
    """One example: the office, the conversation and its two readers."""

    def __init__(self, desk: Office, cv: str, author: Client) -> None:
        self.desk = desk
        self.cv = cv
        self.author = author
        self.visitor, self.boss = Holder(), Holder()
        self.said = 0

    async def say(self, count: int) -> None:
        for _ in range(count):
            self.said += 1
            self.author.ask(ops.MsgSend(cv=self.cv, key=f"m{self.said}", body="x"))

    async def move(self, holder: Holder, role: Any, subject: str, node: str) -> None:
        if holder.client is not None:
            holder.collect(self.cv)
            holder.client.leave()
        holder.client = self.desk.client(node)
        resume = ops.Resume(cvs=[(self.cv, holder.have)])
        await holder.client.hello(role, subject, resume=resume)
        holder.collect(self.cv)

    async def subscribe(self) -> None:
        if self.boss.client is not None:
            self.boss.collect(self.cv)
            request = ops.CvSub(cv=self.cv, from_=self.boss.have + 1)
            await self.boss.client.ok(request)

    async def unsubscribe(self) -> None:
        if self.boss.client is not None:
            await self.boss.client.ok(ops.CvUnsub(cv=self.cv))

    def jump(self) -> None:
        self.desk.port("n2").install_snapshot_of(self.desk.port("n1"))
        self.desk.port("n2").release()

    def read_slowly(self, slowly: bool) -> None:
        for holder in (self.visitor, self.boss):
            if holder.client is not None:
                holder.client.wire.outbox_bytes = 1_000_000 if slowly else 0

    async def step(self, what: str, how: Any) -> None:
        match what:
            case "say":
                await self.say(how)
            case "visitor moves":
                await self.move(self.visitor, "visitor", "v1", how)
            case "boss moves":
                await self.move(self.boss, "supervisor", "s1", how)
            case "boss subscribes":
                await self.subscribe()
            case "boss unsubscribes":
                await self.unsubscribe()
            case "lags":
                self.desk.port(how).held = how == "n2"
            case "catches up":
                self.desk.port(how).release()
            case "jumps":
                self.jump()
            case "reads slowly":
                self.read_slowly(how)

    async def finish(self) -> None:
        """Let everything calm down; then both must hold all of it."""
        for node in NODES:
            self.desk.port(node).release()
        self.read_slowly(False)
        for holder, role, subject in (
            (self.visitor, "visitor", "v1"),
            (self.boss, "supervisor", "s1"),
        ):
            if holder.client is None:
                await self.move(holder, role, subject, "n1")
        await self.subscribe()
        for desk in self.desk.desks.values():
            desk._hub.following.advance_lagging()
        await self.say(1)
        events = self.desk.port("n1").state.conversations[self.cv].seq
        for holder in (self.visitor, self.boss):
            holder.collect(self.cv)
            assert holder.client is not None
            assert holder.client.heard(Bye) == []
            assert holder.seqs == list(range(1, events + 1))


@settings(max_examples=60)
@given(steps=STEPS)
def test_everybody_holds_every_event_once_and_in_order(steps: list[tuple[str, Any]]) -> None:
    async def play() -> None:
        async with office(*NODES) as desk:
            author = await desk.visitor("v1", "n1")
            cv = await desk.opened(author)
            example = Play(desk, cv, author)
            for what, how in steps:
                await example.step(what, how)
            await example.finish()

    run(play)


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    trio.run(play)
