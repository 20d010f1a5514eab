"""The report for people: a table on a terminal, a page for the docs.  No I/O."""

from collections.abc import Iterable, Sequence

from scripts.heal_report.verdict import HEAL_S_MEDIAN_MAX, Outcome, median_heal_s

COLUMNS = ("row", "injected", "detected", "healed", "counted from", "stall", "acknowledged",
           "lost", "by hand", "verdict")  # fmt: skip
WORDS_MAX = 160
"""Of what a node says, in the page."""
PROBLEMS_MAX = 4
"""Of one row; the first ones say why, the rest is what follows from them."""
HEAD = """# Healing, measured

Every row of [AutoHeal's table](healing.md), injected into real node processes while clients write.
Made by

```console
{command}
```

on {machine}.

- *detected*: from the injection to the first sign by the product: a line of its heal log, a changed
  standing. Median.
- *healed*: until every node serves, hears every other, has what is committed, and writes are
  acknowledged. Median / longest. Counted from the injection where the fault lasts no time or is
  lived with, else from its end; the column says which.
- *stall*: the longest time in which no client got an acknowledgement, of all trials.
- *lost*: acknowledged writes that are lost, doubled, changed or out of order in any node's history,
  read back at the end, when all nodes must hold one state by checksum.
- A node that ends itself, as it must when its disk fails, is started again by a supervisor, as
  `deploy/` has it.
- *not injected*, *not noted* and *not healed* are failures, and make the command end with 1.
"""


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return one row, in the order of COLUMNS."""
    return (
        outcome.row,
        outcome.injected,
        seconds(outcome.detected_s),
        _healed(outcome),
        "its end" if outcome.since == "end" else "the injection",
        seconds(outcome.stall_s),
        str(outcome.acknowledged),
        str(outcome.lost),
        outcome.by_hand or "nothing",
        outcome.verdict,
    )


def seconds(found: float | None) -> str:
    """Return a time as people read it; a dash for none."""
    return "-" if found is None else f"{found:.2f} s"


def _healed(outcome: Outcome) -> str:
    median, longest = outcome.healed_s, outcome.healed_s_max
    if median is None or longest is None:
        return "-"
    return seconds(median) if len(outcome.trials) == 1 else f"{median:.2f} / {longest:.2f} s"


def terminal(outcomes: Sequence[Outcome]) -> str:
    """Return the table in aligned columns, what is wrong below it, and the sum."""
    rows = [COLUMNS, *map(cells, outcomes)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    for outcome in outcomes:
        lines += [f"  {outcome.row}: {_short(problem)}" for problem in _few(outcome.problems)]
    return "\n".join([*lines, summary(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return in a sentence what all rows come to."""
    well = sum(one.verdict == "healed" for one in outcomes)
    lost = sum(one.lost for one in outcomes)
    acknowledged = sum(one.acknowledged for one in outcomes)
    median = seconds(median_heal_s(outcomes))
    return (
        f"{well} of {len(outcomes)} rows healed; median {median} (promised: below"
        f" {HEAL_S_MEDIAN_MAX:g} s, re-syncs and what people decide aside);"
        f" {lost} of {acknowledged} acknowledged writes lost"
    )


def page(outcomes: Sequence[Outcome], command: str, machine: str) -> str:
    """Return the Markdown of docs/reference/healing-measured.md."""
    return "\n".join([*_head(command, machine), *_figures(outcomes), *_words(outcomes), ""])


def _head(command: str, machine: str) -> Iterable[str]:
    yield HEAD.format(command=command, machine=machine)


def _figures(outcomes: Sequence[Outcome]) -> Iterable[str]:
    yield _line(COLUMNS)
    yield _line(["---"] * len(COLUMNS))
    for outcome in outcomes:
        yield _line(cells(outcome))
    yield ""
    yield summary(outcomes) + "."
    yield ""


def _words(outcomes: Sequence[Outcome]) -> Iterable[str]:
    yield "## In the nodes' own words"
    yield ""
    yield _line(("row", "what was seen", "what was done"))
    yield _line(["---"] * 3)
    for outcome in outcomes:
        yield _line((outcome.row, _short(outcome.seen) or "-", _short(outcome.done) or "-"))
    problems = [(one.row, problem) for one in outcomes for problem in _few(one.problems)]
    if problems:
        yield "\n## What is wrong\n"
        yield from (f"- {row}: {_short(problem)}" for row, problem in problems)


def _few(problems: Sequence[str]) -> Sequence[str]:
    """Return the first ones, and how many there are besides."""
    more = len(problems) - PROBLEMS_MAX
    return [*problems[:PROBLEMS_MAX], *([f"and {more} more, in the JSON"] if more > 0 else [])]


def _short(words: str) -> str:
    return words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1] + "…"


def _line(found: Iterable[str]) -> str:
    return "| " + " | ".join(one.replace("|", "\\|").replace("\n", " ") for one in found) + " |"
