"""Running a command's trio part until it ends or somebody says stop.  Talks to signals.

first SIGINT or SIGTERM   cancel, and let everything end as it should
what is expected to fail  becomes a `Problem`: words and an exit code
"""

import signal
from collections.abc import Awaitable, Callable

import trio
import typer

from node.cli.problem import explain

Body = Callable[[], Awaitable[int | None]]


def run(body: Body, *, expected: tuple[type[Exception], ...] = ()) -> None:
    """Run `body`; raise `typer.Exit` with the code it returns, or `Problem`.

    Failures of the kinds `expected` become problems, beside those that always do.
    """
    try:
        code = trio.run(_until_signal, body)
    except BaseException as error:
        problem = explain(error, expected)
        if problem is None:
            raise
        raise problem from None
    if code:
        raise typer.Exit(code)


async def _until_signal(body: Body) -> int | None:
    code: int | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, nursery.cancel_scope)
        code = await body()
        nursery.cancel_scope.cancel()
    return code


async def _watch_signals(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
