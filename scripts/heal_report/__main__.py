"""Every row of AutoHeal's table injected into real nodes under writes.  Talks to processes, files.

    make heal-report                                        all rows, three times each
    python -m scripts.heal_report --only 1,9 --times 1      some of them
    python -m scripts.heal_report --json --page PAGE.md     for machines, and for the docs

Each trial has a cluster of its own, behind proxies that cut its links and with a library inside
that spoils its disks and clocks.  Exit code 1 when an acknowledged write is lost, or a row does
not heal, is not noted in the heal log, or cannot be injected here.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import trio

from node.local import LocalFailure
from scripts.heal_report import table
from scripts.heal_report.rows import Row, chosen
from scripts.heal_report.scene import run_trial
from scripts.heal_report.verdict import Outcome, Trial, is_good, median_heal_s
from scripts.nemesis.stage import first

TRIAL_S = 480.0


async def run(
    rows: list[Row],
    times: int,
    keep: Callable[[list[Outcome]], None] = lambda _: None,
    *,
    within_s: float = TRIAL_S,
) -> list[Outcome]:
    """Return what came of each row, a trial in at most `within_s`.

    `keep` is told after each row what there is so far.
    """
    outcomes = []
    for row in rows:
        trials = []
        for number in range(1, times + 1):
            trials.append(await run_once(row, within_s))
            _tell(row, number, trials[-1])
        outcomes.append(Outcome(row.name, row.injected, row.since, row.resync, row.by_hand, trials))
        keep(outcomes)
    return outcomes


async def run_once(row: Row, within_s: float = TRIAL_S) -> Trial:
    """Return what came of the row in a cluster of its own; never raises for what a node does."""
    with tempfile.TemporaryDirectory(prefix="unidesk-heal-") as path:
        names = tuple(f"n{place}" for place in range(1, row.nodes + 1))
        with row.room(Path(path), names), trio.move_on_after(within_s):
            try:
                trial = await run_trial(row.act, Path(path), nodes=row.nodes, sections=row.sections)
                trial.forget(path)
                return trial
            except* LocalFailure as group:
                why = str(first(group))
            return Trial(nodes=row.nodes, trouble=[why])
        said = _last_lines(Path(path))
    return Trial(nodes=row.nodes, trouble=[f"not over after {within_s:.0f} s", *said])


def _last_lines(folder: Path) -> list[str]:
    logs = {log.stem: log.read_text(encoding="utf-8") for log in sorted(folder.glob("*.log"))}
    return [f"{node}: {(text.splitlines() or ['nothing'])[-1]}" for node, text in logs.items()]


def _tell(row: Row, number: int, trial: Trial) -> None:
    problems = "; ".join([*trial.lost, *trial.trouble, trial.not_injected][:2])
    print(
        f"{row.name:<4}{row.injected:<36}#{number}  detected {table.seconds(trial.detected_s):>8}"
        f"  healed {table.seconds(trial.healed_s):>8}  stall {table.seconds(trial.stall_s):>8}"
        f"  {trial.acknowledged:>6} acknowledged  {trial.verdict}  {problems[:300]}".rstrip(),
        file=sys.stderr,
        flush=True,
    )


def to_json(outcomes: list[Outcome]) -> str:
    """Return everything, for machines."""
    found = {
        "median_heal_s": median_heal_s(outcomes),
        "good": is_good(outcomes),
        "rows": [one.to_builtins() for one in outcomes],
    }
    return json.dumps(found, indent=1, ensure_ascii=False)


def machine() -> str:
    """Return on what this ran, and how busy that was."""
    version = ".".join(platform.release().split(".")[:2])
    load = f"load average {os.getloadavg()[2]:.0f} over the last 15 minutes"
    shared = "nodes, clients and faults share the machine"
    return f"{os.cpu_count()} cores, {platform.system()} {version}; {shared}; {load}"


def main() -> int:
    """Parse the command line, run, print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.heal_report", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--times", type=int, default=3, help="trials of each row")
    parser.add_argument("--only", default="", help="rows: '1,3b'")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--save-json", type=Path, help="write the JSON there, too")
    parser.add_argument("--page", type=Path, help="write the page of the docs there")
    options = parser.parse_args()
    try:
        rows = chosen(options.only)
    except ValueError as error:
        parser.error(str(error))
    times = max(1, options.times)

    def keep(outcomes: list[Outcome]) -> None:
        if options.save_json:
            options.save_json.write_text(to_json(outcomes) + "\n", encoding="utf-8")
        if options.page:
            command = f"make heal-report TIMES={times}"
            options.page.write_text(table.page(outcomes, command, machine()), encoding="utf-8")

    outcomes = trio.run(run, rows, times, keep)
    print(to_json(outcomes) if options.json else table.terminal(outcomes))
    return 0 if is_good(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
