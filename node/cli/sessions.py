"""`unidesk sessions`: who is connected, where; sent elsewhere, or away.  Talks to nodes.

Sessions of agents are in the log, the same at every node.  Connections of all others are known to
the process that has the socket, and so each node is asked for its own (ADR 0007).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import REQUEST_S, Json, ask
from node.cli.completing import complete_agent, complete_node
from node.cli.connecting import Where, connected
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from node.client import Client
    from node.protocol.catalogue import SessionDismiss

app = typer.Typer(help="Who is connected, and where.", no_args_is_help=True)

PAGE = 1_000
NODE_S = 3.0
"""What a node may take to answer, its welcome included."""
KINDS = ("visitor", "agent", "supervisor", "operator", "service")
COLUMNS = ("who", "name", "node", "state", "follows", "session", "address")

Whom = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="A session's id, or KIND/ID for all of a principal, as visitor/ann.",
        autocompletion=lambda ctx, incomplete: _complete(ctx, incomplete),
    ),
]
Whose = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="All of a principal by KIND/ID, as visitor/ann; an agent's session also by its id.",
        autocompletion=lambda ctx, incomplete: _complete(ctx, incomplete),
    ),
]


def _complete(context: typer.Context, incomplete: str) -> list[str]:
    kind, slash, rest = incomplete.partition("/")
    if not slash:
        return [f"{one}/" for one in KINDS if one.startswith(incomplete)]
    return [f"agent/{one}" for one in complete_agent(context, rest)] if kind == "agent" else []


@app.callback()
def _group() -> None:
    pass


@app.command(name="list")
@connected
def list_(
    where: Where,
    node: Annotated[
        str, typer.Option(help="At this node alone.", autocompletion=complete_node)
    ] = "",
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")] = "",
    as_json: Json = False,
) -> None:
    """List who is connected: agents from the log, everybody else as each node says.

    A node that does not answer is named: whoever is there, but for agents, is missing then.

    Example:  unidesk sessions list --kind agent
    """
    if kind and kind not in KINDS:
        raise Problem(f"--kind {kind}: one of {', '.join(KINDS)}", USAGE)
    found = _gather(where)
    if node and node not in found["members"]:
        raise Problem(f"no node {node}; there are {', '.join(sorted(found['members']))}")
    del found["members"]
    found["clients"] = [
        row for row in found["clients"] if node in ("", row["node"]) and kind in ("", row["kind"])
    ]
    _print(found, as_json=as_json)


@app.command()
@connected
def show(
    where: Where,
    whom: Whom,
    as_json: Json = False,
) -> None:
    """Show one session, or all of a principal; exit code 1 when there is none.

    Example:  unidesk sessions show agent/mei
    """
    kind, who, sid = _whom(whom)
    found = _gather(where)
    del found["members"]
    found["clients"] = [
        row
        for row in found["clients"]
        if (row["sid"] == sid if sid else (row["kind"], row["id"]) == (kind, who))
    ]
    _print(found, as_json=as_json)
    if not found["clients"]:
        raise Problem(f"{whom}: nobody is connected so; see `unidesk sessions list`")


@app.command()
@connected
def move(
    where: Where,
    whom: Whose,
    to: Annotated[
        str,
        typer.Option(help="Where it should go, else anywhere.", autocompletion=complete_node),
    ] = "",
    as_json: Json = False,
) -> None:
    """Send a client to another node, where it goes on with all it had: `bye` 4006.

    It is in the audit log.

    Example:  unidesk sessions move visitor/ann --to n3
    """
    from node.protocol.catalogue import SessionDismiss

    kind, who, sid = _whom(whom)
    request = SessionDismiss(do="move", sid=sid, kind=kind, who=who, to=to)
    _dismiss(where, request, as_json=as_json)


@app.command()
@connected
def close(
    where: Where,
    whom: Whose,
    as_json: Json = False,
) -> None:
    """End a client's connections for good: `bye` 4109, which tells it to stop.

    An agent's session ends at once, and what they had goes to others.  Whoever has a good token
    may log in anew: `unidesk token revoke` prevents that.  It is in the audit log.

    Example:  unidesk sessions close agent/mei
    """
    from node.protocol.catalogue import SessionDismiss

    kind, who, sid = _whom(whom)
    request = SessionDismiss(do="close", sid=sid, kind=kind, who=who)
    _dismiss(where, request, as_json=as_json)


# -- inside


def _whom(text: str) -> tuple[Any, str, str]:
    """Return kind and id, or a session's id."""
    kind, slash, who = text.partition("/")
    if not slash:
        return None, "", text
    if kind not in KINDS or not who:
        raise Problem(f"{text}: a session's id, or KIND/ID with one of {', '.join(KINDS)}", USAGE)
    return kind, who, ""


