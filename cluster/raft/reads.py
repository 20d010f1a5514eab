"""Reads that must not be stale: from "may I?" to the index that has to be applied first.  No I/O.

    asked ──probe sent──▶ probing ──a majority answers a request made after the question,
                                    and an entry of this term is committed──▶ index
      └──deposed, or `deadline_s` passed──▶ None

The index is the commit index at the time of the question, or, when the leader has not
committed in its own term yet, the first one after that: before then it cannot know what its
predecessors committed.  All questions between two ticks share one probe.

A follower forwards its question; the number it gives starts at random with every process,
so that an answer to a process that is gone is never taken for one's own.

Source: Raft thesis (Ongaro 2014), section 6.4.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

WAITING_MAX = 10_000
"""Questions that wait at once, here and forwarded each; more are answered None."""

OnIndex = Callable[[int | None], None]


@dataclass(slots=True)
class _Question:
    on_index: OnIndex
    deadline_s: float
    index: int | None
    request: int | None = None
    """The probe that must be answered; None until it is sent."""


class Reads:
    """The questions that wait at a leader, in the order in which they were asked."""

    def __init__(self) -> None:
        self._questions: list[_Question] = []

    def ask(self, on_index: OnIndex, *, index: int | None, deadline_s: float) -> None:
        """Remember a question; `index` is None while nothing of this term is committed."""
        if len(self._questions) >= WAITING_MAX:
            on_index(None)
            return
        self._questions.append(_Question(on_index, deadline_s, index))

    @property
    def unprobed(self) -> bool:
        """Whether a question waits for the next probe."""
        return bool(self._questions) and self._questions[-1].request is None

    def probed(self, request: int) -> None:
        """The probe numbered `request` leaves now: it speaks for all that wait."""
        for question in reversed(self._questions):
            if question.request is not None:
                break
            question.request = request

    def settle(self, now_s: float, *, confirmed_request: int, index: int | None) -> None:
        """Answer what can be: `index` is the commit index if it is of this term."""
        waiting = []
        answers: list[tuple[OnIndex, int | None]] = []
        for question in self._questions:
            if question.index is None:
                question.index = index
            confirmed = question.request is not None and question.request <= confirmed_request
            if confirmed and question.index is not None:
                answers.append((question.on_index, question.index))
            elif now_s >= question.deadline_s:
                answers.append((question.on_index, None))
            else:
                waiting.append(question)
        self._questions = waiting
        for on_index, answer in answers:
            on_index(answer)

    def fail_all(self) -> None:
        """Answer None to all: this node leads no longer."""
        questions, self._questions = self._questions, []
        for question in questions:
            question.on_index(None)


class ForwardedReads:
    """The questions of this node that wait for the leader's answer."""

    def __init__(self, first_number: int) -> None:
        self._number = first_number
        self._waiting: dict[int, tuple[OnIndex, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, on_index: OnIndex, *, deadline_s: float) -> int | None:
        """Return the number to send with the question; None, after answering, when full."""
        if len(self._waiting) >= WAITING_MAX:
            on_index(None)
            return None
        self._number += 1
        self._waiting[self._number] = (on_index, deadline_s)
        return self._number

    def answer(self, number: int, index: int | None) -> None:
        """Pass the leader's answer on, if anyone still waits for it."""
        on_index, _ = self._waiting.pop(number, (None, 0.0))
        if on_index is not None:
            on_index(index)

    def expire(self, now_s: float) -> None:
        """Answer None to who has waited until their deadline."""
        for number in list(self._late(now_s)):
            self.answer(number, None)

    def _late(self, now_s: float) -> Iterator[int]:
        for number, (_, deadline_s) in self._waiting.items():
            if deadline_s > now_s:
                return  # deadlines rise with numbers
            yield number
