"""The row of a node that dies with people at it: 10.  Talks to nodes.

at the node that is killed                          must
an agent who can come back elsewhere                have their conversation, and go on in it
an agent who does not come back, with an offer      be offered nothing; the offer goes back ...
a visitor who came later, waiting                   ... before this one, who is younger
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from cluster.heal import rules
from node.client import Client, RequestFailed, new_key, open_client
from node.protocol.catalogue import (
    CvGet,
    CvOpen,
    Ev,
    MsgSend,
    OfferAccept,
    OfferPush,
    Push,
    RulesApply,
    StatusSet,
)
from scripts.heal_report.scene import Broken, Scene
from scripts.heal_report.signs import event

RULES = """
[queue.general]
skills = ["nobody"]

[queue.shown]
skills = ["shown"]
accept = "120s"
"""
"""The writers' conversations wait in `general`, where nobody is asked."""
OFFER_S = 30.0
BACK_S = 40.0
"""Five seconds until a node counts as gone, fifteen of grace, and some."""
RESUMED_S = 10.0


class Seat:
    """An agent with room for one conversation, who accepts or does not."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.offered: list[OfferPush] = []
        self.fences: dict[str, int] = {}

    def take(self, push: Push) -> None:
        match push:
            case OfferPush():
                self.offered.append(push)
            case Ev(type="assigned", cv=cv):
                self.fences[cv] = push.data["fence"]

    async def ask(self, request: object) -> dict[str, object]:
        assert self.client is not None
        return await self.client.request(request)  # type: ignore[arg-type]


@asynccontextmanager
async def seat(scene: Scene, who: str, at: str, *, pinned: bool = False) -> AsyncIterator[Seat]:
    """Let an agent in at node `at`, online."""
    one = Seat()
    token = scene.cluster.mint("agent", who, capacity=1, skills={"shown": 1})
    urls = sorted(scene.cluster.urls, key=lambda url: url != scene.cluster.url(at))
    async with open_client(
        urls[:1] if pinned else urls, token, pinned=pinned, on_push=one.take
    ) as one.client:
        await one.ask(StatusSet(status="online"))
        yield one


async def node_killed(scene: Scene) -> None:
    """10: healed when the offer is with somebody else, and the younger one still waits."""
    name = await scene.follower()
    other = await scene.follower(name)
    async with open_client(scene.cluster.urls, scene.cluster.mint("operator", "op")) as operator:
        await operator.request(RulesApply(files={"main.toml": RULES}))
    async with (
        seat(scene, "stays", name, pinned=True) as stays,
        open_client([scene.cluster.url(other)], scene.cluster.mint("visitor", "v1")) as first,
        open_client([scene.cluster.url(other)], scene.cluster.mint("visitor", "v2")) as second,
        open_client([scene.cluster.url(other)], scene.cluster.mint("visitor", "v3")) as third,
    ):
        older = await _open(first)
        await _until_offered(scene, stays, older)
        async with seat(scene, "moves", name) as moves:
            held = await _open(second)
            await _until_offered(scene, moves, held)
            await moves.ask(OfferAccept(oid=moves.offered[-1].oid, key=new_key()))
            scene.inject()
            scene.stage.down.add(name)
            await scene.cluster.kill(name)
            await _goes_on(scene, moves, held)
            younger = await _open(third)
            await scene.detect(rules.SILENT_NODE, event("node lost"))

            async def is_back() -> bool:
                return bool((await first.request(CvGet(cv=older)))["conv"]["state"] == "waiting")

            await scene.wait(is_back, "the offer to who does not come back is withdrawn", BACK_S)
            async with seat(scene, "fresh", other) as fresh:
                await _until_offered(scene, fresh, older, but=younger)
                scene.healed()
    scene.stage.down.discard(name)
    scene.cluster.restart(name)
    await scene.well()


async def _open(visitor: Client) -> str:
    opened = await visitor.request(CvOpen(key=new_key(), hint={"queue": "shown"}, text="hello"))
    return str(opened["cv"])


async def _until_offered(scene: Scene, agent: Seat, cv: str, *, but: str = "") -> None:
    async def is_offered() -> bool:
        if any(offer.cv == but for offer in agent.offered):
            raise Broken("who came later was offered before who waits longer")
        return any(offer.cv == cv for offer in agent.offered)

    await scene.wait(is_offered, f"{cv} is offered", OFFER_S)


async def _goes_on(scene: Scene, agent: Seat, cv: str) -> None:
    """Let the agent whose node is gone say something in what they hold."""
    try:
        with trio.fail_after(RESUMED_S):
            await agent.ask(
                MsgSend(cv=cv, key=new_key(), body="still here", fence=agent.fences[cv])
            )
    except (RequestFailed, KeyError, trio.TooSlowError) as error:
        raise Broken(f"an agent whose node was killed cannot go on: {error!r}") from None
