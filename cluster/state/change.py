"""One command's change to the state, and what it says to those who watch.  No I/O.

The lifecycle modules share this: `no` refuses, `append` adds an event with the next `seq`,
`notices` gathers what happened.  A module checks everything before it changes anything, so a
refusal leaves the state as it was.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

from msgspec.structs import replace

from cluster.state import clocks, missed, staffing
from cluster.state.commands import SYSTEM, By
from cluster.state.events import Event
from cluster.state.model import CONVERSATION_NEXT, Agent, AuditRecord, Conversation
from cluster.state.outcome import (
    AgentChanged,
    Appended,
    Notice,
    QueueStaffing,
    RefusalCode,
    Refused,
)
from cluster.state.route import Route
from cluster.state.state import State


class No(Exception):
    """The command is refused; nothing was changed."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def no(code: RefusalCode, message: str, **data: Any) -> NoReturn:
    """Refuse the command."""
    raise No(Refused(code, message, data))


class Change:
    """The state, the time of this entry, and the notices so far."""

    __slots__ = ("node", "notices", "now_ms", "state")

    def __init__(self, state: State, node: str = "") -> None:
        """`node` is where the command was proposed."""
        self.state = state
        self.node = node
        self.now_ms = state.now_ms
        self.notices: list[Notice] = []

    def conversation(self, cv: str) -> Conversation:
        """Return the conversation; refuse when there is none."""
        found = self.state.conversations.get(cv)
        if found is None:
            no("not_found", f"no conversation {cv[:64]!r}")
        return found

    def open_conversation(self, cv: str) -> Conversation:
        """Return the conversation; refuse when there is none or it is closed."""
        found = self.conversation(cv)
        if found.state == "closed":
            no("closed", "the conversation is closed")
        return found

    def agent(self, agent: str) -> Agent:
        """Return the agent; refuse when there is none."""
        found = self.state.agents.get(agent)
        if found is None:
            no("not_found", f"no agent {agent[:64]!r}")
        return found

    def agent_here(self, agent: str) -> Agent:
        """Return the agent; refuse when there is none, or they are not here."""
        found = self.agent(agent)
        if not found.is_here:
            no("conflict", f"{found.agent} is not here; name another agent, or a queue")
        return found

    def append(
        self,
        conversation: Conversation,
        kind: str,
        by: By,
        *,
        mid: str = "",
        data: dict[str, Any] | None = None,
        hidden: bool = False,
        **changes: Any,
    ) -> Conversation:
        """Append an event, apply `changes` to the conversation, and return it as it is now."""
        event = Event(conversation.seq + 1, kind, by, self.now_ms, mid, data or {}, hidden)
        by_bot = kind == "msg" and by.kind == "agent" and staffing.is_bot(self.state, by.id)
        service = clocks.follow(conversation, event, by_bot=by_bot)
        before = conversation.service
        if service is not before and clocks.is_overtaken(before, service, self.now_ms):
            conversation = self.tell_clocks(conversation)
            event = replace(event, seq=conversation.seq + 1)
            service = clocks.follow(conversation, event, by_bot=by_bot)
        route = changes.get("route")
        if route is not None and route.sla:
            service = self._under_level(conversation, service, route)
        if kind in ("closed", "reopened"):
            changes["missed"] = self._missed(conversation, event)
        return self._append(conversation, event, service=service, **changes)

    def add_note(self, conversation: Conversation, by: By, text: str) -> Conversation:
        """Append what goes with a transfer for colleagues, if anything; return the conversation."""
        if not text:
            return conversation
        data = {"type": "text", "body": text}
        return self.append(conversation, "note", by, data=data, hidden=True)

    def tell_clocks(self, conversation: Conversation) -> Conversation:
        """Tell what the conversation's clocks have to tell by now; return it as it is then."""
        service, told = clocks.tell(conversation.service, self.now_ms)
        for clock, level in told:
            at_ms = clock.due_ms if level == "breach" else clock.warn_ms
            data = {"name": clock.name, "at": at_ms, "level": level, "due": clock.due_ms}
            event = Event(conversation.seq + 1, "sla", SYSTEM, self.now_ms, "", data, hidden=True)
            conversation = self._append(conversation, event, service=service)
            self.state.count(f"sla.{level}.{clock.name}")
        return conversation

    def _missed(self, conversation: Conversation, event: Event) -> str:
        why = missed.reason(conversation, event) if event.type == "closed" else ""
        if why:
            self.state.count(f"missed.{why}")
        return why

    def _under_level(
        self, conversation: Conversation, service: clocks.Service, route: Route
    ) -> clocks.Service:
        """Return `service` under the level that `route` names, as its rules have it."""
        rules = self.state.rules_at(route.rev)
        level = rules.slas.get(route.sla) if rules is not None else None
        if level is None:
            return service
        return clocks.begin(service, route.sla, level, conversation.opened_ms)

    def _append(self, conversation: Conversation, event: Event, **changes: Any) -> Conversation:
        tail = conversation.tail.append(event)
        new = self.put(conversation, seq=event.seq, tail=tail, **changes)
        self.notices.append(Appended(new.cv, event))
        return new

    def put(self, conversation: Conversation, **changes: Any) -> Conversation:
        """Apply `changes` to the conversation without an event; return it as it is now."""
        new = replace(conversation, **changes)
        if "state" in changes:
            assert new.state in CONVERSATION_NEXT[conversation.state], (conversation, new)
        self.state.put_conversation(new)
        return new

    def requeue(self, conversation: Conversation, reason: str, **data: Any) -> Conversation:
        """Let the conversation wait again, with its original age, and say why."""
        return self.append(
            conversation,
            "queued",
            SYSTEM,
            data={
                "queue": conversation.queue,
                "priority": conversation.priority,
                "reason": reason,
                **data,
                **self.offline(conversation, conversation.queue),
            },
            state="waiting",
        )

    def offline(self, conversation: Conversation, queue: str) -> dict[str, Any]:
        """Return what `queued` says, once, where nobody is there and nobody has answered."""
        service = conversation.service
        if service.helped or service.offline_ms or staffing.is_staffed(self.state, queue):
            return {}
        return {"offline": True}

    def change_agent(self, agent: Agent, **changes: Any) -> Agent:
        """Apply `changes` to the agent, tell, and return it as it is now."""
        new = replace(agent, **changes)
        old = self.state.agents.get(agent.agent)
        self.state.put_agent(new)
        self.notices.append(AgentChanged(new.agent))
        was_here, is_here = old is not None and old.is_here, new.is_here
        if old is None or was_here != is_here or old.skills is not new.skills:
            if old is not None and was_here:
                staffing.went(self.state, old)
            if is_here:
                self.tell_staffed(staffing.came(self.state, new))
        return new

    def tell_staffed(self, queues: Iterable[staffing.Unstaffed]) -> None:
        """Say that somebody is there again, to whom it was said that nobody is."""
        for one in queues:
            if one.alerted_ms:
                self.notices.append(QueueStaffing(one.queue, one.since_ms, staffed=True))

    def note(self, by: By, what: str, **detail: Any) -> None:
        """Put a line into the audit log."""
        self.state.audit.append(AuditRecord(self.now_ms, by, what, detail))

    def note_here(self, by: By, what: str, **detail: Any) -> None:
        """The same, with the node where it was asked; what says nothing is left out."""
        said = {name: value for name, value in detail.items() if value not in ("", None)}
        self.note(by, what, **said, node=self.node)
