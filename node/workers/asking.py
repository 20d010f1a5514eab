"""What a worker asks of the node's core, until it is answered.  Writes to the core by an `Outlet`.

submit ──▶ core ──Answered──▶ on_answer         of a command
ask    ──▶ core ──Passed────▶ what is returned  of anything else

the core               who asks is told
silent                 `minority`, at once
does not answer        `timeout`, after ANSWER_S: the outcome is not known
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import trio

from cluster.port import Answer, Unavailable
from cluster.state import commands
from cluster.state.commands import Command
from cluster.state.outcome import Done, Refused
from cluster.tracing import CURRENT
from node.workers import messages
from node.workers.outlet import Outlet

ANSWER_S = 8.0
"""Longer than the core takes to give up."""
SILENT = "this node's core says nothing"

_LATE = Unavailable("timeout", "this node's core gave no answer; retry with the same key")


class _Asked(NamedTuple):
    on_answer: Callable[[Answer], None]
    until_s: float


class Asking:
    """Synchronous but for `ask`; one task hears the core and calls the rest."""

    def __init__(self, outlet: Outlet, *, is_silent: Callable[[], bool]) -> None:
        self._outlet = outlet
        self._is_silent = is_silent
        self._number = 0
        self._asked: dict[int, _Asked] = {}
        self._passed: dict[int, Callable[[messages.Passed], None]] = {}

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        data = commands.encode(command)
        if self._is_silent():
            on_answer(Unavailable("minority", SILENT))
            return
        self._number += 1
        self._asked[self._number] = _Asked(on_answer, trio.current_time() + ANSWER_S)
        trace = CURRENT.get()
        self._outlet.send(
            messages.encode(messages.Submit(self._number, data, str(trace) if trace else ""))
        )

    async def ask(self, make: Callable[[int], messages.Message]) -> messages.Passed:
        """Return what the core says to `make(number)`; `unavailable` if it says nothing."""
        if self._is_silent():
            return messages.Passed(0, "minority", SILENT, "unavailable")
        self._number += 1
        number = self._number
        done = trio.Event()
        results: list[messages.Passed] = []

        def on_passed(passed: messages.Passed) -> None:
            results.append(passed)
            done.set()

        self._passed[number] = on_passed
        self._outlet.send(messages.encode(make(number)))
        with trio.move_on_after(ANSWER_S):
            await done.wait()
            return results[0]
        self._passed.pop(number, None)
        return messages.Passed(number, "timeout", "this node's core gave no answer", "unavailable")

    # -- what the core says

    def answered(self, message: messages.Answered) -> None:
        """Answer whoever submitted it, unless they were told that it is late."""
        asked = self._asked.pop(message.number, None)
        if asked is None:
            return
        asked.on_answer(_refusal(message) if message.code else Done(message.result, message.dup))

    def passed(self, message: messages.Passed) -> None:
        """Let whoever asked go on, unless they do not wait any more."""
        on_passed = self._passed.pop(message.number, None)
        if on_passed is not None:
            on_passed(message)

    # -- what it does not

    def give_up_late(self, now_s: float) -> None:
        """Answer those who wait for too long."""
        while self._asked:
            number, asked = next(iter(self._asked.items()))  # deadlines rise with numbers
            if asked.until_s > now_s:
                return
            del self._asked[number]
            asked.on_answer(_LATE)

    def give_up(self) -> None:
        """Answer all who wait for the core: it has answered what it will."""
        waiting, self._asked = self._asked, {}
        for one in waiting.values():
            one.on_answer(_LATE)


def unavailable(passed: messages.Passed) -> Unavailable | None:
    """Return why what was asked is not to be had, None where the core just let it pass."""
    if not passed.kind:
        return None
    return msgspec.convert({"code": passed.code, "message": passed.text}, Unavailable)


def _refusal(answered: messages.Answered) -> Answer:
    fields = {"code": answered.code, "message": answered.text, "data": answered.result}
    if answered.unavailable:
        return msgspec.convert(fields, Unavailable)
    return msgspec.convert(fields, Refused)
