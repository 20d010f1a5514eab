"""An agent at a terminal: offers, conversations, answers.  Talks to nodes, the terminal."""

from typing import Any

import trio

from node.cli.agent_desk import Offered
from node.cli.agent_lines import parse_number
from node.cli.agent_lookups_seat import AgentLookups
from node.cli.messages import Words
from node.cli.seat import body_text
from node.protocol.catalogue import (
    Ev,
    Inbox,
    OfferAccept,
    OfferDecline,
    OfferGonePush,
    OfferPush,
    PresencePush,
    Push,
    StatusSet,
    Viewer,
    ViewersPush,
    Welcome,
)

COUNTDOWN_S = (10, 5)
"""An offer is called out again when so much is left."""
TICK_S = 0.25


class AgentSeat(AgentLookups):
    """One agent."""

    role = "agent"

    def __init__(self, words: Words) -> None:
        super().__init__(words)
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
                await self.request(StatusSet(status=self._status))
            case OfferPush():
                who = str(push.cust.get("name") or self.words("visitor"))
                offered = self._desk.offer(push, who, trio.current_time())
                self._show_offer(push, offered)
            case OfferGonePush():
                gone = self._desk.offer_gone(push.oid)
                if gone is not None and push.why != "accepted":
                    self.say("agent.gone", who=gone.who, why=self.words.term(push.why))
            case Inbox():
                self._show_inbox(push)
            case PresencePush():
                self._presences[push.who] = push
            case ViewersPush(cv=cv, list_=viewers):
                self._show_viewers(cv, viewers)

    def on_lost(self, cv: str) -> None:
        """Somebody else has it now."""
        if self._desk.holds(cv):
            self.say("agent.lost", number=self._desk.number(cv))
            self._desk.drop(cv)

    async def on_event(self, event: Ev) -> None:
        """Show what is said in the agent's conversations."""
        desk = self._desk
        number, mine = desk.number(event.cv), event.data.get("agent") == self._me
        desk.see(event, own=self._is_me(event))
        match event.type:
            case "assigned" if mine:
                desk.take(event.cv, int(event.data.get("fence", 0)))
                self.say("agent.took", number=number)
                for earlier in desk.transcript(event.cv):
                    self._show_message(earlier)
            case "joined" if mine and desk.holds(event.cv):
                desk.join(event.cv)
                self.say("agent.stays", number=number)
            case "joined" if mine:
                desk.join(event.cv)
                self.say("agent.takes_part", number=number)
                for earlier in desk.transcript(event.cv):
                    self._show_message(earlier)
            case "msg" | "note" | "whisper" if "deleted" not in event.data:
                desk.note(event)
                if desk.holds(event.cv):
                    self._show_message(event)
            case "edit" | "del":
                desk.correct(event)
                if desk.holds(event.cv):
                    self._show_change(event)
            case "closed":
                if desk.holds(event.cv):
                    self.say("closed")
                    desk.close(event.cv)
            case "left" if mine:
                self.say("agent.left", number=number)
                desk.drop(event.cv)
            case "unassigned" | "transferred" if not desk.takes_part(event.cv):
                if desk.holds(event.cv):
                    self.say("agent.lost", number=number)
                desk.drop(event.cv)
            case _ if desk.holds(event.cv):
                self._show_change(event)

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
            case "/warm" | "/warm-stay":
                await self._transfer(rest, warm=True, keep=command == "/warm-stay")
            case "/invite":
                await self._invite(rest)
            case "/leave":
                await self._leave()
            case "/tag":
                await self._tag(rest)
            case "/edit":
                await self._edit(rest)
            case "/undo":
                await self._edit(None)
            case "/reopen":
                await self._reopen(rest)
            case "/who":
                self._who()
            case "/close":
                await self._close(rest)
            case "/done":
                await self._done(rest)
            case "/canned":
                await self._canned(rest)
            case "/take":
                await self._take(rest)
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
        number = parse_number(text)
        if number is not None and self._desk.use(number):
            self.say("agent.current", number=number)
        else:
            self.say("agent.no_such", number=text)

    # -- showing

    def _take_snapshot(self, welcome: Welcome) -> None:
        self._me = str(welcome.you.get("id", ""))
        self._desk.clear_offers()  # those that still stand are pushed again
        snap = welcome.snap or {}
        held, helps = snap.get("cvs", []), snap.get("helps", [])
        for one in held:
            cv = str(one["cv"])
            if not self._desk.holds(cv) or self._desk.takes_part(cv):
                self._desk.take(cv, int(one["fence"]))
                self.say("agent.kept", number=self._desk.number(cv))
        for one in helps:
            if not self._desk.takes_part(str(one["cv"])):
                self._desk.join(str(one["cv"]))
                self.say("agent.takes_part", number=self._desk.number(str(one["cv"])))
        here = {str(one["cv"]) for one in (*held, *helps)}
        for cv in self._desk.held():
            if cv not in here:
                self.say("agent.lost", number=self._desk.number(cv))
                self._desk.drop(cv)

    def _show_offer(self, push: OfferPush, offered: Offered) -> None:
        told = {
            "who": offered.who,
            "queue": push.queue,
            "reason": self._reason(push.why),
            "lang": push.cust.get("lang") or "?",
            "preview": push.preview or "…",
            "seconds": offered.left_s(trio.current_time()),
            "by": push.why.get("by", ""),
            "note": push.note or "…",
        }
        match push.asks:
            case "join":
                self.say("agent.offer_join", **told)
            case "take":
                self.say("agent.offer_take", **told)
            case _:
                self.say("agent.offer", **told)

    def _reason(self, why: dict[str, Any]) -> str:
        """Return why a conversation is where it is, to stand behind its queue."""
        if why.get("by_hand"):
            return self.words("agent.by_hand")
        rule = self.words("agent.by_rule", rule=str(why["rule"])) if why.get("rule") else ""
        if why.get("step", 1) == 1:
            return rule
        return rule + self.words("agent.at_step", step=why["step"], steps=why["steps"])

    def _show_change(self, event: Ev) -> None:
        """Show what became of a conversation that the agent is in."""
        number = self._desk.number(event.cv)
        who = str(event.data.get("name") or event.data.get("agent") or "")
        match event.type:
            case "joined":
                self.say("agent.joined", number=number, who=who)
            case "left":
                self.say("agent.parted", number=number, who=who)
            case "uninvited":
                why = self.words.term(str(event.data.get("reason", "")))
                self.say("agent.uninvited", number=number, who=who, why=why)
            case "edit":
                self.say("agent.edited", number=number, text=body_text(event))
            case "del":
                self.say("agent.deleted", number=number)

    def _show_viewers(self, cv: str, viewers: list[Viewer]) -> None:
        others = [one.name or one.id for one in viewers if one.id != self._me]
        if others and self._desk.holds(cv):
            self.say("agent.viewers", number=self._desk.number(cv), who=", ".join(others))

    def _show_inbox(self, inbox: Inbox) -> None:
        shown = (inbox.load, inbox.capacity, inbox.status)
        if shown != self._shown:
            self._shown = shown
            self.say(
                "agent.online",
                status=self.words.term(inbox.status),
                load=inbox.load,
                capacity=inbox.capacity,
            )

    def _show_message(self, event: Ev) -> None:
        number, text = self._desk.number(event.cv), body_text(event)
        if event.type == "note":
            self.say("agent.noted", number=number, text=text)
            return
        by = event.by
        if event.type == "whisper":
            who = by.name or by.id if by is not None else ""
            self.say("agent.whispered", number=number, who=who, text=text)
            return
        who = self.words("visitor") if by is None else by.name or self.words(_kind(by.kind))
        if self._is_me(event):
            who = self.words("you")
        self.say("said", who=f"[{number}] {who}", text=text)

    def _is_me(self, event: Ev) -> bool:
        by = event.by
        return by is not None and by.kind == "agent" and by.id == self._me

    _me = ""


def _kind(kind: str) -> str:
    return "visitor" if kind == "visitor" else "agent"
