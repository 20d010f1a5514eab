"""What this node healed, on its way into everybody's log.  No I/O but a line of the process's log.

    note ──▶ log line, count (a metric), the last few here ──▶ NoteHeal, once the cluster takes it

A node that is cut off can tell nobody: its notes wait, the newest NOTES_WAIT_MAX of them.  A note
whose outcome is unknown is told again, so a line may be there twice; it says when it happened.
"""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from cluster.heal.rules import RULES
from cluster.port import Answer, Unavailable
from cluster.state.commands import HealOutcome, NoteHeal
from cluster.state.limits import HEAL_TEXT_BYTES_MAX

NOTES_KEPT = 200
NOTES_WAIT_MAX = 100
UNDER_WAY_MAX = 8
"""Notes proposed at once: a storm of them must not hold up what people say."""

log = structlog.get_logger()

Submit = Callable[[NoteHeal, Callable[[Answer], None]], None]


class Journal:
    """One node's; `note` at any time, `tell` every turn."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._waiting: deque[NoteHeal] = deque(maxlen=NOTES_WAIT_MAX)
        self._under_way = 0
        self.recent: deque[NoteHeal] = deque(maxlen=NOTES_KEPT)
        """What was done here since the start, newest last."""
        self.counts: Counter[tuple[str, HealOutcome]] = Counter()
        """By name of the rule and outcome."""

    def note(
        self, rule: int, seen: str, done: str, outcome: HealOutcome = "done", **figures: Any
    ) -> None:
        """Write down what was seen and done by `rule`; `figures` are integers, words, truths."""
        seen, done = _cut(seen), _cut(done)
        one = NoteHeal(rule, seen, done, outcome, self._wall_ms(), figures)
        known = RULES.get(rule)  # what an earlier process left may be of a later release
        name = known.name if known is not None else "of_a_later_release"
        log.warning("heal", rule=rule, name=name, seen=seen, done=done, outcome=outcome, **figures)
        self.counts[name, outcome] += 1
        self.recent.append(one)
        self._waiting.append(one)

    def tell(self, submit: Submit) -> None:
        """Propose what waits; call it while the cluster takes notes."""
        while self._waiting and self._under_way < UNDER_WAY_MAX:
            one = self._waiting.popleft()
            self._under_way += 1
            submit(one, partial(self._on_answer, one))

    def _on_answer(self, one: NoteHeal, answer: Answer) -> None:
        self._under_way -= 1
        if isinstance(answer, Unavailable) and len(self._waiting) < NOTES_WAIT_MAX:
            self._waiting.appendleft(one)


def _cut(text: str) -> str:
    """Return as much of `text` as the log takes: what was wrong may quote what others sent."""
    return text.encode(errors="replace")[:HEAL_TEXT_BYTES_MAX].decode(errors="ignore")
