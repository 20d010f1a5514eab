"""Options that several commands share, written once.  No I/O.

    @gives("wanted", OPTIONS, filter_of)        list --state S --queue Q -n 20
    def list_(where, wanted, limit): ...        ──▶ list_(..., wanted=filter_of(state=S, queue=Q))

typer reads a command's signature, so the options stand there in the place of one parameter.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

Command = Callable[..., None]


def option(name: str, kind: Any, default: Any) -> inspect.Parameter:
    """Return one of the shared options; `kind` is `Annotated` as for a parameter of a command."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def gives(
    name: str,
    options: Sequence[inspect.Parameter],
    make: Callable[..., Any],
    *,
    before: Sequence[str] = (),
) -> Callable[[Command], Command]:
    """Return a decorator: a command's parameter `name` is what `make` makes of `options`, in order.

    On the help page they stand in its place, or `before` the first of other parameters.
    """

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())
        place = next(n for n, one in enumerate(own) if one.name == name)
        del own[place]
        by_name = inspect.Parameter.KEYWORD_ONLY  # so that any order of defaults is one
        kept = [one.replace(kind=by_name) for one in own]
        if before:
            place = next((n for n, one in enumerate(kept) if one.name in before), len(kept))
        shown = [*kept[:place], *options, *kept[place:]]

        @functools.wraps(command)
        def with_options(**given: Any) -> None:
            taken = [given.pop(one.name) for one in options]
            command(**{name: make(*taken)}, **given)

        signature = inspect.Signature(shown)
        with_options.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
        with_options.__annotations__ = {one.name: one.annotation for one in shown}
        return with_options

    return decorate
