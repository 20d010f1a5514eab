"""Proposals of this node that wait for their outcome.  No I/O.

    submitted ──▶ queued ──sent to the leader──▶ sent ──applied here──▶ answered
                    │                             │ leader changed, or RESEND_S passed: sent again
                    └──deadline: `no_leader`      └──deadline: `timeout` (outcome unknown)

A proposal is named (node, boot, number); whoever goes on with a boot goes on with its numbers.
The state machine applies a name once, and the names of a boot in their order, so sending again
is safe.  One that comes before a lower number - a link broke, a batch was lost - is skipped as
early, and what was sent goes out again.

`settled` - the lowest number still waited for - goes with every batch: what lies below was
answered or given up, and a late copy of it is skipped by every node.  That makes a `timeout`
final for this name: the client's own key decides what its retry gets.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cluster.port import Answer, Unavailable
from cluster.state.entry import Batch, Proposal
from cluster.state.outcome import Outcome

PENDING_MAX = 20_000
BATCH_COMMANDS_MAX = 2_000
BATCH_BYTES_MAX = 256 * 1024
COMMAND_BYTES_MAX = 192 * 1024
"""Above any client's frame (64 KiB) and any rule set; below what one entry may hold."""
DEADLINE_S = 5.0
RESEND_S = 1.0
OVERTAKEN_S = 0.05
"""What was sent so lately is not sent again for having been overtaken; how often one looks."""


@dataclass(slots=True)
class _Pending:
    command: bytes
    on_answer: Callable[[Answer], None]
    deadline_s: float
    sent_s: float = -1.0
    """When it last left for a leader; negative: never."""


class Proposals:
    """Numbers, batches and answers; times are the caller's monotonic seconds."""

    def __init__(self, node: str, boot: str, next_number: int = 1) -> None:
        self.node = node
        self.boot = boot
        self._next = next_number
        self._pending: dict[int, _Pending] = {}
        self._queue: deque[int] = deque()
        self._overtaken = False
        self._looked_s = float("-inf")

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def next_number(self) -> int:
        """What the next proposal will be called."""
        return self._next

    @property
    def queued(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self._queue)

    def submit(self, command: bytes, on_answer: Callable[[Answer], None], now_s: float) -> bool:
        """Queue a command; return False, calling nothing, when too many wait already."""
        if len(self._pending) >= PENDING_MAX:
            return False
        assert len(command) <= COMMAND_BYTES_MAX
        self._pending[self._next] = _Pending(command, on_answer, now_s + DEADLINE_S)
        self._queue.append(self._next)
        self._next += 1
        return True

    def take(self, now_s: float) -> Batch | None:
        """Return the next batch to send, or None; call again until None."""
        proposals: list[Proposal] = []
        size = 0
        while self._queue and len(proposals) < BATCH_COMMANDS_MAX and size < BATCH_BYTES_MAX:
            number = self._queue.popleft()
            pending = self._pending.get(number)
            if pending is None:
                continue
            pending.sent_s = now_s
            proposals.append(Proposal(number, msgspec.Raw(pending.command)))
            size += len(pending.command)
        if not proposals:
            return None
        settled = next(iter(self._pending))
        return Batch(self.node, self.boot, settled, tuple(proposals))

    def resend(self, now_s: float, *, older_than_s: float = 0.0) -> None:
        """Queue again, in order, what was sent `older_than_s` ago or earlier."""
        waiting = set(self._queue)
        again = [
            number
            for number, pending in self._pending.items()
            if number not in waiting and pending.sent_s <= now_s - older_than_s
        ]
        if again:
            self._queue = deque(sorted([*self._queue, *again]))

    def overtaken(self) -> None:
        """One came before a lower number: the next `resend_overdue` does not wait."""
        self._overtaken = True

    def resend_overdue(self, now_s: float) -> None:
        """Queue again what should have had its outcome by now; not each turn, it looks at all."""
        if now_s < self._looked_s + OVERTAKEN_S:
            return
        self._looked_s = now_s
        self.resend(now_s, older_than_s=OVERTAKEN_S if self._overtaken else RESEND_S)
        self._overtaken = False

    def waited_s(self, number: int, now_s: float) -> float | None:
        """Return how long ago `number` was submitted, None when nobody waits for it."""
        pending = self._pending.get(number)
        return None if pending is None else now_s - (pending.deadline_s - DEADLINE_S)

    def answer(self, number: int, outcome: Outcome | Unavailable) -> None:
        """Give the outcome of `number` to who asked, if they still wait."""
        pending = self._pending.pop(number, None)
        if pending is not None:
            pending.on_answer(outcome)

    def expire(self, now_s: float) -> None:
        """Answer what has waited past its deadline."""
        late = []
        for number, pending in self._pending.items():
            if pending.deadline_s > now_s:
                break  # deadlines rise with numbers
            late.append(number)
        for number in late:
            self.answer(number, self._verdict(number))

    def fail_all(self, unsent: Unavailable) -> None:
        """Answer everything now: `unsent` for what never left, `timeout` for the rest."""
        for number in list(self._pending):
            if self._pending[number].sent_s < 0:
                self.answer(number, unsent)
            else:
                self.answer(number, self._verdict(number))

    def _verdict(self, number: int) -> Unavailable:
        if self._pending[number].sent_s < 0:
            return Unavailable("no_leader", "no leader was found in time; nothing was changed")
        return Unavailable(
            "timeout", "no outcome in time; it may still happen: retry with the same key"
        )
