"""An agent at a terminal: offers, conversations, answers.  Talks to nodes, the terminal."""

import trio

from node.cli.agent_desk import AgentDesk, Offered
from node.cli.messages import Words
from node.cli.seat import Seat, body_text
from node.client import new_key
from node.protocol.catalogue import (
    CvClose,
    CvTransfer,
    Ev,
    Inbox,
    MsgSend,
    OfferAccept,
    OfferDecline,
    OfferGonePush,
    OfferPush,
    Push,
    StatusSet,
    Welcome,
)

COUNTDOWN_S = (10, 5)
"""An offer is called out again when so much is left."""
STATUSES = ("online", "away", "busy", "transfer_only")
TICK_S = 0.25
NUMBER_DIGITS_MAX = 6


class AgentSeat(Seat):
    """One agent."""

    role = "agent"

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self._desk = AgentDesk()
        self._status = "online"
        self._shown = (-1, -1, "")

    def greet(self) -> None:
        """Say how this works."""
        self.say("agent.hint")

    # -- what nodes say

    async def on_push(self, push: Push) -> None:
        """Show offers and the agent's own state."""
        match push:
            case Welcome():
                self._take_snapshot(push)
                await self.request(StatusSet(status=self._status))  # type: ignore[arg-type]
            case OfferPush():
                who = str(push.cust.get("name") or self.words("visitor"))
                offered = self._desk.offer(push, who, trio.current_time())
                self.say(
                    "agent.offer",
                    who=who,
                    queue=push.queue,
                    lang=push.cust.get("lang") or "?",
                    preview=push.preview or "…",
                    seconds=offered.left_s(trio.current_time()),
                )
            case OfferGonePush():
                gone = self._desk.offer_gone(push.oid)
                if gone is not None and push.why != "accepted":
                    self.say("agent.gone", who=gone.who, why=push.why)
            case Inbox():
                self._show_inbox(push)

    def on_lost(self, cv: str) -> None:
        """Somebody else has it now."""
        if self._desk.holds(cv):
            self.say("agent.lost", number=self._desk.number(cv))
            self._desk.drop(cv)

    async def on_event(self, event: Ev) -> None:
        """Show what is said in the agent's conversations."""
        desk = self._desk
        number = desk.number(event.cv)
        match event.type:
            case "assigned" if event.data.get("agent") == self._me:
                desk.take(event.cv, int(event.data.get("fence", 0)))
                self.say("agent.took", number=number)
                for earlier in desk.transcript(event.cv):
                    self._show_message(earlier)
            case "msg" | "note":
                desk.note(event)
                if desk.holds(event.cv):
                    self._show_message(event)
            case "closed" | "unassigned" | "transferred":
                if desk.holds(event.cv):
                    self.say("closed" if event.type == "closed" else "agent.lost", number=number)
                desk.drop(event.cv)

    async def watch(self) -> None:
        """Count offers down."""
        while True:
            await trio.sleep(TICK_S)
            for offered in self._desk.due(trio.current_time(), COUNTDOWN_S):
                seconds = offered.left_s(trio.current_time())
                self.say("agent.countdown", who=offered.who, seconds=seconds)

    # -- what the agent says

    async def on_line(self, line: str) -> None:
        """Do what the line says, or send it to the current conversation."""
        command, _, rest = line.partition(" ")
        rest = rest.strip()
        match command:
            case "/help":
                self.say("agent.help")
            case "/accept":
                await self._accept()
            case "/decline":
                await self._decline(rest)
            case "/list":
                self._list()
            case "/use":
                self._use(rest)
            case "/note":
                await self._send(rest, hidden=True)
            case "/transfer":
                await self._transfer(rest)
            case "/close":
                await self._close(rest)
            case "/status":
                await self._set_status(rest)
            case _ if command.startswith("/"):
                self.say("unknown", command=command)
            case _:
                await self._send(line, hidden=False)

    async def _accept(self) -> None:
        offered = self._newest()
        if offered is not None:
            await self.request(OfferAccept(oid=offered.oid, key=f"accept-{offered.oid}"))

    async def _decline(self, reason: str) -> None:
        offered = self._newest()
        if offered is not None:
            await self.request(OfferDecline(oid=offered.oid, reason=reason))

    def _newest(self) -> Offered | None:
        offered = self._desk.newest_offer(trio.current_time())
        if offered is None:
            self.say("agent.no_offer")
        return offered

    def _list(self) -> None:
        held = self._desk.held()
        if not held:
            self.say("agent.none")
        for cv in held:
            self.say("agent.kept", number=self._desk.number(cv))

    def _use(self, text: str) -> None:
        if text.isdecimal() and len(text) <= NUMBER_DIGITS_MAX and self._desk.use(int(text)):
            self.say("agent.current", number=int(text))
        else:
            self.say("agent.no_such", number=text)

    async def _send(self, text: str, *, hidden: bool) -> None:
        current = self._current()
        if current is not None and text:
            cv, fence = current
            vis = "agents" if hidden else "all"
            await self.request(
                MsgSend(cv=cv, key=new_key(), body=text, vis=vis, fence=fence)  # type: ignore[arg-type]
            )

    async def _transfer(self, text: str) -> None:
        queue, _, note = text.partition(" ")
        current = self._current()
        if current is not None and queue:
            cv, fence = current
            await self.request(
                CvTransfer(cv=cv, key=new_key(), to={"queue": queue}, note=note, fence=fence)
            )

    async def _close(self, reason: str) -> None:
        current = self._current()
        if current is not None:
            await self.request(CvClose(cv=current[0], key=new_key(), reason=reason))

    async def _set_status(self, text: str) -> None:
        if text not in STATUSES:
            self.say("unknown", command=f"/status {text}")
            return
        self._status = text
        await self.request(StatusSet(status=text))  # type: ignore[arg-type]

    def _current(self) -> tuple[str, int] | None:
        current = self._desk.current
        if current is None:
            self.say("agent.none")
        return current

    # -- showing

    def _take_snapshot(self, welcome: Welcome) -> None:
        self._me = str(welcome.you.get("id", ""))
        self._desk.clear_offers()  # those that still stand are pushed again
        held = (welcome.snap or {}).get("cvs", [])
        for one in held:
            cv = str(one["cv"])
            if not self._desk.holds(cv):
                self._desk.take(cv, int(one["fence"]))
                self.say("agent.kept", number=self._desk.number(cv))
        for cv in self._desk.held():
            if cv not in {str(one["cv"]) for one in held}:
                self.say("agent.lost", number=self._desk.number(cv))
                self._desk.drop(cv)

    def _show_inbox(self, inbox: Inbox) -> None:
        shown = (inbox.load, inbox.capacity, inbox.status)
        if shown != self._shown:
            self._shown = shown
            self.say(
                "agent.online",
                status=inbox.status,
                load=inbox.load,
                capacity=inbox.capacity,
            )

    def _show_message(self, event: Ev) -> None:
        number, text = self._desk.number(event.cv), body_text(event)
        if event.type == "note":
            self.say("agent.noted", number=number, text=text)
            return
        by = event.by
        who = self.words("visitor") if by is None else by.name or self.words(_kind(by.kind))
        if by is not None and by.kind == "agent" and by.id == self._me:
            who = self.words("you")
        self.say("said", who=f"[{number}] {who}", text=text)

    _me = ""


def _kind(kind: str) -> str:
    return "visitor" if kind == "visitor" else "agent"
