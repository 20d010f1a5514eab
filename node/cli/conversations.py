"""`unidesk conversations`: listed, shown, searched, exported.  Talks to nodes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import REQUEST_S, Json, ask, ask_on
from node.cli.connecting import ConfigFile, Data, Token, Urls, Where
from node.cli.problem import USAGE, Problem
from node.cli.transcripts import listing, print_whole

if TYPE_CHECKING:
    from node.client import Client
    from node.protocol.catalogue import ConversationFilter

app = typer.Typer(help="Conversations, open and closed.", no_args_is_help=True)

PAGE = 100
HISTORY_PAGE = 200
STATES = ("open", "new", "waiting", "offered", "assigned", "closed")

State = Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")]
Queue = Annotated[str, typer.Option(help="Of this queue.")]
Agent = Annotated[str, typer.Option(help="That this agent has, or had last.")]
Visitor = Annotated[str, typer.Option(help="That this visitor opened.")]
Channel = Annotated[str, typer.Option(help="That came by this channel.")]
Tag = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="That carry it. Repeatable.")
]
Missed = Annotated[bool, typer.Option("--missed", help="That nobody answered in time.")]
Since = Annotated[str, typer.Option(help="Opened since: 24h ago, or 2026-03-01[T08:00], UTC.")]
Until = Annotated[str, typer.Option(help="Opened before.")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1)]
Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first.")]


@app.command(name="list")
def list_(
    state: State = "",
    queue: Queue = "",
    agent: Agent = "",
    visitor: Visitor = "",
    channel: Channel = "",
    tag: Tag = None,
    missed: Missed = False,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    oldest: Oldest = False,
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List conversations, the newest first.

    Example:  unidesk conversations list --state waiting --queue billing --tag tier=gold
    """
    wanted = _filter(state, queue, agent, visitor, channel, tag, missed, since, until)
    _list(Where(url, token, config, data), wanted, limit, oldest=oldest, as_json=as_json)


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='Words, or a "phrase".')],
    state: State = "",
    queue: Queue = "",
    agent: Agent = "",
    visitor: Visitor = "",
    channel: Channel = "",
    tag: Tag = None,
    missed: Missed = False,
    since: Since = "",
    until: Until = "",
    limit: Limit = 20,
    oldest: Oldest = False,
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Find conversations by what was said, by subject, name or tag, in any language.

    Example:  unidesk conversations search "退款" --state closed --since 24h
    """
    wanted = _filter(state, queue, agent, visitor, channel, tag, missed, since, until)
    wanted.q = query
    _list(Where(url, token, config, data), wanted, limit, oldest=oldest, as_json=as_json)


@app.command()
def show(
    cv: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id.")],
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show one conversation with everything that happened in it.

    Example:  unidesk conversations show 01JD3Q4V1ZJ6Y3N3W2B8K5T7QX
    """
    from node.cli.output import print_json

    whole: dict[str, Any] = {}

    async def body(client: "Client") -> None:
        whole.update(await _whole(client, cv))

    ask_on(Where(url, token, config, data), body)
    if as_json:
        print_json(whole)
    else:
        print_whole(whole)


@app.command()
def export(
    state: State = "",
    queue: Queue = "",
    agent: Agent = "",
    visitor: Visitor = "",
    channel: Channel = "",
    tag: Tag = None,
    missed: Missed = False,
    since: Since = "",
    until: Until = "",
    q: Annotated[str, typer.Option("--search", help="That a search for this finds.")] = "",
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
) -> None:
    """Print whole conversations as lines of JSON, the oldest first: {conv, events}.

    They are fetched page by page, so the output begins at once and may be of any length.

    Example:  unidesk conversations export --state closed --since 24h > yesterday.jsonl
    """
    import json

    from node.cli.output import tell
    from node.client import RequestFailed

    wanted = _filter(state, queue, agent, visitor, channel, tag, missed, since, until)
    wanted.q = q

    async def body(client: "Client") -> None:
        gone = 0
        async for item in _pages(client, wanted):
            try:
                whole = await _whole(client, item["cv"])
            except RequestFailed as failure:
                if failure.code != "not_found":
                    raise
                gone += 1  # past its retention since the page was read
                continue
            print(json.dumps(whole, ensure_ascii=False), flush=True)
        if gone:
            tell(f"{gone} were past their retention before they could be read")

    ask_on(Where(url, token, config, data), body)


# -- inside


def _filter(
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
    from node.protocol.catalogue import ConversationFilter

    if state and state not in STATES:
        raise Problem(f"--state {state}: one of {', '.join(STATES)}", USAGE)
    return ConversationFilter(
        state=state,  # type: ignore[arg-type]
        queue=queue,
        agent=agent,
        visitor=visitor,
        channel=channel,
        tags=dict(_tag(text) for text in tag or ()),
        missed=missed,
        since=_moment_ms("--since", since),
        until=_moment_ms("--until", until),
    )


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


async def _pages(client: "Client", wanted: "ConversationFilter") -> AsyncIterator[dict[str, Any]]:
    """Yield what is listed, the oldest first, page by page."""
    from node.protocol.catalogue import CvList

    cursor, more = "", True
    while more:
        request = CvList(filter=wanted, cursor=cursor, limit=PAGE, order="oldest")
        reply = await client.request(request, timeout_s=REQUEST_S)
        if not reply["complete"]:
            raise Problem("the node has not taken all conversations in yet: try again in a while")
        for item in reply["items"]:
            yield item
        cursor, more = reply["cursor"], reply["more"]


async def _whole(client: "Client", cv: str) -> dict[str, Any]:
    """Return a conversation with all of its events that are kept."""
    from node.protocol.catalogue import CvGet, CvHistory

    conv = (await client.request(CvGet(cv=cv), timeout_s=REQUEST_S))["conv"]
    events: list[dict[str, Any]] = []
    more = True
    while more:
        after = events[-1]["seq"] if events else 0
        request = CvHistory(cv=cv, after=after, limit=HISTORY_PAGE)
        reply = await client.request(request, timeout_s=REQUEST_S)
        events += [
            {k: v for k, v in one.items() if k not in ("op", "cv")} for one in reply["events"]
        ]
        more = reply["more"]
    return {"conv": conv, "events": events}
