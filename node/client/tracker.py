"""What a client has seen of each conversation: drops what came twice, notices holes.  No I/O.

    seq of the event   last seen + 1       at or below it     above it
    verdict            FRESH, take it      DUPLICATE, drop    JUMP: a hole nobody declared

A `gap` from the server moves the mark: that hole is known.  A `gap` that says the server has
less than was seen is a jump too: something acknowledged is missing there.

At most `CONVERSATIONS_MAX` are remembered; closed ones are forgotten first.
"""

import enum
from collections import OrderedDict
from dataclasses import dataclass

from node.protocol.catalogue import Ev, Gap

CONVERSATIONS_MAX = 10_000
RESUMED_MAX = 1_000
"""Conversations in one `hello`: what a node takes."""
JUMPS_KEPT_MAX = 100


class Verdict(enum.Enum):
    """What an event is to somebody who has seen what came before."""

    FRESH = enum.auto()
    DUPLICATE = enum.auto()
    JUMP = enum.auto()


@dataclass(frozen=True, slots=True)
class Jump:
    """A hole that the server did not declare: events between `had` and `got` are missing."""

    cv: str
    had: int
    got: int
    """The `seq` that came; at or below `had` when the server has lost what it once sent."""


class Tracker:
    """The last `seq` seen, by conversation."""

    __slots__ = ("_closed", "_last", "jumps")

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._closed: OrderedDict[str, None] = OrderedDict()
        self.jumps: list[Jump] = []
        """The first `JUMPS_KEPT_MAX`."""

    def last(self, cv: str) -> int:
        """Return the `seq` of the newest event seen; 0 when none was."""
        return self._last.get(cv, 0)

    def begin(self, cv: str, seq: int) -> None:
        """Take it that everything up to `seq` is known, unless more is."""
        self._set(cv, max(seq, self.last(cv)))

    def judge(self, event: Ev) -> Verdict:
        """Say what `event` is."""
        expected = self.last(event.cv) + 1
        if event.seq == expected:
            return Verdict.FRESH
        return Verdict.DUPLICATE if event.seq < expected else Verdict.JUMP

    def take(self, event: Ev) -> None:
        """Take `event`, which is no duplicate, as seen: the next one is expected after it."""
        last = self.last(event.cv)
        assert event.seq > last
        if event.seq > last + 1:
            self._note(Jump(event.cv, last, event.seq))
        self._set(event.cv, event.seq)
        if event.type == "closed":
            self._closed[event.cv] = None

    def take_gap(self, gap: Gap) -> Verdict:
        """Move the mark to where the server goes on."""
        last = self.last(gap.cv)
        if gap.last == 0 and gap.first == 0:
            self.forget(gap.cv)  # gone, or not ours to see any more
            return Verdict.FRESH
        if gap.last < last:
            self._note(Jump(gap.cv, last, gap.last))
            return Verdict.JUMP
        self._set(gap.cv, max(last, gap.first - 1))
        return Verdict.FRESH

    def resume(self) -> list[tuple[str, int]]:
        """Return what a `hello` resumes: open conversations, at most `RESUMED_MAX`, newest."""
        followed = [(cv, seq) for cv, seq in self._last.items() if cv not in self._closed]
        return followed[-RESUMED_MAX:]

    def _set(self, cv: str, seq: int) -> None:
        self._last[cv] = seq
        self._last.move_to_end(cv)
        if len(self._last) > CONVERSATIONS_MAX:
            self.forget(next(iter(self._closed or self._last)))

    def forget(self, cv: str) -> None:
        """The conversation is followed no more."""
        self._last.pop(cv, None)
        self._closed.pop(cv, None)

    def _note(self, jump: Jump) -> None:
        if len(self.jumps) < JUMPS_KEPT_MAX:
            self.jumps.append(jump)
