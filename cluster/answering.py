"""An answer that a callback brings, for whoever waits for it.  Waits; talks to nobody."""

from collections.abc import Callable

import trio

from cluster.port import Answer
from cluster.state.commands import Command


async def answer_to(
    submit: Callable[[Command, Callable[[Answer], None]], None], command: Command
) -> Answer:
    """Return the answer to `command`, as a port's `submit` brings it.

    Whoever is cancelled meanwhile hears nothing more; the command may still happen.
    """
    done = trio.Event()
    answers: list[Answer] = []

    def on_answer(answer: Answer) -> None:
        answers.append(answer)
        done.set()

    submit(command, on_answer)
    await done.wait()
    return answers[0]
