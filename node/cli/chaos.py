"""`unidesk chaos`: a cluster broken on purpose, for a while.  Talks to nodes.

isolate-zone dc2 · partition n1,n2/n3,n4 · one-way n1 n2          links
delay n1 --by 100ms · loss n1 --percent 20 · reset n1             links that are there
pause n2 · kill n2                                                processes
slow-disk n1 --by 300ms · full-disk n1 · fsync-error n1           disks
clock-skew n1 --by 5s                                             clocks
status · stop                                                     what is broken: `chaos_now`
run plan.toml · report run.json                                   scenarios: `chaos_run`
"""

from typing import Annotated, Any

import typer

from node.cli import chaos_now, chaos_run
from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected

app = typer.Typer(
    help="Break a cluster on purpose, for a while, and see what it does.", no_args_is_help=True
)

For = Annotated[str, typer.Option("--for", help="It ends by itself then: 30s; 10m at most.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Nodes = Annotated[str, typer.Argument(metavar="NODES", help="One, or several: n1,n2.")]
By = Annotated[str, typer.Option("--by", help="How much: 300ms, 5s.")]
Versus = Annotated[str, typer.Option("--to", help="Towards these nodes; all others without.")]

FOR = "10s"


def _start(where: Where, yes: bool, as_json: bool, kind: str, wait: str, **fields: Any) -> None:
    """Begin a fault, and say so.  Raises `Problem`."""
    from node.chaos.words import phrase
    from node.cli.durations import seconds
    from node.cli.output import print_json, tell
    from node.client import new_key
    from node.protocol.catalogue import ChaosStart

    for_ms = round(seconds(wait) * 1000)
    request = ChaosStart(key=new_key(), kind=kind, for_ms=for_ms, **fields)  # type: ignore[arg-type]  # by _start's callers
    said = phrase(kind, fields.get("groups", ()), **_figures(fields))
    _confirm(f"{said}, for {wait}?", yes)
    found = ask(where, request)
    if as_json:
        print_json(found)
        return
    tell(f"{said}: {wait}, as {found['fault']}; `unidesk chaos stop` ends it before")


def _figures(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in fields.items() if name != "groups"}


def _confirm(question: str, yes: bool) -> None:
    """Ask whoever sits at a terminal; a script has said it by writing it."""
    import sys

    if not yes and sys.stdin.isatty() and not typer.confirm(question):
        raise typer.Exit(1)


@app.command("isolate-zone")
@connected
def isolate_zone(
    where: Where,
    zone: Annotated[str, typer.Argument(help="As [node] zone says.")],
    wait: For = "30s",
    keep_clients: Annotated[
        bool, typer.Option("--keep-clients", help="Cut the zone from the other nodes alone.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a data centre lose its network: to the other nodes, and to its clients.

    Example:  unidesk chaos isolate-zone dc2 --for 30s
    """
    _start(where, yes, as_json, "partition", wait, zone=zone, clients=not keep_clients)


@app.command()
@connected
def partition(
    where: Where,
    sides: Annotated[str, typer.Argument(metavar="SIDES", help="n1,n2/n3,n4,n5")],
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cut the links between sets of nodes; who is in none has links to all.

    Example:  unidesk chaos partition n1,n2/n3,n4,n5 --for 20s
    """
    _start(where, yes, as_json, "partition", wait, groups=_sides(sides))


@app.command("one-way")
@connected
def one_way(
    where: Where,
    from_: Annotated[str, typer.Argument(metavar="FROM", help="Nodes that are not heard: n1.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="By these: n2,n3.")],
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Lose all that FROM sends to TO; the other way stays whole.

    Example:  unidesk chaos one-way n1 n2,n3 --for 20s
    """
    _start(where, yes, as_json, "one_way", wait, groups=[from_, to])


@app.command()
@connected
def delay(
    where: Where,
    nodes: Nodes,
    by: By = "100ms",
    jitter: Annotated[str, typer.Option(help="Up to so much on top, by chance.")] = "0ms",
    to: Versus = "",
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let frames between nodes arrive later, each way.

    Example:  unidesk chaos delay n1 --by 80ms --jitter 40ms --for 30s
    """
    fields = {"groups": _groups(nodes, to), "amount": _ms(by), "jitter_ms": _ms(jitter)}
    _start(where, yes, as_json, "delay", wait, **fields)


@app.command()
@connected
def loss(
    where: Where,
    nodes: Nodes,
    percent: Annotated[int, typer.Option(help="Of the frames, each way.", min=1, max=100)] = 10,
    to: Versus = "",
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Lose some of the frames between nodes, by chance.

    Example:  unidesk chaos loss n1 --to n2 --percent 20 --for 30s
    """
    fields = {"groups": _groups(nodes, to), "amount": percent}
    _start(where, yes, as_json, "loss", wait, **fields)


@app.command()
@connected
def reset(
    where: Where,
    nodes: Nodes,
    every: Annotated[str, typer.Option(help="So often.")] = "1s",
    to: Versus = "",
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Break the connections between nodes, again and again.

    Example:  unidesk chaos reset n1 --every 200ms --for 30s
    """
    fields = {"groups": _groups(nodes, to), "amount": _ms(every)}
    _start(where, yes, as_json, "reset", wait, **fields)


@app.command()
@connected
def pause(
    where: Where,
    nodes: Nodes,
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop the time of a node's process (SIGSTOP), as a machine that hangs does.

    Example:  unidesk chaos pause n2 --for 10s
    """
    _start(where, yes, as_json, "pause", wait, groups=[nodes])


@app.command()
@connected
def kill(
    where: Where,
    nodes: Nodes,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Kill a node's process (SIGKILL); whatever supervises it starts it again.

    Example:  unidesk chaos kill n2
    """
    _start(where, yes, as_json, "kill", "1s", groups=[nodes])


@app.command("slow-disk")
@connected
def slow_disk(
    where: Where,
    nodes: Nodes,
    by: By = "300ms",
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let every sync of a node's log take longer.

    Example:  unidesk chaos slow-disk n1 --by 300ms --for 30s
    """
    fields = {"groups": [nodes], "amount": _ms(by)}
    _start(where, yes, as_json, "slow_disk", wait, **fields)


@app.command("full-disk")
@connected
def full_disk(
    where: Where,
    nodes: Nodes,
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a node's disk be full: nothing is free, and nothing can be written.

    Example:  unidesk chaos full-disk n1 --for 10s
    """
    _start(where, yes, as_json, "full_disk", wait, groups=[nodes])


@app.command("fsync-error")
@connected
def fsync_error(
    where: Where,
    nodes: Nodes,
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a node's syncs fail (EIO): it ends itself, and is whole once it is started again.

    Example:  unidesk chaos fsync-error n1
    """
    _start(where, yes, as_json, "fsync_error", wait, groups=[nodes])


@app.command("clock-skew", context_settings={"ignore_unknown_options": True})
@connected
def clock_skew(
    where: Where,
    nodes: Nodes,
    by: Annotated[str, typer.Option("--by", help="Ahead: 5s; behind: -5s.")] = "5s",
    wait: For = FOR,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a node's wall clock be wrong.

    Example:  unidesk chaos clock-skew n1 --by -5s --for 30s
    """
    ms = -_ms(by[1:]) if by.startswith("-") else _ms(by)
    fields = {"groups": [nodes], "amount": ms}
    _start(where, yes, as_json, "clock_skew", wait, **fields)


app.command()(chaos_now.status)
app.command()(chaos_now.stop)
app.command("run")(chaos_run.run_plan)
app.command("report")(chaos_run.report)


def _sides(text: str) -> list[str]:
    return [side.strip() for side in text.split("/")]


def _groups(nodes: str, to: str) -> list[str]:
    return [nodes, to] if to else [nodes]


def _ms(text: str) -> int:
    from node.cli.durations import seconds

    return round(seconds(text) * 1000)
