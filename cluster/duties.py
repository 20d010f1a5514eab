"""What the leader does besides Raft: route, offer, expire, notice dead nodes.

    every turn, at the leader only
      state ──Dispatcher.plan──▶ commands ──submit──▶ the log ──apply re-checks──▶ outcome
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
from cluster.state.commands import Command, LoseNode
from cluster.state.outcome import Done
from cluster.state.state import State

NODE_LOST_S = 5.0
"""Beyond the fence: by then a node that is cut off has closed its sockets itself."""

log = structlog.get_logger()


class Proposer(Protocol):
    """What the duties need of a replica."""

    @property
    def state(self) -> State: ...

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None: ...


class LeaderDuties:
    """Call `turn` after every turn of the loop."""

    def __init__(self, proposer: Proposer, dispatcher: Dispatcher) -> None:
        self._proposer = proposer
        self._dispatcher = dispatcher
        self._leading = False
        self._losing: set[tuple[str, str]] = set()

    def turn(self, *, leading: bool, now_ms: int, silent_s: Mapping[str, float]) -> None:
        """Propose what is due at `now_ms`; `silent_s` is how long each peer said nothing."""
        if leading != self._leading:
            self._leading = leading
            self._dispatcher.reset()
            self._losing.clear()
        if not leading:
            return
        for command in self._dispatcher.plan(self._proposer.state, now_ms):
            self._proposer.submit(command, partial(self._on_dispatched, command))
        for node, silence_s in silent_s.items():
            if silence_s > NODE_LOST_S:
                self._lose(node, silence_s)

    def _on_dispatched(self, command: Command, answer: Answer) -> None:
        if self._leading:
            self._dispatcher.settled(command)

    def _lose(self, node: str, silence_s: float) -> None:
        info = self._proposer.state.nodes.get(node)
        if info is None or info.lost_ms or (node, info.boot) in self._losing:
            return
        self._losing.add((node, info.boot))
        log.warning("node lost", peer=node, boot=info.boot, silent_s=round(silence_s, 1))
        command = LoseNode(node, info.boot)
        self._proposer.submit(command, partial(self._on_lost, (node, info.boot)))

    def _on_lost(self, who: tuple[str, str], answer: Answer) -> None:
        if not isinstance(answer, Done):
            self._losing.discard(who)
