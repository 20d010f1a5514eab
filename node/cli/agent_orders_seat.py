"""What an agent does with the current conversation, and with their own status.  Talks to nodes.

said, noted, corrected     MsgSend, MsgEdit, MsgDel
handed over, shared        CvTransfer cold or warm, CvInvite, CvLeave
sorted, ended, taken up    CvTag, CvClose, WrapDone, CvReopen
themselves                 StatusSet
"""

import time

from node.cli.agent_desk import AgentDesk
from node.cli.agent_lines import parse_number, parse_status, parse_tags, parse_target
from node.cli.messages import Words
from node.cli.seat import Seat
from node.client import new_key
from node.protocol.catalogue import (
    CvClose,
    CvInvite,
    CvLeave,
    CvReopen,
    CvTag,
    CvTransfer,
    MsgDel,
    MsgEdit,
    MsgSend,
    PresencePush,
    Status,
    StatusSet,
    WrapDone,
)


class AgentOrders(Seat):
    """The part of an agent's seat that asks."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self._desk = AgentDesk()
        self._status: Status = "online"
        self._presences: dict[str, PresencePush] = {}

    async def _send(self, text: str, *, hidden: bool) -> None:
        current = self._current()
        if current is not None and text:
            cv, fence = current
            said = MsgSend(cv=cv, key=new_key(), body=text, fence=fence, after=self._desk.seen(cv))
            if hidden:
                said.vis, said.after = "agents", None
            await self.request(said)

    async def _transfer(self, text: str, *, warm: bool = False, keep: bool = False) -> None:
        word, _, note = text.partition(" ")
        current = self._current()
        if current is None:
            return
        try:
            to = parse_target(word)
        except ValueError as error:
            self.say("agent.unclear", word=str(error))
            return
        cv, fence = current
        asked = CvTransfer(
            cv=cv, key=new_key(), to=to, note=note, fence=fence, warm=warm, keep=keep
        )
        if await self.request(asked) is not None and warm:
            self.say("agent.asked", number=self._desk.number(cv), who=word)

    async def _invite(self, text: str) -> None:
        word, _, note = text.partition(" ")
        current = self._current()
        if current is not None and word:
            asked = CvInvite(cv=current[0], agent=word.removeprefix("@"), note=note)
            if await self.request(asked) is not None:
                self.say("agent.asked", number=self._desk.number(current[0]), who=word)

    async def _leave(self) -> None:
        current = self._current()
        if current is not None:
            await self.request(CvLeave(cv=current[0]))

    async def _tag(self, text: str) -> None:
        current = self._current()
        if current is None:
            return
        try:
            to_set, unset = parse_tags(text)
        except ValueError as error:
            self.say("agent.unclear", word=str(error))
            return
        await self.request(CvTag(cv=current[0], set=to_set, unset=unset))

    async def _edit(self, text: str | None) -> None:
        """Give the newest message of one's own another text; with None, take it back."""
        current = self._current()
        if current is None or text == "":
            return
        cv = current[0]
        mid = self._desk.said(cv)
        if mid is None:
            self.say("nothing_said")
        elif text is None:
            await self.request(MsgDel(cv=cv, mid=mid, key=new_key()))
        else:
            await self.request(MsgEdit(cv=cv, mid=mid, key=new_key(), body=text))

    async def _reopen(self, text: str) -> None:
        number = parse_number(text)
        cv = self._desk.closed(number) if number is not None else None
        if cv is None:
            self.say("agent.no_such", number=text)
        else:
            await self.request(CvReopen(cv=cv, key=new_key()))

    def _who(self) -> None:
        if not self._presences:
            self.say("agent.nobody")
        for push in sorted(self._presences.values(), key=lambda one: one.who):
            self.say(
                "agent.presence",
                who=push.name or push.who,
                status=self.words.term(push.status),
                why=push.reason,
            )

    async def _close(self, reason: str) -> None:
        current = self._current()
        if current is not None:
            await self.request(CvClose(cv=current[0], key=new_key(), reason=reason))

    async def _done(self, text: str) -> None:
        """End the wrap-up of the conversation let go of last, or of that of a number."""
        number = parse_number(text)
        cv = self._desk.done(number) if not text or number is not None else None
        if cv is None:
            self.say("agent.nothing_left" if not text else "agent.no_such", number=text)
        elif await self.request(WrapDone(cv=cv)) is not None:
            self.say("agent.done", number=self._desk.number(cv))

    async def _set_status(self, text: str) -> None:
        try:
            status, why, seconds = parse_status(text)
        except ValueError as error:
            self.say("agent.unclear", word=str(error))
            return
        until = round((time.time() + seconds) * 1000) if seconds else 0
        self._status = status if not until else self._status
        await self.request(StatusSet(status=status, reason=why, until=until))

    def _current(self) -> tuple[str, int] | None:
        current = self._desk.current
        if current is None:
            self.say("agent.none")
        return current
