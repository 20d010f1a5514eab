"""What routing costs, beside the raw evaluation of the same conditions by the library.

    python -m scripts.bench_routing [--rules 200] [--attributes 60] [--rounds 2000]

    library       the conditions alone, compiled and with their values ready
    decide        a whole decision: values converted, every rule looked at, the trace, the route
    need, judged  an agent judged by a requirement: seen before, and for the first time

The last rule is the only one that matches, so every condition is evaluated.  Processor time of one
thread, in blocks that take turns: the median of the block that others disturbed least, and beside
it the median and the 99th percentile of all rounds.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from cel_expr_python import cel

from cluster.routing.decide import decide
from cluster.routing.needs import KnownAgent, Needs
from cluster.routing.ruleset import RuleSet, compile_rules
from cluster.state.model import Conversation
from scripts.bench_dispatch import Size, print_table

BLOCK = 50
"""Rounds of one kind before the next has its turn."""
NOW_MS = 1_768_356_000_000
SHAPES = (
    'attrs.a{n} == "gold" && tags.arpu > {n}.0',
    'channel == "phone" && lang in ["zh", "en"] && attrs.a{n} != "x"',
    "tags.arpu > 9{n:03}.0 || attrs.a{n} == 'silver'",
    'attrs.a{n}.startsWith("refund") && has(tags.arpu)',
)
LAST = 'channel == "web" && tags.arpu > 5000.0'
WAY = (
    "[{ queue = 'vip', prefer = 'last_agent', for = '10s' },"
    " { queue = 'vip', require = 'agent.skill.refund >= 4 && lang in agent.langs', for = '30s' },"
    " { queue = 'general', priority = 60 }]"
)


class Row(NamedTuple):
    """One line of a table."""

    name: str
    best_us: float
    """Median of the block that others on the machine disturbed least."""
    median_us: float
    p99_us: float


def conditions(rules: int, attributes: int) -> list[str]:
    """Return so many conditions over so many attributes; the last one holds."""
    shapes = [SHAPES[n % len(SHAPES)].format(n=n % attributes) for n in range(rules - 1)]
    return [*shapes, LAST]


def rule_set(sources: list[str]) -> RuleSet:
    """Return the rules of `sources`, the last one with the whole form of a way."""
    text = "".join(
        f"[rule.r{n:04}]\nwhen = '''{source}'''\nroute = 'general'\n"
        for n, source in enumerate(sources[:-1])
    )
    text += f"[rule.z]\nwhen = '''{sources[-1]}'''\nsteps = {WAY}\n"
    return compile_rules({"main.toml": text})


def library(sources: list[str], conversation: Conversation) -> Callable[[], object]:
    """Return what evaluates the conditions with nothing of ours."""
    kinds = dict.fromkeys(("channel", "lang", "subject"), cel.Type.STRING)
    maps = dict.fromkeys(("tags", "attrs"), cel.Type.Map(cel.Type.STRING, cel.Type.DYN))
    environment = cel.NewEnv(variables=kinds | maps)
    compiled = [environment.compile(source) for source in sources]
    values = {name: getattr(conversation, name) for name in (*kinds, *maps)}
    activation = environment.Activation(values)
    return lambda: [one.eval(activation).value() for one in compiled]


def measured(work: dict[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Return the table of what `work` takes, in microseconds, each in turn."""
    times: dict[str, list[float]] = {name: [] for name in work}
    gc.collect()
    for _ in range(rounds // BLOCK):
        for name, one in work.items():
            one()  # brings what it needs into the caches
            for _ in range(BLOCK):
                began = time.thread_time_ns()
                one()
                times[name].append((time.thread_time_ns() - began) / 1_000)
    return [
        Row(
            name,
            min(statistics.median(took[at : at + BLOCK]) for at in range(0, len(took), BLOCK)),
            statistics.median(took),
            statistics.quantiles(took, n=100)[98],
        )
        for name, took in times.items()
    ]


def decisions(rules: int, attributes: int, rounds: int) -> list[Row]:
    """Return the rows of the table of decisions."""
    sources = conditions(rules, attributes)
    attrs = {f"a{n}": f"value {n}" for n in range(attributes)}
    conversation = Conversation(
        *("cv1", "ann", "Ann", "web", "zh", "hello"), {"arpu": 6200.0}, attrs, opened_ms=0
    )
    ruleset = rule_set(sources)
    decision = decide(ruleset, conversation, NOW_MS)
    assert decision.rule == "z"
    need = decision.route.steps[1].need
    agent, needs = KnownAgent("ann", "Ann", {"refund": 5}, ("zh",)), Needs()
    assert needs.fits(need, agent)
    work: dict[str, Callable[[], object]] = {
        "library": library(sources, conversation),
        "decide": lambda: decide(ruleset, conversation, NOW_MS),
        "need, judged before": lambda: needs.fits(need, agent),
        "need, judged first": lambda: Needs().fits(need, agent),
    }
    return measured(work, rounds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--attributes", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2_000)
    options = parser.parse_args()
    print(f"{options.rules} rules, a contact of {options.attributes} attributes")
    print(f"{'':<24}{'best us':>12}{'x library':>12}{'median us':>12}{'p99 us':>12}")
    rows = decisions(options.rules, options.attributes, options.rounds)
    for row in rows:
        times = f"{row.best_us:>12.1f}{row.best_us / rows[0].best_us:>12.2f}"
        print(f"{row.name:<24}{times}{row.median_us:>12.1f}{row.p99_us:>12.1f}")
    print()
    print_table(Size(), options.rounds // 2)


if __name__ == "__main__":
    main()
