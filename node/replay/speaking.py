"""One dialogue, spoken from the first word to the close.  Talks to nodes.

    visitor  cv.open ──▶ queued … assigned ──▶ turn ──ok──▶ turn ──ok──▶ … ──▶ cv.close
                                                └ each waits until it has seen the turn before

A turn has one key for all its attempts.  Only when the cluster says that the speaker is not the
owner any more - then nothing was taken - it goes to the new owner, with a new key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from node.client import Client, RequestFailed, Stopped, Timing, open_client
from node.client.statistics import ClientStatistics
from node.protocol.catalogue import CvClose, CvOpen, Ev, MsgSend, Push
from node.replay import homes
from node.replay.checker import Acknowledged, Record, Said, View
from node.replay.crew import Crew, Owner
from node.replay.dialogues import Dialogue, Turn
from node.replay.watching import Watching

STEP_S = 40.0
"""How long one step of a dialogue may take before it is called unfinished."""
HANDOVERS_MAX = 20
DISOWNED = frozenset({"not_owner", "forbidden"})


@dataclass(slots=True)
class Book:
    """What a whole run adds up to."""

    acknowledged_at: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    handovers: int = 0

    def note(self, began: float) -> None:
        """Take note of a message that was acknowledged just now."""
        now = trio.current_time()
        self.acknowledged_at.append(now)
        self.latencies_s.append(now - began)


class Unfinished(Exception):
    """A dialogue could not be spoken to its end."""


class Speaking:
    """The two sides of one conversation."""

    def __init__(
        self,
        dialogue: Dialogue,
        visitor_id: str,
        home: str,
        crew: Crew,
        book: Book,
        *,
        pace_s: float,
    ) -> None:
        """`visitor_id` also begins every key of this dialogue; `home` is the visitor's node."""
        self.dialogue = dialogue
        self.visitor_id = visitor_id
        self.watching = Watching()
        self.record: Record | None = None
        self.visitor: Client | None = None
        self._key = visitor_id
        self._home = home
        self._crew = crew
        self._book = book
        self._pace_s = pace_s

    def on_push(self, push: Push) -> None:
        """Take note of what the visitor sees."""
        if isinstance(push, Ev):
            self.watching.take(push)

    async def visit(
        self, urls: Sequence[str], token: str, *, name: str, timing: Timing, agent_closes: bool
    ) -> tuple[str, ClientStatistics]:
        """Come as a client, speak, and leave; the record has what each side saw.

        Returns why it was not finished, empty where it was, and how the client did.
        """
        unfinished = ""
        async with open_client(
            urls, token, name=name, timing=timing, on_push=self.on_push
        ) as client:
            self.visitor = client
            try:
                await self.speak(agent_closes=agent_closes)
            except (Unfinished, RequestFailed, Stopped) as error:
                unfinished = str(error) or type(error).__name__
            statistics = client.statistics()
        if self.record is not None:
            self.record.views += self.views(finished=not unfinished)
        return unfinished, statistics

    async def speak(self, *, agent_closes: bool) -> None:
        """Speak every turn and close.  Raises `Unfinished`, `RequestFailed`, `Stopped`."""
        assert self.visitor is not None
        opening = CvOpen(
            key=f"{self._key}-open",
            lang=self.dialogue.lang,
            subject=self.dialogue.id,
            tags={**self.dialogue.flat_tags, homes.TAG: self._home},
        )
        opened = await self.visitor.request(opening)
        record = self.record = Record(str(opened["cv"]))
        record.acknowledged.append(Acknowledged(1, "opened"))
        seq = int(opened["seq"])
        for place, turn in enumerate(self.dialogue.turns):
            if self._pace_s:
                await trio.sleep(self._pace_s)
            key = f"{self._key}-{place}"
            if turn.role == "visitor":
                said = await self._say_as_visitor(record, turn, key, after=seq)
            else:
                said = await self._say_as_agent(record, turn, key, after=seq)
            record.said.append(said)
            seq = said.seq
        await self._close(record, seq, agent_closes=agent_closes)

    def views(self, *, finished: bool) -> list[View]:
        """Return what each side saw; of a dialogue that was not `finished`, up to somewhere."""
        assert self.record is not None
        cv = self.record.cv
        events = self.watching.events[cv]
        seen = [View("the visitor", events, sees_hidden=False, whole=finished)]
        for agent in self._crew.holders(cv):
            events = agent.watching.events[cv]
            seen.append(View(agent.name, events, sees_hidden=True, whole=False))
        return seen

    async def _say_as_visitor(self, record: Record, turn: Turn, key: str, *, after: int) -> Said:
        await self._in_time(self.watching.wait_seq, record.cv, after)
        assert self.visitor is not None
        began = trio.current_time()
        reply = await self.visitor.request(MsgSend(cv=record.cv, key=key, body=turn.text))
        self._book.note(began)
        return _said(reply, "visitor", self.visitor_id, turn)

    async def _say_as_agent(self, record: Record, turn: Turn, key: str, *, after: int) -> Said:
        def request(owner: Owner, attempt: int) -> MsgSend:
            return MsgSend(
                cv=record.cv,
                key=f"{key}-{attempt}",
                body=turn.text,
                vis="agents" if turn.role == "note" else "all",
                fence=owner.fence,
            )

        began = trio.current_time()
        reply, owner = await self._as_owner(record, request, after=after)
        self._book.note(began)
        return _said(reply, "agent", owner.agent.name, turn)

    async def _close(self, record: Record, seq: int, *, agent_closes: bool) -> None:
        if agent_closes:
            reply, _owner = await self._as_owner(
                record,
                lambda _, attempt: CvClose(cv=record.cv, key=f"{self._key}-close-{attempt}"),
                after=seq,
            )
        else:
            await self._in_time(self.watching.wait_seq, record.cv, seq)
            assert self.visitor is not None
            reply = await self.visitor.request(CvClose(cv=record.cv, key=f"{self._key}-close"))
        end = int(reply["seq"])
        record.acknowledged.append(Acknowledged(end, "closed"))
        await self._in_time(self.watching.wait_seq, record.cv, end)

    async def _as_owner(
        self,
        record: Record,
        request: Callable[[Owner, int], MsgSend | CvClose],
        *,
        after: int,
    ) -> tuple[dict[str, Any], Owner]:
        """Let whoever has the conversation ask; let the next one when they have it no more."""
        for attempt in range(HANDOVERS_MAX):
            owner = await self._in_time(self._crew.wait_owner, record.cv)
            if not await self._in_time(self._crew.wait_seen, record.cv, after, owner):
                self._book.handovers += 1
                continue
            client = owner.agent.client
            assert client is not None
            try:
                return await client.request(request(owner, attempt)), owner
            except RequestFailed as error:
                if error.code not in DISOWNED:
                    raise
                self._book.handovers += 1
                self._crew.disown(record.cv, owner)
        raise Unfinished(f"no agent kept it over {HANDOVERS_MAX} handovers")

    async def _in_time(self, wait: Callable[..., Any], *arguments: Any) -> Any:
        with trio.move_on_after(STEP_S):
            return await wait(*arguments)
        raise Unfinished(f"{wait.__name__}{arguments} took over {STEP_S:g} s")


def _said(reply: dict[str, Any], kind: str, who: str, turn: Turn) -> Said:
    hidden = turn.role == "note"
    return Said(int(reply["seq"]), str(reply["mid"]), kind, who, turn.text, hidden)
