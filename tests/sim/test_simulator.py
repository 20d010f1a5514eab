"""Whole clusters under faults keep their promises; and the simulator would notice if not."""

import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.raft.engine import PeerError
from cluster.raft.guard import RULES
from cluster.state import commands as c
from cluster.state.state import State
from tests.sim.__main__ import Case, run, shrink, tell_broken
from tests.sim.checks import Checks, Violation
from tests.sim.linearizability import Operation
from tests.sim.mutants import MUTANTS, finds
from tests.sim.node import TIMING
from tests.sim.world import World

STEPS = 8_000
OF_CLIENTS = (
    c.AcceptOffer,
    c.AddAudit,
    c.CloseConversation,
    c.CloseSession,
    c.DeclineOffer,
    c.DeleteMessage,
    c.EditMessage,
    c.EndSupervision,
    c.FinishWrapUp,
    c.IdleSession,
    c.InviteAgent,
    c.JoinConversation,
    c.LeaveConversation,
    c.LoseSession,
    c.OpenSession,
    c.PutCanned,
    c.RateConversation,
    c.RemoveCanned,
    c.ReopenConversation,
    c.SendMessage,
    c.SetFields,
    c.SetStatus,
    c.TransferConversation,
)


@pytest.mark.parametrize("seed", range(24))
def test_three_nodes_keep_their_promises(seed: int) -> None:
    outcome = World(seed).run(STEPS)
    assert outcome.counts["acked"] > 20


