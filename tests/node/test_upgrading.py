"""Whether a cluster may be upgraded is said before anything is touched, with the mend."""

import re
from dataclasses import replace
from typing import Any, Literal

import msgspec
import pytest

from cluster.state.levels import LEVEL
from node.client.status import NodeStatus
from node.upgrading import BEHIND_MAX, Finding, Machine, Seen, look

MIB = 2**20
ROOMY = Machine("n1", 900 * MIB, 300 * MIB, 900 * MIB, 200 * MIB)
Role = Literal["voter", "joining", "leaving", "learner"]


def seen(name: str, member: Role = "voter", **said: Any) -> Seen:
    whole: dict[str, Any] = {
        "node": name,
        "standing": "serving",
        "role": "leader" if name == "n1" else "follower",
        "commit_index": 5_000,
        "applied_index": 5_000,
        "level": LEVEL - 1,
    }
    return Seen(name, f"ws://{name}", member, NodeStatus(**(whole | said)))


def silent(name: str) -> Seen:
    return Seen(name, f"ws://{name}", "voter", None)


THREE = [seen("n1"), seen("n2"), seen("n3")]


def verdict(nodes: list[Seen], check: str, machine: Machine | None = None) -> Finding:
    report = look(nodes, machine)
    found = [one for one in report.findings if one.check == check]
    worst = [one for one in found if one.verdict == "fail"] or found
    return worst[0]


def test_a_cluster_that_is_well_is_upgraded_with_the_leader_last() -> None:
    report = look([*THREE, seen("n0"), seen("x1", "learner")], ROOMY)
    assert report.good
    assert {one.verdict for one in report.findings} == {"ok"}
    assert report.order == ("x1", "n0", "n2", "n3", "n1")
    assert (report.level, report.level_used) == (LEVEL, 1)
    assert "heal.note" in report.switches_on
    assert report.waits_for == ("n0", "n1", "n2", "n3", "x1")


def test_what_is_upgraded_already_is_not_waited_for() -> None:
    nodes = [seen("n1"), seen("n2", level=LEVEL), silent("n3")]
    assert look(nodes).waits_for == ("n1", "n3")
    done = [seen(f"n{n}", level=LEVEL, level_used=LEVEL) for n in (1, 2, 3)]
    report = look(done)
    assert (report.good, report.waits_for, report.switches_on) == (True, (), ())


@pytest.mark.parametrize(
    ("one", "check", "words"),
    [
        (silent("n3"), "answers", "n3 of 3 nodes answers not.*members remove n3"),
        (seen("n3", standing="catching_up"), "healthy", "n3 is catching_up"),
        (seen("n3", standing="fenced", why="no quorum"), "healthy", "fenced: no quorum"),
        (seen("n3", abstains=True), "healthy", "n3 abstains"),
        (seen("n3", applied_index=5_000 - BEHIND_MAX - 1), "healthy", "1001 entries behind"),
        (seen("n3", "joining"), "healthy", "n3 is joining: wait"),
        (seen("n3", standing="fenced"), "spare", "2 of 3 voters serve, and 2 are a quorum"),
        (silent("n3"), "spare", "without one more"),
        (seen("n3", level=LEVEL + 2, version="9"), "release", "n3 runs 9.*releases between"),
        (seen("n3", level_used=LEVEL + 1), "release", "no way back"),
    ],
)
def test_what_stands_against_it_is_named_with_the_node_and_the_mend(
    one: Seen, check: str, words: str
) -> None:
    nodes = [seen("n1"), seen("n2"), one]
    found = verdict(nodes, check)
    assert found.verdict == "fail"
    assert re.search(words, found.text), found
    assert not look(nodes).good


@pytest.mark.parametrize("count", [1, 2])
def test_where_no_node_can_be_spared_that_is_said_and_not_forbidden(count: int) -> None:
    nodes = THREE[:count]
    assert verdict(nodes, "spare").verdict == "warn"
    assert look(nodes).good


def test_five_voters_spare_one_even_while_another_is_down() -> None:
    nodes = [*THREE, seen("n4"), silent("n5")]
    assert verdict(nodes, "spare").verdict == "ok"


def test_going_back_is_possible_until_the_cluster_uses_what_is_newer() -> None:
    nodes = [seen("n1"), seen("n2"), seen("n3", level=LEVEL + 1)]
    found = verdict(nodes, "release")
    assert found.verdict == "warn"
    assert "going back is possible" in found.text


@pytest.mark.parametrize(
    ("change", "check", "worst", "words"),
    [
        ({"disk_free": 100 * MIB}, "disk", "fail", "100 MiB free.*300 MiB: make room"),
        ({"memory_free": 100 * MIB}, "memory", "warn", "stop and start it"),
        ({"workers": 2}, "handover", "warn", "cannot hand sockets over"),
    ],
)
def test_the_machine_of_the_node_is_looked_at(
    change: dict[str, Any], check: str, worst: str, words: str
) -> None:
    found = verdict(THREE, check, replace(ROOMY, **change))
    assert found.verdict == worst
    assert re.search(words, found.text), found


def test_a_report_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(look(THREE, ROOMY)))["order"][-1] == "n1"
