"""`unidesk agent`: be an agent.  Talks to nodes, the terminal."""

from typing import Annotated

import typer

from node.cli.connecting import Where, connected
from node.cli.say import Lang


@connected
def agent(
    where: Where,
    name: Annotated[str, typer.Option(help="Your name, as visitors see it.")] = "",
    subject: Annotated[str, typer.Option(help="Your id.")] = "me",
    skill: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LEVEL", help="What you know: refund=3. Repeatable."),
    ] = None,
    speaks: Annotated[
        list[str] | None,
        typer.Option(metavar="LANG", help="A language the agent speaks: zh, en. Repeatable."),
    ] = None,
    capacity: Annotated[
        int, typer.Option(help="Conversations you take at once.", min=1, max=1000)
    ] = 2,
    lang: Lang = "",
) -> None:
    """Be an agent in the terminal: offers, accept, answer, close.

    Example:  unidesk agent --name Ben --skill refund=3 --capacity 3
    """
    from node.cli.agent_seat import AgentSeat
    from node.cli.connecting import connect_as
    from node.cli.running import run
    from node.cli.seat import words_for
    from node.cli.token import parse_skill

    cluster, proof = connect_as(
        where,
        "agent",
        subject,
        name=name or subject,
        skills=dict(parse_skill(text) for text in skill or ()) or None,
        capacity=capacity,
        langs=tuple(speaks or ()),
    )
    seat = AgentSeat(words_for(lang))

    async def body() -> int:
        return await seat.run(cluster.urls, proof, patience_s=cluster.wait_s)

    run(body, stays=True)
