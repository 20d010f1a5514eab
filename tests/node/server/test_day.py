"""A day at a real desk of three nodes: colleagues, a supervisor, a node that dies meanwhile."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import Client, new_key, open_client
from node.local import LocalCluster
from node.protocol.catalogue import (
    CvGet,
    CvInvite,
    CvOpen,
    CvTag,
    CvTransfer,
    Ev,
    MsgDel,
    MsgSend,
    OfferAccept,
    OfferPush,
    StatusSet,
    SupJoin,
)

pytestmark = pytest.mark.process


class Person:
    """Somebody at the desk, with all that they heard."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: dict[int, Ev] = {}
        self.offers: list[OfferPush] = []

    async def listen(self) -> None:
        async for push in self.client.events():
            match push:
                case Ev(seq=seq):
                    self.events[seq] = push
                case OfferPush():
                    self.offers.append(push)

    async def ask(self, request: Any) -> dict[str, Any]:
        return await self.client.request(request, timeout_s=30)

    async def heard(self, kind: str, **data: Any) -> Ev:
        """Wait for an event of this type with such data."""
        with trio.fail_after(60):
            while True:
                for event in self.events.values():
                    if event.type == kind and data.items() <= event.data.items():
                        return event
                await trio.sleep(0.02)

    async def offered(self, asks: str) -> str:
        """Wait for an offer that asks for this; return its id."""
        with trio.fail_after(60):
            while not (found := [one.oid for one in self.offers if one.asks == asks]):
                await trio.sleep(0.02)
        return found[-1]


async def test_a_day_with_a_node_that_dies_in_a_warm_transfer(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path) as cluster, trio.open_nursery() as nursery:
        doomed = await cluster.wait_leader()
        first, second = [name for name in cluster.names if name != doomed]

        async def comes(role: Any, who: str, node: str, **claims: Any) -> Person:
            urls = [cluster.url(name) for name in (node, first, second)]
            token = cluster.mint(role, who, name=who.title(), **claims)
            client = await stack.enter_async_context(open_client(urls, token))
            person = Person(client)
            nursery.start_soon(person.listen)
            return person

        async with AsyncExitStack() as stack:
            ada = await comes("visitor", "ada", first)
            ann = await comes("agent", "ann", second, capacity=3)
            await ann.ask(StatusSet(status="online"))
            cv = (await ada.ask(CvOpen(key="o", text="my bill is wrong")))["cv"]
            taken = await ann.ask(OfferAccept(oid=await ann.offered("own"), key="a"))
            assert taken["cv"] == cv
            await ann.ask(CvTag(cv=cv, set={"topic": "billing"}))

            ben, kim = await comes("agent", "ben", first), await comes("agent", "kim", doomed)
            sue = await comes("supervisor", "sue", doomed)
            await kim.ask(StatusSet(status="away", reason="desk work"))
            await ben.ask(StatusSet(status="away"))
            await ann.ask(CvInvite(cv=cv, agent="ben", note="knows the tariffs"))
            await ben.ask(OfferAccept(oid=await ben.offered("join"), key="b"))
            await ben.ask(MsgSend(cv=cv, key="m1", body="I look at the tariff"))
            await ada.heard("joined", agent="ben")

            await sue.ask(SupJoin(cv=cv, mode="whisper"))
            await sue.ask(MsgSend(cv=cv, key="w", body="waive the fee", vis="agents"))
            await ann.heard("whisper", body="waive the fee")

            warm = CvTransfer(
                cv=cv, key="t", to={"agent": "kim"}, warm=True, keep=True, fence=taken["fence"]
            )
            oid = (await ann.ask(warm))["oid"]
            assert await kim.offered("take") == oid
            await cluster.kill(doomed)  # the leader, with the colleague and the supervisor
            said = await ann.ask(MsgSend(cv=cv, key="m2", body="one moment", fence=1))
            accepted = await kim.ask(OfferAccept(oid=oid, key="k"))
            assert accepted["fence"] == 2
            await kim.ask(MsgSend(cv=cv, key="m3", body="hello, Kim here", fence=2))
            await ann.ask(MsgSend(cv=cv, key="m4", body="I stay with you"))
            await ann.ask(MsgDel(cv=cv, mid=said["mid"], key=new_key()))

            view = (await kim.ask(CvGet(cv=cv)))["conv"]
            assert (view["owner"], view["fence"]) == ("kim", 2)
            assert sorted(one["agent"] for one in view["members"]) == ["ann", "ben"]
            assert view["tags"]["topic"] == "billing"
            last = view["seq"]
            with trio.fail_after(60):
                while max(ada.events) < last:
                    await trio.sleep(0.02)
            assert sorted(ada.events) == list(range(1, len(ada.events) + 1))
            whispered = [one for one in ada.events.values() if one.type == "hidden"]
            assert len(whispered) >= 4
            assert not any("waive" in str(one) for one in ada.events.values())
            nursery.cancel_scope.cancel()
