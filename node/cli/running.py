"""Running a command's trio part until it ends or somebody says stop.  Talks to signals.

first SIGINT or SIGTERM   cancel, and let everything end as it should; then a `Problem` too, unless
                          the command stays until it is told to stop
what is expected to fail  becomes a `Problem`: words and an exit code
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio
import typer

from node.cli.problem import SIGNALLED, Problem, explain

Body = Callable[[], Awaitable[int | None]]


def run(body: Body, *, expected: tuple[type[Exception], ...] = (), stays: bool = False) -> None:
    """Run `body`; raise `typer.Exit` with the code it returns, or `Problem`.

    Failures of the kinds `expected` become problems, beside those that always do.  A body that
    `stays` ends well when a signal ends it; any other did not come to its end.
    """
    try:
        code = trio.run(_until_signal, body, stays)
    except BaseException as error:
        problem = explain(error, expected)
        if problem is None:
            raise
        raise problem from None
    if code:
        raise typer.Exit(code)


async def _until_signal(body: Body, stays: bool) -> int | None:
    code: int | None = None
    heard: list[int] = []
    # A second signal must not end the process while the first one still lets things end.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(_watch, signals, scope, heard)
                code = await body()
            nursery.cancel_scope.cancel()
    if scope.cancelled_caught and not stays:
        message = "interrupted; what was asked for may have been done, or not"
        raise Problem(message, SIGNALLED + heard[0])
    return code


async def _watch(signals: AsyncIterator[int], scope: trio.CancelScope, heard: list[int]) -> None:
    async for number in signals:
        heard.append(number)
        scope.cancel()
