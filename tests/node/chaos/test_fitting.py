"""A step that the cluster cannot do is found before anything starts."""

import pytest

from node.chaos.fitting import misfits
from node.chaos.scenario import Scenario, Step

ZONES = {"n1": "dc1", "n2": "dc1", "n3": "dc2"}


def links(*groups: str) -> Step:
    return Step("s", 0.0, "delay" if len(groups) == 1 else "partition", 1.0, groups)


def isolated(zone: str) -> Step:
    return Step("s", 0.0, "partition", 1.0, zone=zone, clients=True)


@pytest.mark.parametrize(
    "step",
    [
        links("n1,n2"),
        links("leader"),
        links("n1", "n2", "n3"),
        isolated("dc1"),
        isolated("leader"),
        Step("s", 0.0, "kill", 1.0, ("n1,n2,n3",)),
    ],
)
def test_a_step_that_can_be_done_is_let_be(step: Step) -> None:
    assert misfits(Scenario("", (step,)), ZONES) == []


@pytest.mark.parametrize(
    ("step", "zones", "why"),
    [
        (links("n1,n7"), ZONES, "no node n7; there are n1, n2, n3"),
        (links("n1,n2,n3"), ZONES, "there is nobody on the other side"),
        (isolated("dc9"), ZONES, "no node is in zone dc9; there is dc1, dc2"),
        (isolated("dc1"), dict.fromkeys(ZONES, "dc1"), "nothing to cut it off from"),
        (isolated("leader"), dict.fromkeys(ZONES, "dc1"), "nothing to cut it off from"),
        (isolated("leader"), {**ZONES, "n3": ""}, "zone is missing at n3"),
        (isolated("dc1"), dict.fromkeys(ZONES, ""), "there is none"),
    ],
)
def test_a_step_that_cannot_be_done_is_named_with_the_reason(
    step: Step, zones: dict[str, str], why: str
) -> None:
    (found,) = misfits(Scenario("", (step,)), zones)
    assert found.startswith("step s: ")
    assert why in found
