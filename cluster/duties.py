"""What the leader does besides Raft: route, offer, expire, notice dead nodes.

    every turn, at the leader only
      state ──Dispatcher.plan──▶ commands ──submit──▶ the log ──apply re-checks──▶ outcome
      all members know more commands than the cluster uses ──▶ RaiseLevel
      a peer silent for NODE_LOST_S ──▶ LoseNode: its sessions' grace begins

Everything is a proposal: a leader that was deposed a moment ago can propose what no longer
holds, and `apply` refuses it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import structlog

from cluster.port import Answer
from cluster.routing.dispatch import Dispatcher
from cluster.state.commands import Command, LoseNode, RaiseLevel
from cluster.state.outcome import Done, Refused
from cluster.state.state import State

NODE_LOST_S = 5.0
"""Beyond the fence: by then a node that is cut off has closed its sockets itself."""

LOSE_PAUSE_MS = 1_000
"""Before the loss of the same node is proposed again."""

log = structlog.get_logger()


class Proposer(Protocol):
    """What the duties need of a replica."""

    @property
    def state(self) -> State: ...

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None: ...


class LeaderDuties:
    """Call `turn` after every turn of the loop."""

    def __init__(
        self,
        proposer: Proposer,
        dispatcher: Dispatcher,
        *,
        on_lost: Callable[[str, float, int], None] | None = None,
    ) -> None:
        """`on_lost(node, silent_s, sessions)` hears of a node that was lost."""
        self._proposer = proposer
        self._on_lost = on_lost
        self._dispatcher = dispatcher
        self._leading = False
        self._losing: dict[str, int] = {}
        """Node to when its loss was proposed, in milliseconds of cluster time."""
        self._rules_problem = ""
        self._raising = False

    @property
    def has_more(self) -> bool:
        """Whether the next turn has something to do at once, though nothing happens."""
        return self._leading and self._dispatcher.has_more

    def turn(self, *, leading: bool, now_ms: int, silent_s: Mapping[str, float], level: int) -> int:
        """Propose what is due at `now_ms`; return how much the dispatcher planned.

        `silent_s` is how long each peer said nothing; `level` what all members understand.
        """
        if leading != self._leading:
            self._leading = leading
            self._dispatcher.reset()
            self._losing.clear()
            self._raising = False
        if not leading:
            return 0
        plan = self._dispatcher.plan(self._proposer.state, now_ms)
        for command in plan:
            self._proposer.submit(command, partial(self._on_dispatched, command))
        self._tell_rules_problem()
        if level > self._proposer.state.level and not self._raising:
            self._raising = True
            self._proposer.submit(RaiseLevel(level), self._on_raised)
        for node, silence_s in silent_s.items():
            if silence_s > NODE_LOST_S:
                self._lose(node, silence_s, now_ms)
        return len(plan)

    def _on_raised(self, answer: Answer) -> None:
        self._raising = False
        if isinstance(answer, Done):
            log.info("the cluster uses newer commands", level=answer.result["level"])

    def _on_dispatched(self, command: Command, answer: Answer) -> None:
        if self._leading:
            self._dispatcher.settled(command, refused=isinstance(answer, Refused))

    def _tell_rules_problem(self) -> None:
        problem = self._dispatcher.rules_problem
        if problem and problem != self._rules_problem:
            log.error("rules cannot be read; the ones before them decide", problem=problem)
        self._rules_problem = problem

    def _lose(self, node: str, silence_s: float, now_ms: int) -> None:
        info = self._proposer.state.nodes.get(node)
        if info is None or info.lost_ms:
            return
        proposed_ms = self._losing.get(node)
        if proposed_ms is not None and now_ms - proposed_ms < LOSE_PAUSE_MS:
            return
        self._losing[node] = now_ms
        log.warning("node lost", peer=node, boot=info.boot, silent_s=round(silence_s, 1))
        sessions = sum(one.node == node for one in self._proposer.state.sessions.values())
        tell = partial(self._on_lose_answered, node, silence_s, sessions)
        self._proposer.submit(LoseNode(node, info.boot), tell)

    def _on_lose_answered(self, node: str, silence_s: float, sessions: int, answer: Answer) -> None:
        """Tell of a loss; where there was none, the next turns propose it again."""
        if isinstance(answer, Done) and self._on_lost is not None:
            self._on_lost(node, silence_s, sessions)
