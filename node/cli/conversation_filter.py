"""Which conversations a command means: its options, and the filter that they make.  No I/O."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.completing import complete_agent, complete_queue
from node.cli.problem import USAGE, Problem
from node.cli.sharing import gives, option

if TYPE_CHECKING:
    from node.protocol.catalogue import ConversationFilter

STATES = ("open", "new", "waiting", "offered", "assigned", "closed")


def filter_of(
    state: str,
    queue: str,
    agent: str,
    visitor: str,
    channel: str,
    tag: list[str] | None,
    missed: bool,
    since: str,
    until: str,
) -> "ConversationFilter":
    """Return the filter.  Raises `Problem` for what is no state, tag or moment."""
    from node.protocol.catalogue import ConversationFilter

    if state and state not in STATES:
        raise Problem(f"--state {state}: one of {', '.join(STATES)}", USAGE)
    return ConversationFilter(
        state=state,  # type: ignore[arg-type]  # one of STATES
        queue=queue,
        agent=agent,
        visitor=visitor,
        channel=channel,
        tags=dict(_tag(text) for text in tag or ()),
        missed=missed,
        since=_moment_ms("--since", since),
        until=_moment_ms("--until", until),
    )


filtered = gives(
    "wanted",
    (
        option("state", Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")], ""),
        option(
            "queue",
            Annotated[str, typer.Option(help="Of this queue.", autocompletion=complete_queue)],
            "",
        ),
        option(
            "agent",
            Annotated[
                str,
                typer.Option(
                    help="That this agent has, or had last.",
                    autocompletion=complete_agent,
                ),
            ],
            "",
        ),
        option("visitor", Annotated[str, typer.Option(help="That this visitor opened.")], ""),
        option("channel", Annotated[str, typer.Option(help="That came by this channel.")], ""),
        option(
            "tag",
            Annotated[
                list[str] | None,
                typer.Option(metavar="NAME=VALUE", help="That carry it. Repeatable."),
            ],
            None,
        ),
        option(
            "missed",
            Annotated[bool, typer.Option("--missed", help="That nobody answered in time.")],
            False,
        ),
        option(
            "since",
            Annotated[str, typer.Option(help="Opened since: 24h ago, or 2026-03-01[T08:00], UTC.")],
            "",
        ),
        option("until", Annotated[str, typer.Option(help="Opened before.")], ""),
    ),
    filter_of,
)
"""A command's parameter `wanted` is the filter that these options make."""


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Problem(f"--tag {text}: write NAME=VALUE", USAGE)
    return name, value


def _moment_ms(option: str, text: str) -> int:
    """Return a moment that was given as a date, or as how long ago; 0 when it was not given."""
    import time

    from node.cli.durations import seconds

    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return round((time.time() - seconds(text)) * 1000)
        except typer.BadParameter:
            message = f"{option} {text}: a date like 2026-03-01, or how long ago, like 24h"
            raise Problem(message, USAGE) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
