"""`unidesk replay`: real dialogues through a real cluster, checked.  Talks to processes, nodes."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from node.replay.report import Report
    from node.replay.run import Progress

CONCURRENCY_MAX = 2_000
KILLING_PACE = "200ms"


def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Dialogues: one JSON object a line.")
    ],
    conversations: Annotated[
        int | None,
        typer.Option(help="How many to speak; more than FILE has begins it anew.", min=1),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(help="Dialogues at a time.", min=1, max=CONCURRENCY_MAX)
    ] = 50,
    kill_leader_every: Annotated[
        str, typer.Option(help="Kill the leader's process so long after each recovery: 5s.")
    ] = "",
    upgrade_every: Annotated[
        str, typer.Option(help="Upgrade the next node so long after the last upgrade: 5s.")
    ] = "",
    nodes: Annotated[int, typer.Option(help="Nodes of the cluster.", min=1, max=9)] = 3,
    workers: Annotated[
        int, typer.Option(help="Processes that serve each node's clients.", min=0, max=8)
    ] = 0,
    pace: Annotated[
        str, typer.Option(help="Pause before each turn; 200ms when nodes are killed or upgraded.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder for the cluster; a temporary one without.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Shuffle the dialogues by this.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Speak the dialogues of FILE through a cluster of their own and check every observer.

    Each dialogue is opened by a visitor at one node and taken by agents at others.  Exit code 1
    when anything acknowledged is lost, doubled, out of order or changed, when a conversation has
    two owners or an agent too many conversations, or when one is not spoken to its end.

    Example:  unidesk replay dialogues.jsonl --concurrency 50 --kill-leader-every 5s
    """
    from node.cli.durations import seconds
    from node.cli.output import print_json
    from node.cli.problem import USAGE, Problem
    from node.cli.running import run
    from node.replay.dialogues import BadDialogues, load
    from node.replay.run import Plan, Replay

    try:
        dialogues = load(file, limit=conversations)
    except BadDialogues as error:
        raise Problem(str(error), USAGE) from None
    if kill_leader_every and nodes < 3:
        raise typer.BadParameter("a cluster of fewer than 3 nodes does not survive a kill")
    plan = Plan(
        dialogues=dialogues,
        conversations=conversations or len(dialogues),
        concurrency=concurrency,
        nodes=nodes,
        kill_leader_every_s=seconds(kill_leader_every) if kill_leader_every else None,
        upgrade_every_s=seconds(upgrade_every) if upgrade_every else None,
        # Without a pause a few hundred dialogues are over before the first leader dies.
        pace_s=seconds(pace or (KILLING_PACE if kill_leader_every or upgrade_every else "0s")),
        seed=seed,
        workers=workers,
    )

    async def body() -> int:
        with _folder(data) as folder, _progress(plan.conversations) as (tell, show):
            report = await Replay(plan, tell=tell, progress=show).run(folder)
        if as_json:
            print_json(report.to_json())
        else:
            _show(report)
        return 0 if report.good else 1

    run(body)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Give the folder that was asked for, or one that is gone afterwards."""
    if data is not None:
        yield data
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="unidesk-replay-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _progress(total: int) -> "Iterator[tuple[Callable[[str], None], Callable[[Progress], None]]]":
    """Give a way to tell, and a way to show how far it is; both on standard error."""
    from node.cli.output import console, tell

    if not sys.stderr.isatty():
        yield tell, lambda _: None
        return
    from rich import progress

    out = console(stderr=True)
    more_column = progress.TextColumn("{task.fields[more]}")
    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), more_column)
    with progress.Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=total, more="")

        def show(now: "Progress") -> None:
            more = f"dialogues, {now.messages} messages, {now.kills} kills"
            bar.update(task, completed=now.spoken, more=more)

        yield out.print, show


def _show(report: "Report") -> None:
    from rich.text import Text

    from node.cli.output import console, table
    from node.replay.report import EXAMPLES_MAX

    out = console()
    rows = [(what, Text(value, "" if good else "bold red")) for what, value, good in report.rows()]
    made = table(("replay", ""), rows)
    made.columns[1].justify = "right"
    out.print(made)
    for problem in [*report.violations, *report.unfinished, *report.trouble][:EXAMPLES_MAX]:
        out.print(f"  {problem}")
    if report.good:
        out.print("everything held")
    else:
        out.print("NOT everything held", style="bold red")
