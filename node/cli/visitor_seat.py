"""A visitor at a terminal: the first line opens a conversation.  Talks to nodes, the terminal."""

from typing import Any

from node.cli.messages import Words
from node.cli.seat import Seat, body_text
from node.cli.terminal import say_line
from node.client import new_key
from node.protocol.catalogue import (
    CvClose,
    CvOpen,
    CvRate,
    CvReopen,
    Ev,
    MsgDel,
    MsgEdit,
    MsgSend,
    Push,
    QueuePush,
    TypingPush,
)


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
        """The conversation that ended last: it may be rated, and reopened."""
        self._said = ""
        """The newest message of the visitor's own."""

    def greet(self) -> None:
        """Say how to begin."""
        self.say("visitor.hint")

    async def on_line(self, line: str) -> None:
        """Send the line, or do what it asks."""
        command = line.split()[0]
        if command == "/close":
            await self._close()
        elif command == "/reopen":
            await self._reopen()
        elif command == "/help":
            self.say("visitor.hint")
        elif command == "/undo":
            await self._correct(None)
        elif command == "/edit":
            await self._correct(line.removeprefix(command).strip())
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
        if event.type not in ("closed", "del", "tagged", "hidden"):
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
            case "unassigned" | "transferred" if not event.data.get("warm"):
                self.say("visitor.unassigned")
            case "msg" if "deleted" not in event.data:
                if event.by is not None and event.by.kind == "visitor":
                    self._said = event.mid
                self.say("said", who=self._name(event), text=body_text(event))
            case "edit":
                self.say("edited", who=self._name(event), text=body_text(event))
            case "del":
                self._said = "" if self._said == event.mid else self._said
                self.say("deleted")
            case "joined":
                self.say("joined", who=self._guest(event))
            case "left":
                self.say("left", who=self._guest(event))
            case "reopened":
                self.say("reopened")
            case "closed":
                self._queue = None
                self._closed, self._said = event.cv, ""
                self._cv = "" if self._cv == event.cv else self._cv
                self.say("closed")
                if "rate_until" in event.data:
                    self.say("visitor.rate")
            case "rated":
                self.say("visitor.rated", score=event.data.get("score", ""))

    def on_lost(self, cv: str) -> None:
        """The next line opens another."""
        self._cv = "" if self._cv == cv else self._cv

    async def on_push(self, push: Push) -> None:
        """Show that the agent types, and where the visitor stands."""
        match push:
            case TypingPush(on=True, kind="agent"):
                self.say("typing", who=push.who)
            case QueuePush():
                say_line(self._place(push))

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

    def _place(self, push: QueuePush) -> str:
        """Return where the visitor stands, and how long that may take if it is known."""
        ahead = push.pos - 1
        place = self.words("visitor.place", ahead=ahead) if ahead else self.words("visitor.next")
        if push.eta_s is None:
            return place
        wait = self._span(push.eta_s)
        sure = push.conf == "high"
        told = self.words("visitor.wait" if sure else "visitor.wait_low", wait=wait)
        return f"{place}{told}" if self.words.lang == "zh" else f"{place} {told}"

    def _span(self, seconds: int) -> str:
        minutes = -(-seconds // 60)
        if seconds < 60:
            return self.words("seconds", count=seconds)
        if minutes == 1:
            return self.words("minute")
        if minutes < 120:
            return self.words("minutes", count=minutes)
        return self.words("hours", count=-(-minutes // 60))

    async def _reopen(self) -> None:
        if self._cv or not self._closed:
            self.say("visitor.first")
        elif await self.request(CvReopen(cv=self._closed, key=new_key())) is not None:
            self._cv = self._closed

    async def _correct(self, text: str | None) -> None:
        """Give the newest message of one's own another text; with None, take it back."""
        if not self._cv or not self._said or text == "":
            self.say("nothing_said")
        elif text is None:
            await self.request(MsgDel(cv=self._cv, mid=self._said, key=new_key()))
        else:
            await self.request(MsgEdit(cv=self._cv, mid=self._said, key=new_key(), body=text))

    def _guest(self, event: Ev) -> str:
        return str(event.data.get("name") or self.words("agent"))

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
