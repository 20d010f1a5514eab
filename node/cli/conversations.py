"""`unidesk conversations`: listed, shown, searched, exported.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import conversations_export
from node.cli.asking import Json, ask, ask_on
from node.cli.connecting import Where, connected
from node.cli.conversation_filter import filtered
from node.cli.conversations_export import PAGE
from node.cli.conversations_whole import whole_of, why_of
from node.cli.transcripts import listing, print_whole

if TYPE_CHECKING:
    from node.client import Client
    from node.protocol.catalogue import ConversationFilter

app = typer.Typer(help="Conversations, open and closed.", no_args_is_help=True)

Limit = Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1)]
Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first.")]


@app.command(name="list")
@connected
@filtered
def list_(
    where: Where,
    wanted: "ConversationFilter",
    limit: Limit = 50,
    oldest: Oldest = False,
    as_json: Json = False,
) -> None:
    """List conversations, the newest first.

    Example:  unidesk conversations list --state waiting --queue billing --tag tier=gold
    """
    _list(where, wanted, limit, oldest=oldest, as_json=as_json)


@app.command()
@connected
@filtered
def search(
    where: Where,
    query: Annotated[str, typer.Argument(metavar="QUERY", help='Words, or a "phrase".')],
    wanted: "ConversationFilter",
    limit: Limit = 20,
    oldest: Oldest = False,
    as_json: Json = False,
) -> None:
    """Find conversations by what was said, by subject, name or tag, in any language.

    Example:  unidesk conversations search "退款" --state closed --since 24h
    """
    wanted.q = query
    _list(where, wanted, limit, oldest=oldest, as_json=as_json)


@app.command()
@connected
def show(
    where: Where,
    cv: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id.")],
    as_json: Json = False,
) -> None:
    """Show one conversation: who has it, where and why it waits, and all that happened in it.

    Example:  unidesk conversations show 01JD3Q4V1ZJ6Y3N3W2B8K5T7QX
    """
    from node.cli.output import print_json

    whole: dict[str, Any] = {}

    async def body(client: "Client") -> None:
        whole.update(await whole_of(client, cv))

        whole["why"] = await why_of(client, cv)

    ask_on(where, body)
    if as_json:
        print_json(whole)
    else:
        print_whole(whole)


app.command()(conversations_export.export)


# -- inside


def _list(
    where: Where, wanted: "ConversationFilter", limit: int, *, oldest: bool, as_json: bool
) -> None:
    from node.cli.output import console, print_json, tell
    from node.protocol.catalogue import CvList

    items: list[dict[str, Any]] = []
    cursor, complete, more = "", True, True
    while more and len(items) < limit:
        request = CvList(
            filter=wanted,
            cursor=cursor,
            limit=min(PAGE, limit - len(items)),
            order="oldest" if oldest else "newest",
        )
        reply = ask(where, request)
        items += reply["items"]
        cursor, more, complete = reply["cursor"], reply["more"], complete and reply["complete"]
    if as_json:
        print_json({"items": items, "cursor": cursor, "more": more, "complete": complete})
    else:
        console().print(listing(items))
    if not complete:
        tell("the node has not taken all conversations in yet: some may be missing")
    if more:
        tell(f"there are more than these {len(items)}: --limit shows them")
