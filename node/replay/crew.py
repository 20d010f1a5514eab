"""The agents of a replay: online, accepting whatever they are offered.  Talks to nodes.

offer ──accept──▶ assigned{agent, fence} ──▶ owner ──unassigned, transferred, closed──▶ none
"""

from dataclasses import dataclass

import trio

from node.client import Client, RequestFailed, Stopped
from node.protocol.catalogue import (
    Ev,
    Inbox,
    OfferAccept,
    OfferPush,
    Push,
    StatusSet,
    Welcome,
)
from node.replay.checker import RELEASES
from node.replay.watching import Bell, Watching


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a conversation."""

    agent: "CrewAgent"
    fence: int


class CrewAgent:
    """One agent, with one connection."""

    def __init__(self, name: str, capacity: int, crew: "Crew") -> None:
        self.name = name
        self.capacity = capacity
        self.watching = Watching()
        self.client: Client | None = None
        self.over_capacity = 0
        self._crew = crew

    def on_push(self, push: Push) -> None:
        """Take note, and act where an agent should."""
        match push:
            case Ev():
                self.watching.take(push)
                self._crew.take_event(self, push)
            case OfferPush():
                self._crew.nursery.start_soon(self._accept, push.oid)
            case Welcome():
                self._crew.nursery.start_soon(self._go_online)
            case Inbox():
                self.over_capacity += push.load > push.capacity

    async def _go_online(self) -> None:
        assert self.client is not None
        try:
            await self.client.request(StatusSet(status="online"))
        except (RequestFailed, Stopped) as error:
            self._crew.note(f"{self.name} cannot go online: {error}")

    async def _accept(self, oid: str) -> None:
        assert self.client is not None
        try:
            await self.client.request(OfferAccept(oid=oid, key=f"accept-{oid}"))
        except Stopped as error:
            self._crew.note(f"{self.name} was sent away: {error}")
        except RequestFailed as error:
            # An offer may well be gone; the conversation is offered again.
            if error.code not in ("offer_gone", "not_found"):
                self._crew.note(f"{self.name} cannot accept: {error}")


class Crew:
    """All agents, and who of them has which conversation."""

    def __init__(self, nursery: trio.Nursery, names: list[str], capacity: int) -> None:
        self.nursery = nursery
        self.agents = [CrewAgent(name, capacity, self) for name in names]
        self.trouble: list[str] = []
        self._owners: dict[str, Owner] = {}
        self._fences: dict[str, int] = {}
        self._bell = Bell()

    def note(self, what: str) -> None:
        """Take note of something that should not be."""
        self.trouble.append(what)

    def take_event(self, agent: CrewAgent, event: Ev) -> None:
        """Learn from what `agent` saw who has the conversation."""
        if event.type == "assigned":
            fence = int(event.data.get("fence", 0))
            if event.data.get("agent") == agent.name and fence > self._fences.get(event.cv, 0):
                self._fences[event.cv] = fence
                self._owners[event.cv] = Owner(agent, fence)
        elif event.type in RELEASES:
            owner = self._owners.get(event.cv)
            if owner is not None and owner.agent is agent:
                del self._owners[event.cv]
        self._bell.ring(event.cv)

    def disown(self, cv: str, owner: Owner) -> None:
        """Take it that `owner` has the conversation no more: the cluster said so."""
        if self._owners.get(cv) == owner:
            del self._owners[cv]

    async def wait_owner(self, cv: str) -> Owner:
        """Return who has the conversation, once somebody has."""
        while True:
            owner = self._owners.get(cv)
            if owner is not None:
                return owner
            await self._bell.wait(cv)

    async def wait_seen(self, cv: str, seq: int, owner: Owner) -> bool:
        """Wait until `owner` has seen the event `seq`; return False if it is another's before."""
        while self._owners.get(cv) == owner:
            if owner.agent.watching.last(cv) >= seq:
                return True
            await self._bell.wait(cv)
        return False

    def holders(self, cv: str) -> list[CrewAgent]:
        """Return the agents who have seen anything of the conversation."""
        return [agent for agent in self.agents if cv in agent.watching.events]
