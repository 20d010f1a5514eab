"""Clients of a simulated cluster: each does one thing at a time, at whichever node answers.

    Speaker   writes into shared conversations and reads them; what it saw is its history
    Visitor   opens a conversation of its own, speaks, closes it, and begins again
    Agent     logs in somewhere, takes what it is offered or asked, answers, asks colleagues in,
              hands over cold and warm, closes

What has a key is asked again with the same key, however often and wherever, until it has an
outcome; so a command that was lost shows, and so does one that applied twice.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cluster.ids import Ulids
from cluster.port import Answer, Unavailable
from cluster.state import commands
from cluster.state.commands import By, Command
from cluster.state.outcome import Done
from cluster.state.state import State
from tests.sim.linearizability import Operation

if TYPE_CHECKING:
    from tests.sim.node import SimNode
    from tests.sim.world import World

RETRY_S = 0.8
PAUSE_S = 0.03
RULES = """
[ruleset]
version = 1
[vars]
attrs.hard = "bool"
attrs.kind = "number"
[channel.web]
weight = 2
[queue.desk]
accept = "1s"
aging = "10s"
wrap_up = "1s"
on_timeout = ["next", "away"]
[queue.experts]
accept = "1s"
skills = ["expert"]
max_waiting = 3
[queue.quick]
mode = "auto"
agent_order = "round_robin"
[rule.hard]
when = 'attrs.hard'
steps = [
  { queue = "experts", prefer = "last_agent", for = "1s" },
  { queue = "experts", skills = { expert = 1 }, for = "1s", skip_if = "queue.available == 0" },
  { queue = "experts" },
]
overflow = { after = "2s", do = "queue", to = "desk" }
[rule.quick]
when = 'attrs.kind == 1.0'
route = "quick"
[fallback]
route = "desk"
"""


class Client:
    """Asks one thing at a time."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.rng = world.rng
        self._ids = Ulids(lambda: int(1e12 + 1000 * world.now_s), world.rng.randbytes)
        self._asked = 0
        """Numbers questions: an answer to an earlier one changes nothing."""
        self.done = False

    def begin(self) -> None:
        self.world.at(self.rng.random() * 0.5, f"{self.name} begins", self.go_on)

    def go_on(self) -> None:
        """Do the next thing."""
        raise NotImplementedError

    def finish_soon(self) -> None:
        """The last fault is over."""
        self.done = True

    def pause(self, longest_s: float = 2 * PAUSE_S) -> None:
        pause_s = self.world.pace * longest_s * self.rng.random()
        self.world.at(pause_s, f"{self.name} goes on", self.go_on)

    def new_id(self) -> str:
        return self._ids.new()

    def ask(self, command: Command, on_done: Callable[[Answer], None]) -> None:
        """Ask until there is an outcome, then call `on_done` with it."""
        self._asked += 1
        self._try(self._asked, command, on_done)

    def _try(self, asked: int, command: Command, on_done: Callable[[Answer], None]) -> None:
        if asked != self._asked:
            return
        again = partial(self._try, asked, command, on_done)
        self.world.at(RETRY_S, f"{self.name} asks again {asked}", again)
        node = self.some_node()
        if node is None:
            return

        def on_answer(answer: Answer) -> None:
            if asked != self._asked or isinstance(answer, Unavailable):
                return
            self._asked += 1
            self.world.say(f"{self.name} {type(command).__name__} {type(answer).__name__}")
            on_done(answer)

        node.part.submit(command, on_answer)
        self.world.wake(node.name)

    def some_node(self) -> "SimNode | None":
        """Return a node that is free to be spoken to, more often one that thinks it leads."""
        world = self.world
        nodes = [node for node in world.up.values() if world.is_free(node.name)]
        if world.rng.random() < 0.5:
            nodes = [node for node in nodes if node.engine.is_leader] or nodes
        nodes.sort(key=lambda node: node.name)
        return world.rng.choice(nodes) if nodes else None


class Speaker(Client):
    """Shares `conversations` with others of its kind."""

    def __init__(self, world: "World", name: str, conversations: tuple[str, ...]) -> None:
        super().__init__(world, name)
        self._by = By("service", name)
        self._conversations = conversations
        self._opened: set[str] = set()
        self._last = False
        """The next write acknowledged is the last one."""
        self._number = 0

    def finish_soon(self) -> None:
        self._last = True

    def go_on(self) -> None:
        if self._asking:
            return
        cv = self.rng.choice(self._conversations)
        if cv not in self._opened:
            opening = commands.OpenConversation(cv, By("service", "first"), key=f"open {cv}")
            self.ask(opening, partial(self._on_open, cv))
            self._asking = True
            return
        if self.rng.random() < 0.4 and not self._last:
            self._read(cv)
            self.pause()
            return
        self._number += 1
        self._asking = True
        mid = self.new_id()
        text = str(self._number) * (1 if self._number % 5 else 200)
        said = commands.SendMessage(cv, mid, self._by, f"{self._number}", "text", text)
        operation = Operation(self.world.now_s, mid)
        self.world.history[cv].append(operation)
        self.ask(said, partial(self._on_said, cv, operation))

    _asking = False

    def _on_open(self, cv: str, answer: Answer) -> None:
        self._asking = False
        assert isinstance(answer, Done), answer
        self._opened.add(cv)
        self.pause()

    def _on_said(self, cv: str, operation: Operation, answer: Answer) -> None:
        self._asking = False
        assert isinstance(answer, Done), answer
        assert operation.message is not None
        seq = answer.result["seq"]
        assert isinstance(seq, int)
        operation.answered_s, operation.seq = self.world.now_s, seq
        self.world.checks.acknowledged(cv, operation.message, seq)
        self.done = self._last
        if not self.done:
            self.pause()

    def _read(self, cv: str) -> None:
        node = self.some_node()
        if node is None:
            return
        operation = Operation(self.world.now_s, None)

        def on_passed(result: Unavailable | None) -> None:
            if result is not None:
                self.world.counts["reads refused"] += 1
                return
            self.world.counts["reads"] += 1
            operation.answered_s = self.world.now_s
            operation.seen = messages_of(node.part.state, cv)
            self.world.history[cv].append(operation)

        node.part.add_barrier(on_passed)
        self.world.wake(node.name)