@pytest.mark.parametrize("nodes", [1, 2, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_clusters_of_other_sizes_keep_their_promises(nodes: int, seed: int) -> None:
    outcome = World(1_000 + seed, nodes=nodes).run(STEPS)
    assert outcome.counts["acked"] > 10  # most of five nodes' steps are what they tell each other


def test_tokens_are_revoked_once_and_for_all_whatever_breaks() -> None:
    counts: Counter[str] = Counter()
    for seed in range(4):
        counts += World(2_000 + seed, registrars=3).run(STEPS).counts
    assert counts["tokens revoked"] > 20
    assert counts["tokens issued"] > counts["tokens revoked"]


def test_every_command_of_clients_is_done_whatever_breaks() -> None:
    counts: Counter[str] = Counter()
    never: list[str] = []
    for seed in range(3_000, 3_016):  # some come to be done in one run of ten
        counts += World(seed, everybody=3).run(STEPS).counts
        never = [kind.__name__ for kind in OF_CLIENTS if not counts[f"{kind.__name__} done"]]
        if not never:
            return
    pytest.fail(f"never done: {never}")


@pytest.mark.parametrize(("seed", "nodes"), list(enumerate([1, 2, 3, 3, 3, 4, 5], start=2_000)))
def test_nodes_that_go_on_in_other_processes_keep_their_promises(seed: int, nodes: int) -> None:
    for one in (seed, seed + 500, seed + 1_000):  # not among every seed's faults is an upgrade
        outcome = World(one, nodes=nodes, upgrades=True).run(STEPS)
        assert outcome.counts["acked"] > 20
        if outcome.counts["upgrades"]:
            return
    pytest.fail("no node went on in another process")


@pytest.mark.parametrize(("seed", "nodes"), list(enumerate([1, 2, 3, 3, 4, 5], start=4_000)))
def test_clusters_that_begin_with_a_backup_keep_their_promises(seed: int, nodes: int) -> None:
    outcome = World(seed, nodes=nodes, restored_at=40).run(STEPS)
    assert outcome.counts["acked"] > 20


def test_disks_that_are_restored_once_more_after_the_beginning_harm_nobody() -> None:
    counts: Counter[str] = Counter()
    for seed in (4_109, 4_111):
        counts += World(seed, restored_at=40).run(STEPS).counts
    assert counts["restored again"] > 0


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_many_seeds_keep_their_promises(nodes: int) -> None:
    for seed in range(10_000, 10_300):
        try:
            World(seed, nodes=nodes).run(20_000)
        except (AssertionError, PeerError) as error:
            raise AssertionError(f"--nodes {nodes} --seed {seed} --steps 20000: {error}") from error


OF_EVERY_KIND = (
    "append_entries",
    "append_ack",
    "snapshot_chunk",
    "snapshot_ack",
    "read_probe",
    "read_request",
    "read_answer",
    "pre_vote",
    "vote",
    "newer_term",
    "timeout_now",
    "crashes",
    "crashes in the disk",
    "failed syncs",
    "lost disks",
    "changes of members",
    "snapshots",
    "reads",
    "steps",
    "skipped steps",
    "overflows",
    "auto",
    "FinishWrapUp done",
)


def test_the_seeds_together_see_every_kind_of_message_and_fault() -> None:
    counts: Counter[str] = Counter()
    for seed in range(22, 30):
        counts += World(seed).run(STEPS).counts
        if all(counts[what] for what in OF_EVERY_KIND):
            return
    pytest.fail(f"never seen: {[what for what in OF_EVERY_KIND if not counts[what]]}")


@pytest.mark.parametrize("nodes", [3, 5])
def test_a_dead_leader_is_replaced_within_a_few_heartbeats(nodes: int) -> None:
    took = []
    for seed in range(6):
        world = World(seed, nodes=nodes)
        world.faulty = False
        while not (leaders := [n for n in world.up.values() if n.engine.is_leader]):
            world.step()
        settled_s = world.now_s + 1.0
        while world.now_s < settled_s:
            world.step()
        begun_s = world.now_s
        [leader] = leaders
        world.stop(leader.name)
        for node in world.up.values():
            node.engine.peer_lost(leader.name)
            world.wake(node.name)
        while not any(node.engine.is_leader for node in world.up.values()):
            world.step()
        took.append(world.now_s - begun_s)
    assert sorted(took)[3] < 2 * TIMING.heartbeat_s
    assert max(took) < TIMING.election_min_s


# -- the same seed, the same run


def test_the_same_seed_gives_the_same_run() -> None:
    first: list[str] = []
    second: list[str] = []
    assert World(5, trace=first.append).run(3_000) == World(5, trace=second.append).run(3_000)
    assert first == second
    assert World(6).run(3_000).digest != World(5).run(3_000).digest


@pytest.mark.parametrize("nodes", ["3", pytest.param("5", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_run_in_any_process(nodes: str) -> None:
    outputs = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "tests.sim", "--nodes", nodes, "--seed", "5"]
        run = subprocess.run(
            [*command, "--steps", "3000"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append([line for line in run.stdout.splitlines() if "digest" in line])
    assert outputs[0] == outputs[1]
    assert outputs[0]


# -- the simulator would notice: a fault that is planted is found by some seed

FOUND_SOON = {
    "abstain": 4,
    "align": 1,
    "cut_before_saved": 0,
    "keys_lost": 0,
    "matching_prefix": 0,
    "read_at_once": 0,
    "skips_one": 0,
    "sync_lies": 0,
    "vote_forgotten": 0,
}
"""And the seed to begin with; `docs/reference/found-by.md` has all mutants."""


@pytest.mark.parametrize(
    ("name", "first"),
    [
        pytest.param(name, first, marks=[pytest.mark.slow] if name == "matching_prefix" else [])
        for name, first in FOUND_SOON.items()
    ],
)
def test_a_planted_fault_breaks_a_promise(name: str, first: int) -> None:
    [mutant] = [one for one in MUTANTS if one.name == name]
    assert any(finds(mutant, seed) for seed in range(first, first + 40))


def test_every_mutant_names_its_rule_or_what_it_replaces() -> None:
    assert {mutant.name for mutant in MUTANTS} >= RULES
    for mutant in MUTANTS:
        assert mutant.directed
        assert bool(mutant.off) == (mutant.name in RULES)
        with mutant.plant():
            pass  # what it replaces is there


def test_new_seeds_keep_their_promises() -> None:
    """Other clusters every time, for as long as a default suite may take."""
    first = secrets.randbits(40)
    ends_s = time.monotonic() + 5.0
    for seed in range(first, first + 200):
        case = Case(seed, nodes=2 + seed % 5, steps=5_000)
        ran = run(case)
        assert not ran.broken, f"{case.command}: {ran.broken}"
        if time.monotonic() > ends_s:
            break


@pytest.mark.slow
def test_a_failing_seed_is_shrunk_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(4, nodes=3, steps=4_000, off=frozenset({"abstain"}))
    while not run(case).broken:
        case = replace(case, seed=case.seed + 1)
    less = shrink(case)
    assert less.steps <= case.steps
    assert less.without
    ran = run(less)
    assert ran.broken
    tell_broken(less, ran)
    told = capsys.readouterr().err
    assert f"again: {less.command}" in told
    assert "--off abstain" in told
    assert "--without" in told


# -- the checks can fail


def test_the_checks_find_what_they_are_for() -> None:
    checks = Checks()
    checks.started("n1", 1, 3)
    checks.seen("n1", 3, leads=True)
    checks.voted("n1", "n1", 3)
    checks.applies("n1", 2, 3, b"x")
    checks.started("n2", 1, 3)
    checks.acknowledged("cv", "m1", 1)
    empty: dict[str, list[Operation]] = {}
    broken: list[Callable[[], None]] = [
        lambda: checks.seen("n2", 3, leads=True),
        lambda: checks.voted("n1", "n2", 3),
        lambda: checks.applies("n1", 2, 3, b"x"),
        lambda: checks.applies("n2", 2, 3, b"y"),
        lambda: checks.installs("n1", 2),
        lambda: checks.started("n1", 1, 2),
        lambda: checks.holds("n1", 1),
        lambda: checks.acknowledged("cv", "m1", 2),
        lambda: checks.ended({"n1": State(), "n2": State()}, empty),
    ]
    for promise in broken:
        with pytest.raises(Violation):
            promise()
