"""A plan's file: what is right is read, and every mistake has its line and its mend."""

from pathlib import Path

import pytest

from cluster.toml_source import SourceErrors
from node.chaos.scenario import PLAN_BYTES_MAX, Step, load, parse, with_leader

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "chaos"

PLAN = """\
title = "All of it"

[cluster]
zones = { dc1 = 2, dc2 = 1 }
workers = 2

[load]
visitors = 3
agents = 2
pace = "1s"

[run]
repeats = 2
warm_up = "2s"
heal_within = "1m"

[step.second]
at = "20s"
fault = "loss"
nodes = "n1, n2"
to = "n3"
percent = 30
for = "5s"

[step.first]
at = "1s"
fault = "isolate-zone"
zone = "dc2"
for = "10s"

[step.third]
at = "30s"
fault = "clock-skew"
nodes = "leader"
by = "5s"
behind = true
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(SourceErrors) as failure:
        parse(text, Path("plan.toml"))
    return [str(error) for error in failure.value.errors]


def test_a_plan_is_read_in_the_order_of_its_times() -> None:
    plan = parse(PLAN, Path("plan.toml"))
    assert (plan.zones, plan.workers) == (("dc1", "dc1", "dc2"), 2)
    assert (plan.load.visitors, plan.load.agents, plan.load.pace_s) == (3, 2, 1.0)
    assert (plan.repeats, plan.warm_up_s, plan.heal_within_s) == (2, 2.0, 60.0)
    assert plan.steps == (
        Step("first", 1.0, "partition", 10.0, zone="dc2", clients=True),
        Step("second", 20.0, "loss", 5.0, ("n1,n2", "n3"), amount=30),
        Step("third", 30.0, "clock_skew", 10.0, ("leader",), amount=-5_000),
    )
    assert plan.round_s == 40.0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_are_plans(path: Path) -> None:
    assert load(path).steps


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('fault = "loss"', 'fault = "los"', "plan.toml:19: step.second.fault"),
        ("percent = 30", "percent = 300", "plan.toml:22: step.second.percent"),
        ("percent = 30", "procent = 30", "did you mean"),
        ('nodes = "n1, n2"', 'nodes = "n1; n2"', "is no id of a node"),
        ('for = "10s"', 'for = "11m"', "choose 0.1s to 600s"),
        ('zone = "dc2"\n', "", "zone"),
        ("dc1 = 2, dc2 = 1", "dc1 = 2", "2 nodes"),
        ('at = "1s"', "at = 1", "at"),
        ("[load]", "[lode]", "unknown key"),
        ("workers = 2", "workers = 99", "plan.toml:5: cluster.workers"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert PLAN.count(old) >= 1
    found = mistakes(PLAN.replace(old, new, 1))
    assert any(said in one for one in found), found
    assert all(one.startswith("plan.toml:") for one in found)


def test_a_plan_without_steps_is_none() -> None:
    assert "step" in mistakes('title = "nothing"\n')[0]


def test_a_plan_of_very_many_lines_is_refused_in_few() -> None:
    text = "".join(f'[step.s{n}]\nfault = "pause"\nnodes = "n {n}"\n' for n in range(4_000))
    with pytest.raises(SourceErrors) as failure:
        parse(text, Path("plan.toml"))
    said = str(failure.value).splitlines()
    assert "4000 steps; at most 200" in said[0]
    assert (len(said), said[-1]) == (51, "and 3,951 more")


def test_a_plan_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    noise, endless, missing = (tmp_path / name for name in ("noise", "endless", "missing"))
    noise.write_bytes(b"\xff\xfe\x00" * 100)
    endless.write_bytes(b"#" * (PLAN_BYTES_MAX + 1))
    for path, said in (
        (noise, "cannot be read"),
        (endless, f"over {PLAN_BYTES_MAX} bytes"),
        (missing, "no such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(SourceErrors, match=f"{path.name}:1: .*{said}"):
            load(path)


def test_whoever_leads_then_is_meant_by_leader() -> None:
    step = Step("s", 0.0, "one_way", 1.0, ("leader", "n1,n2"))
    assert with_leader(step, "n3", "dc2").groups == ("n3", "n1,n2")
    zone = Step("s", 0.0, "partition", 1.0, zone="leader")
    assert with_leader(zone, "n3", "dc2").zone == "dc2"
