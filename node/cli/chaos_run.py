"""`unidesk chaos run` and `report`: scenarios, and what came of them.  Talks to nodes, processes.

--demo                     a cluster of its own: started, supervised, stopped
--config, --data           a cluster that runs, with chaos on at every node
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.connecting import Cluster, ConfigFile, Data, Urls, Where

if TYPE_CHECKING:
    from node.chaos.record import Record
    from node.chaos.run import Progress
    from node.chaos.scenario import Scenario
    from node.client.status import Proof
    from node.protocol.catalogue import Role
    from node.replay.dialogues import Dialogue
    from node.replay.reached import Reached

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The HTML file; JSON goes beside it.")
]


@dataclass(frozen=True, slots=True)
class _Found:
    """A cluster that others run, with its nodes by name."""

    cluster: Cluster
    by_name: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.by_name)

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self.by_name.values())

    def url(self, name: str) -> str:
        return self.by_name[name]

    def mint(self, role: "Role", subject: str, **claims: Any) -> str:
        return self.cluster.mint(role, subject, **claims)

    def pass_for_pages(self) -> "Proof":
        return self.cluster.pass_for_pages()


def run_plan(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A scenario: plan.toml.")],
    demo: Annotated[
        bool, typer.Option("--demo", help="Start a cluster for it, as [cluster] says.")
    ] = False,
    output: Output = None,
    dialogues: Annotated[
        Path | None, typer.Option(help="What people say: one JSON object a line.")
    ] = None,
    url: Urls = None,
    config: ConfigFile = None,
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Run a scenario under load, check every guarantee, and write a report.

    The load is made of visitors and agents who talk by the cluster's own rules; on a cluster that
    others use, their agents are offered these conversations too.  Exit code 1 when a guarantee did
    not hold, or a step could not be done.

    Example:  unidesk chaos run plan.toml --demo -o report.html
    """
    from cluster.toml_source import SourceErrors
    from node.chaos.record import encode
    from node.chaos.run import CannotRun
    from node.chaos.scenario import load
    from node.cli.problem import USAGE, Problem
    from node.cli.running import run
    from node.replay.dialogues import BadDialogues

    try:
        scenario = load(plan)
        spoken = _dialogues(dialogues or scenario.load.dialogues)
    except (SourceErrors, BadDialogues) as error:
        raise Problem(str(error), USAGE) from None
    page = output or Path(plan.stem + ".html")
    if not demo and not yes and sys.stdin.isatty():
        typer.confirm("This opens conversations in that cluster, and breaks it. Go on?", abort=True)

    async def body() -> int:
        where = Where(url, "", config, data)
        with _progress() as (tell, show):
            async with _cluster(scenario, where, demo, data, tell) as (cluster, own):
                record = await _run(scenario, cluster, spoken, own, tell, show)
        _write(page.with_suffix(".json"), encode(record))
        _write(page, _page(record))
        if as_json:
            sys.stdout.buffer.write(encode(record))
        else:
            _show(record)
            tell(f"the report is in {page}, and as JSON in {page.with_suffix('.json')}")
        return 0 if record.good and not record.undone else 1

    run(body, expected=(CannotRun,))


