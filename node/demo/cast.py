"""The demo's visitors and agents, each with a connection of its own.  Talks to nodes.

    visitor   open ─▶ waits for an agent ─▶ says a line ─▶ waits for the answer ─▶ … ─▶ close
    agent     accept ─▶ answers the visitor's lines by the script, or says that they are scripted

Somebody at a terminal comes first: an agent of the demo passes a terminal's conversation on
once, so that a person who plays the agent gets it, and takes it when it is offered again.
"""

from collections.abc import Iterable
from typing import Any

import trio

from node.client import Client, RequestFailed, Stopped, Timing, new_key, open_client
from node.client.client import Pushes
from node.demo.board import Board
from node.demo.script import ANSWERS, SCENES, Scene
from node.protocol.catalogue import (
    CvClose,
    CvOpen,
    Ev,
    MsgSend,
    OfferAccept,
    OfferDecline,
    OfferPush,
    Push,
    Request,
    StatusSet,
    Typing,
    Welcome,
)

PACE_S = 1.6
ANSWER_S_MAX = 25.0
"""How long a visitor waits for an answer before going on without one."""
AGENT_S_MAX = 120.0
TIMING = Timing(retry_s_max=2.0)
PASSED_MAX = 1_000


async def ask(client: Client, request: Request) -> dict[str, Any] | None:
    """Return the reply, or None where the cluster says no: the demo goes on."""
    try:
        return await client.request(request)
    except RequestFailed:
        return None


class Visitor:
    """A visitor who plays one scene; everything they see goes to the board."""

    def __init__(self, urls: Iterable[str], token: str, board: Board) -> None:
        self._urls = list(urls)
        self._token = token
        self._board = board

    async def run(self, scene: Scene) -> None:
        """Play `scene` to its end."""
        try:
            async with open_client(self._urls, self._token, name="demo", timing=TIMING) as client:
                await self._play(client, scene)
                await trio.sleep(2 * PACE_S)
        except Stopped as stopped:
            self._board.say(f"{scene.visitor} was sent away: {stopped}")

    async def _play(self, client: Client, scene: Scene) -> None:
        opening = CvOpen(
            key=new_key(),
            lang=scene.lang,
            subject=scene.visitor,
            tags={**dict(scene.tags), "scene": SCENES.index(scene)},
        )
        opened = await ask(client, opening)
        if opened is None:
            return
        cv = str(opened["cv"])
        events = client.events()
        with trio.move_on_after(AGENT_S_MAX):
            await self._wait(events, cv, "assigned")
        for place, (side, line) in enumerate(scene.lines):
            if side == "visitor":
                client.notify(Typing(cv=cv, on=True))
                await trio.sleep(PACE_S)
                await ask(client, MsgSend(cv=cv, key=f"{cv}-{place}", body=line))
            else:
                with trio.move_on_after(ANSWER_S_MAX):
                    await self._wait(events, cv, "msg")
        await trio.sleep(PACE_S)
        await ask(client, CvClose(cv=cv, key=f"{cv}-close"))
        with trio.move_on_after(ANSWER_S_MAX):
            await self._wait(events, cv, "closed")

    async def _wait(self, events: Pushes, cv: str, kind: str) -> None:
        """Wait for an event of a kind; a message must be the agent's."""
        async for push in events:
            if isinstance(push, Ev):
                self._board.take(push)
                by_agent = push.by is not None and push.by.kind == "agent"
                if push.cv == cv and push.type == kind and (by_agent or kind != "msg"):
                    return


class ScriptedAgent:
    """An agent who knows the scenes."""

    def __init__(
        self, name: str, urls: Iterable[str], token: str, board: Board, nursery: trio.Nursery
    ) -> None:
        self._name = name
        self._urls = list(urls)
        self._token = token
        self._board = board
        self._nursery = nursery
        self._client: Client | None = None
        self._scenes: dict[str, tuple[Scene | None, str]] = {}
        self._fences: dict[str, int] = {}
        self._passed: dict[str, None] = {}
        self._answered: dict[str, int] = {}

    async def run(self) -> None:
        """Be online until cancelled."""
        try:
            async with open_client(
                self._urls, self._token, name="demo", timing=TIMING, on_push=self._on_push
            ) as client:
                self._client = client
                await trio.sleep_forever()
        except Stopped as stopped:
            self._board.say(f"{self._name} was sent away: {stopped}")

    def _on_push(self, push: Push) -> None:
        match push:
            case Welcome():
                self._later(StatusSet(status="online"))
            case OfferPush():
                self._take_offer(push)
            case Ev():
                self._take_event(push)

    def _take_offer(self, offer: OfferPush) -> None:
        tags = offer.cust.get("tags") or {}
        if tags.get("terminal") and offer.cv not in self._passed and len(self._passed) < PASSED_MAX:
            self._passed[offer.cv] = None
            self._later(OfferDecline(oid=offer.oid, reason="a person first"))
            return
        number = tags.get("scene")
        scene = None
        if isinstance(number, int) and 0 <= number < len(SCENES):
            scene = SCENES[number]
        self._scenes[offer.cv] = (scene, str(offer.cust.get("lang") or "en"))
        self._later(OfferAccept(oid=offer.oid, key=f"accept-{offer.oid}"), PACE_S)

    def _take_event(self, event: Ev) -> None:
        self._board.take(event)
        mine = event.data.get("agent") == self._name
        if event.type == "assigned" and mine:
            self._fences[event.cv] = int(event.data.get("fence", 0))
            self._answer(event.cv)
        elif event.type in ("closed", "unassigned", "transferred"):
            self._fences.pop(event.cv, None)
        elif event.type == "msg" and event.by is not None and event.by.kind == "visitor":
            self._answered[event.cv] = self._answered.get(event.cv, 0) + 1
            self._answer(event.cv)

    def _answer(self, cv: str) -> None:
        fence, heard = self._fences.get(cv), self._answered.get(cv, 0)
        if fence is None or not heard:
            return
        scene, lang = self._scenes.get(cv, (None, "en"))
        for place, line in enumerate(answers(scene, heard, lang)):
            # The key names the line, so that no line is said twice, also after a reconnect.
            key = f"{cv}-{heard}-{place}"
            self._later(MsgSend(cv=cv, key=key, body=line, fence=fence), PACE_S * (place + 1))

    def _later(self, request: Request, pause_s: float = 0.0) -> None:
        self._nursery.start_soon(self._ask_later, request, pause_s)

    async def _ask_later(self, request: Request, pause_s: float) -> None:
        await trio.sleep(pause_s)
        assert self._client is not None
        try:
            await ask(self._client, request)
        except Stopped:
            pass  # `run` says it


def answers(scene: Scene | None, heard: int, lang: str) -> list[str]:
    """Return what an agent says to the visitor's line number `heard`, from 1."""
    if scene is None:
        lines = ANSWERS["zh" if lang.startswith("zh") else "en"]
        return [lines[min(heard, len(lines)) - 1]]
    found: list[str] = []
    visitor_lines = 0
    for side, line in scene.lines:
        if side == "visitor":
            visitor_lines += 1
        elif visitor_lines == heard:
            found.append(line)
    return found