class Visitor(Client):
    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self._by = By("visitor", name)
        self._cv = ""
        self._number = 0

    def go_on(self) -> None:
        if self.done:
            return
        self._number += 1
        self._cv = self.new_id()
        opening = commands.OpenConversation(
            self._cv,
            self._by,
            key=f"open {self._number}",
            attrs={"hard": self.rng.random() < 0.3, "kind": float(self._number % 2)},
            text="hello",
            mid=self.new_id(),
        )
        self.ask(opening, self._on_open)

    def _on_open(self, answer: Answer) -> None:
        assert isinstance(answer, Done), answer
        self.world.checks.opened(self._cv)
        self.world.counts["opened"] += 1
        self.world.at(self.rng.random() * 2.0, f"{self.name} closes", self._close)

    def _close(self) -> None:
        if self.done:
            return
        closing = commands.CloseConversation(self._cv, self._by, key=f"close {self._number}")
        self.ask(closing, lambda _: self.pause(1.0))


class Agent(Client):
    def __init__(self, world: "World", name: str, skills: dict[str, int]) -> None:
        super().__init__(world, name)
        self._by = By("agent", name)
        self._skills = skills
        self._sid = ""
        self._at: SimNode | None = None

    def go_on(self) -> None:
        if self.done:
            return
        node = self._at
        if node is None or self.world.up.get(node.name) is not node:
            self._log_in()
            return
        agent = node.part.state.agents.get(self.name)
        if agent is None or self._sid not in agent.sessions:
            self._log_in()
        elif agent.status != "online":
            self._do(commands.SetStatus(self._by, self.name, "online"))
        elif agent.offers and self.rng.random() < 0.8:
            oid = agent.offers[0]
            if self.rng.random() < 0.8:
                self._do(commands.AcceptOffer(oid, self._by, key=f"accept {oid}"))
            else:
                self._do(commands.DeclineOffer(oid, self._by))
        elif agent.invitations and self.rng.random() < 0.8:
            iid = agent.invitations[0]
            self._do(commands.AcceptOffer(iid, self._by, key=f"accept {iid}"))
        elif agent.helps and self.rng.random() < 0.3:
            self._do(commands.LeaveConversation(agent.helps[0], self._by))
        elif agent.wrap_ups and self.rng.random() < 0.5:
            self._do(commands.FinishWrapUp(self._by, agent.wrap_ups[0].cv))
        elif agent.conversations and self.rng.random() < 0.5:
            self._work(node.part.state, agent.conversations[0])
        else:
            self.pause(0.5)

    def _work(self, state: State, cv: str) -> None:
        owned = state.conversations[cv]
        key = f"{self.new_id()}"
        match self.rng.randrange(5 if cv in self.world.history else 6):
            case 0:
                mid, fence = self.new_id(), owned.fence
                self._do(commands.SendMessage(cv, mid, self._by, key, "text", "a", fence=fence))
            case 1:
                self._do(commands.TransferConversation(cv, self._by, key, to_queue="desk"))
            case 2:
                colleague = self.rng.choice(sorted(state.agents))
                invite = commands.InviteAgent(cv, self._by, colleague, self.new_id(), 1_000)
                self._do(invite)
            case 3:
                self._do(self._warm(cv, key, to_queue="desk"))
            case 4:
                self._do(self._warm(cv, key, to_agent=self.rng.choice(sorted(state.agents))))
            case _:
                self._do(commands.CloseConversation(cv, self._by, key))

    def _warm(
        self, cv: str, key: str, to_agent: str = "", to_queue: str = ""
    ) -> commands.TransferConversation:
        keep = self.rng.random() < 0.5
        return commands.TransferConversation(
            cv, self._by, key, to_agent, to_queue, warm=True, keep=keep, iid=self.new_id()
        )

    def _log_in(self) -> None:
        self._at = node = self.some_node()
        if node is None:
            self.pause(0.5)
            return
        self._sid = self.new_id()
        session = (self._sid, self._by, node.name, node.boot)
        self._do(commands.OpenSession(*session, skills=self._skills, capacity=5))

    def _do(self, command: Command) -> None:
        self.ask(command, lambda answer: self._on_done(command, answer))

    def _on_done(self, command: Command, answer: Answer) -> None:
        outcome = "done" if isinstance(answer, Done) else "refused"
        self.world.counts[f"{type(command).__name__} {outcome}"] += 1
        self.pause(0.3)


def messages_of(state: State, cv: str) -> tuple[str, ...]:
    """Return the ids of what speakers said, in order; all of it, as runs are short."""
    conversation = state.conversations.get(cv)
    if conversation is None:
        return ()
    assert not conversation.tail or conversation.tail[0].seq == 1, "a run is too long"
    return tuple(
        event.mid
        for event in conversation.tail
        if event.type == "msg" and event.by.kind == "service"
    )
