"""A visitor at a terminal: the first line opens a conversation.  Talks to nodes, the terminal."""

from typing import Any

from node.cli.messages import Words
from node.cli.seat import Seat, body_text
from node.client import new_key
from node.protocol.catalogue import CvClose, CvOpen, CvRate, Ev, MsgSend, Push, TypingPush


class VisitorSeat(Seat):
    """One visitor with one conversation at a time."""

    role = "visitor"

    def __init__(self, words: Words, visitor: str, tags: dict[str, Any]) -> None:
        super().__init__(words)
        self._visitor = visitor
        self._tags = tags
        self._cv = ""
        self._queue: str | None = None
        self._closed = ""
        """The conversation that may be rated after its close."""

    def greet(self) -> None:
        """Say how to begin."""
        self.say("visitor.hint")

    async def on_line(self, line: str) -> None:
        """Send the line, or do what it asks."""
        command = line.split()[0]
        if command == "/close":
            await self._close()
        elif command == "/rate":
            await self._rate(line.removeprefix(command).strip())
        elif command.startswith("/"):
            self.say("unknown", command=command)
        elif self._cv:
            await self.request(MsgSend(cv=self._cv, key=new_key(), body=line))
        else:
            await self._open(line)

    async def on_event(self, event: Ev) -> None:
        """Show what the visitor should know."""
        if event.type != "closed":
            self._cv = self._cv or event.cv  # one that goes on, begun long before what is kept
        match event.type:
            case "opened":
                self._cv = event.cv
                self.say("visitor.opened")
            case "queued" if event.data.get("queue") != self._queue:
                # Every offer that lapses queues it again: news only when the queue is another.
                self._queue = event.data.get("queue")
                self.say("visitor.queued", queue=self._queue or "")
                if event.data.get("offline"):
                    self.say("visitor.offline")
            case "assigned":
                by = event.by
                name = by.name if by is not None and by.kind == "agent" else ""
                self.say("visitor.assigned", agent=name or event.data.get("agent", ""))
            case "unassigned" | "transferred":
                self.say("visitor.unassigned")
            case "msg":
                self.say("said", who=self._name(event), text=body_text(event))
            case "closed":
                self._queue = None
                self._cv = "" if self._cv == event.cv else self._cv
                self.say("closed")
                if "rate_until" in event.data:
                    self._closed = event.cv
                    self.say("visitor.rate")
            case "rated":
                self.say("visitor.rated", score=event.data.get("score", ""))

    def on_lost(self, cv: str) -> None:
        """The next line opens another."""
        self._cv = "" if self._cv == cv else self._cv

    async def on_push(self, push: Push) -> None:
        """Show that the agent types."""
        if isinstance(push, TypingPush) and push.on and push.kind == "agent":
            self.say("typing", who=push.who)

    async def _open(self, line: str) -> None:
        opening = CvOpen(
            key=new_key(),
            channel="terminal",
            lang=self.words.lang,
            tags=self._tags,
            text=line,
        )
        reply = await self.request(opening)
        if reply is not None:
            self._cv = str(reply["cv"])

    async def _close(self) -> None:
        if not self._cv:
            self.say("visitor.first")
            return
        await self.request(CvClose(cv=self._cv, key=new_key()))

    async def _rate(self, said: str) -> None:
        score, _, text = said.partition(" ")
        cv = self._cv or self._closed
        if not cv or score not in ("1", "2", "3", "4", "5"):
            self.say("visitor.how_to_rate" if cv else "visitor.first")
            return
        await self.request(CvRate(cv=cv, key=new_key(), score=int(score), text=text.strip()))

    def _name(self, event: Ev) -> str:
        if event.by is None:
            return self.words("agent")
        if event.by.kind == "visitor":
            return self.words("you")
        return event.by.name or event.by.id