def _dismiss(where: Where, request: "SessionDismiss", *, as_json: bool) -> None:
    from node.cli.output import count, print_json

    reply = ask(where, request)
    if as_json:
        print_json(reply)
        return
    did = "closed" if request.do == "close" else f"moved{f' to {request.to}' if request.to else ''}"
    whom = f"{reply['kind']} {reply['who']}"
    if reply["kind"] == "agent":
        typer.echo(f"{whom}: {count(len(reply['sids']), 'session')} {did}")
    else:
        typer.echo(f"{whom}: every connection there is gets {did}")


def _gather(where: Where) -> dict[str, Any]:
    """Return all clients by node, and which nodes did not answer."""
    import trio

    from node.cli.connecting import connect_as
    from node.cli.leader import read_members
    from node.cli.reaching import open_patient
    from node.cli.running import run

    cluster, proof = connect_as(where, "operator", "operator")
    found: dict[str, Any] = {"clients": [], "counts": {}, "silent": [], "parts": []}
    log: dict[str, dict[str, Any]] = {}

    async def body() -> None:
        urls = await cluster.reached()
        async with open_patient(urls, proof, name="unidesk-sessions") as client:
            members = (await read_members(client))["members"]
            found["members"] = [row["id"] for row in members]
            await _page_all(client, log)
        async with trio.open_nursery() as nursery:
            for row in members:
                nursery.start_soon(_ask_node, row["id"], row["url"], proof, found)

    run(body)
    local = {row["sid"]: row for row in found["clients"]}
    for sid, session in log.items():
        row = local.get(sid)
        if row is None:
            row = {"kind": "agent", "id": session["agent"], "name": session["name"], "sid": sid}
            found["clients"].append(row)
        row |= {name: session[name] for name in ("node", "state", "since")}
    found["clients"].sort(key=lambda row: (KINDS.index(row["kind"]), row["id"], row["sid"]))
    found["silent"].sort()
    return found


async def _page_all(client: "Client", log: dict[str, dict[str, Any]]) -> None:
    from node.protocol.catalogue import SessionList

    after, more = "", True
    while more:
        request = SessionList(after=after, limit=PAGE)
        reply = await client.request(request, timeout_s=REQUEST_S)
        log.update((row["sid"], row) for row in reply["sessions"])
        more = reply["more"]
        after = reply["sessions"][-1]["sid"] if more else ""


async def _ask_node(node: str, url: str, proof: str, found: dict[str, Any]) -> None:
    """Note the connections of one node, except this one that asks."""
    import trio

    from node.client import RequestFailed, Stopped, open_client
    from node.protocol.catalogue import SessionList

    reply: dict[str, Any] = {}
    own = ""
    with trio.move_on_after(NODE_S):
        try:
            async with open_client([url], proof, name="unidesk-sessions", pinned=True) as client:
                reply = await client.request(SessionList(limit=PAGE), timeout_s=NODE_S)
                own = client.welcome.sid if client.welcome is not None else ""
        except* (RequestFailed, Stopped):
            reply = {}
    if not reply:
        found["silent"].append(node)
        return
    found["clients"] += [
        row | {"node": node, "state": "live"} for row in reply["here"] if row["sid"] != own
    ]
    found["counts"][node] = reply["counts"]
    if reply["part"]:
        found["parts"].append(node)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    from node.cli.output import console, fitting, plain, print_json, tell

    if as_json:
        print_json(found)
    else:
        rows = [
            (
                plain(f"{row['kind']} {row['id']}"),
                plain(row.get("name", "")),
                row["node"],
                row["state"],
                str(row.get("follows", "-")),
                row["sid"],
                row.get("peer", ""),
            )
            for row in found["clients"]
        ]
        console().print(fitting(COLUMNS, rows, ("address", "follows", "name")))
    for node in found["silent"]:
        tell(f"{node} does not answer, or is drained: whoever is there but agents is not listed")
    for node in found["parts"]:
        tell(f"{node} serves by several processes, and one of them answered: it lists its own")