def report(
    record: Annotated[Path, typer.Argument(metavar="RUN", help="The JSON of a run.")],
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Make a report of a run's JSON, again.

    Example:  unidesk chaos report run.json -o run.html
    """
    import msgspec

    from node.chaos.record import decode
    from node.cli.output import print_json, tell
    from node.cli.problem import USAGE, Problem

    try:
        found = decode(record.read_bytes())
    except OSError as error:
        raise Problem(f"{record}: {error.strerror or error}", USAGE) from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise Problem(f"{record}: is no record of `unidesk chaos run`: {error}", USAGE) from None
    page = output or record.with_suffix(".html")
    _write(page, _page(found))
    if as_json:
        print_json({"report": str(page), "good": found.good})
    else:
        tell(f"the report is in {page}")


async def _run(
    scenario: "Scenario",
    cluster: "Reached",
    dialogues: "list[Dialogue]",
    own: bool,
    tell: Callable[[str], None],
    show: "Callable[[Progress], None]",
) -> "Record":
    from node.chaos.run import Run

    return await Run(scenario, cluster, dialogues, own=own, tell=tell, show=show).run()


def _dialogues(path: Path | None) -> "list[Dialogue]":
    from node.chaos.load import built_in
    from node.replay.dialogues import load

    return load(path) if path is not None else built_in()


@contextlib.asynccontextmanager
async def _cluster(
    scenario: "Scenario", where: Where, demo: bool, data: Path | None, tell: Callable[[str], None]
) -> "AsyncIterator[tuple[Reached, bool]]":
    """Give the cluster, and whether it is there for the run alone."""
    import tempfile

    from node.chaos.own import own_cluster

    if not demo:
        yield await _find(where), False
        return
    with contextlib.ExitStack() as kept:
        folder = data or Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="unidesk-")))
        async with own_cluster(folder, scenario.zones, scenario.workers, tell) as cluster:
            yield cluster, True


async def _find(where: Where) -> _Found:
    """Return the cluster with its nodes by name, as it says itself."""
    from node.cli.connecting import find_cluster
    from node.cli.reaching import open_patient
    from node.protocol.catalogue import MembersGet

    cluster = find_cluster(where)
    token = cluster.mint("operator", "chaos")
    async with open_patient(await cluster.reached(), token, name="unidesk-operator") as client:
        found = await client.request(MembersGet(), timeout_s=15.0)
    return _Found(cluster, {one["id"]: one["url"] for one in found["members"] if one["url"]})


def _page(record: "Record") -> bytes:
    from node.chaos.page import page

    return page(record).encode()


def _write(path: Path, data: bytes) -> None:
    from node.cli.problem import Problem

    try:
        path.write_bytes(data)
    except OSError as error:
        raise Problem(f"{path}: cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _progress() -> "Iterator[tuple[Callable[[str], None], Callable[[Progress], None]]]":
    """Give a way to tell, and a way to show how far it is; both on standard error."""
    from node.cli.output import console, tell

    if not sys.stderr.isatty():
        yield tell, lambda _: None
        return
    out = console(stderr=True)
    with out.status("the agents come online") as status:

        def show(now: "Progress") -> None:
            broken = "; ".join(now.broken) or "all whole"
            status.update(
                f"{now.at_s:.0f} of {now.of_s:.0f} s, {now.acknowledged} messages: {broken}"
            )

        yield out.print, show


def _show(record: "Record") -> None:
    from rich.text import Text

    from node.cli.output import console, table

    out = console()
    faults = [
        (
            str(number),
            one.what,
            f"{one.began_s:.1f}-{one.ended_s:.1f} s",
            f"{one.rate:.1f}",
            f"{one.stall_s:.2f} s",
            f"{one.healed_s:.1f} s" if one.healed_s is not None else "-",
        )
        for number, one in enumerate(record.faults, start=1)
    ]
    out.print(table(("#", "broken", "when", "messages/s", "stall", "all serve after"), faults))
    checks = [
        (one.id, one.what, Text("held") if one.holds else Text(f"{one.found}", "bold red"))
        for one in record.checks
    ]
    out.print(table(("", "guarantee", ""), checks))
    for line in [*record.violations, *record.undone, *record.unfinished, *record.trouble]:
        out.print(f"  {line}")
    mean = record.acknowledged / record.seconds if record.seconds else 0.0
    out.print(f"{record.acknowledged} messages acknowledged, {mean:.1f} a second")
    if record.undone:
        out.print(f"{len(record.undone)} of the plan's steps were NOT done", style="bold red")
    if record.good:
        out.print("every guarantee held")
    else:
        out.print("NOT every guarantee held", style="bold red")
