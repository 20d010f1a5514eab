"""`unidesk say`: be a visitor.  Talks to nodes, the terminal."""

from typing import Annotated, Any

import typer

from node.cli.connecting import Where, connected

Lang = Annotated[str, typer.Option("--lang", help="en or zh; by default that of LANG.")]


@connected
def say(
    where: Where,
    name: Annotated[str, typer.Option(help="Your name, as the agent sees it.")] = "",
    subject: Annotated[str, typer.Option(help="Your id; a new visitor without one.")] = "",
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="A tag that rules may look at: arpu=6200. Repeatable."
        ),
    ] = None,
    lang: Lang = "",
) -> None:
    """Be a visitor in the terminal: write, and an agent answers.

    Example:  unidesk say --name Ada --tag arpu=6200
    """
    import secrets

    from node.cli.connecting import connect_as
    from node.cli.running import run
    from node.cli.seat import words_for
    from node.cli.visitor_seat import VisitorSeat

    tags = dict(_tag(text) for text in tag or ())
    visitor = subject or f"visitor-{secrets.token_hex(3)}"
    cluster, proof = connect_as(where, "visitor", visitor, name=name)
    seat = VisitorSeat(words_for(lang), visitor, {"terminal": True, **tags})

    async def body() -> int:
        return await seat.run(cluster.urls, proof, patience_s=cluster.wait_s)

    run(body, stays=True)


def _tag(text: str) -> tuple[str, Any]:
    """Return a tag; what looks like a number or a truth is one."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is no tag; write name=value")
    if not text.isprintable() or any("\ud800" <= character <= "\udfff" for character in text):
        raise typer.BadParameter(f"{text!r} holds characters that no tag may hold")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if -(1 << 63) <= number < 1 << 63:
            return name, number
    return name, value
