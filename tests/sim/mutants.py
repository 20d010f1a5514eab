"""Plants a fault in the product, one at a time, and counts in how many simulated runs it shows.

    python -m tests.sim.mutants                     all of them, 40 seeds each
    python -m tests.sim.mutants --only ack_early --seeds 200

A rule of the guard is switched off by its name; every other mutant replaces one function.  One
that no run finds has a directed test, or it is a fault that something else makes good.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any
from unittest import mock

import structlog

from cluster.applying import Applying
from cluster.barriers import Barriers
from cluster.clock import ClusterClock
from cluster.raft.abstaining import Memory
from cluster.raft.changing import Changing
from cluster.raft.compaction import Compaction
from cluster.raft.guard import RULES
from cluster.raft.journal import RaftJournal
from cluster.raft.members import Members
from cluster.raft.messages import PeerError
from cluster.raft.pysyncobj_core import Core
from cluster.state.proposer import Proposer
from cluster.state.state import State
from tests.sim.node import SimNode
from tests.sim.world import World
from wal.log import Log
from wal.record import HardState, Truncate

STEPS = 12_000
SIZES = (3, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    what: str
    directed: str = ""
    """Tests that find it without chance."""
    plant: Callable[[], Any] = contextlib.nullcontext

    @property
    def off(self) -> frozenset[str]:
        return frozenset({self.name}) if self.name in RULES else frozenset()


def _patch(target: Any, name: str, make: Callable[[Any], Any]) -> Callable[[], Any]:
    """Replace a function by what `make` makes of it."""
    return lambda: mock.patch.object(target, name, make(getattr(target, name)))


def _release_unsynced(original: Any) -> Any:
    def begin_turn(self: SimNode, send: Any) -> None:
        self.part.deliver()
        self.part.release()
        send(self.peers.take())
        original(self, send)

    return begin_turn


def _without(kind: type) -> Callable[[Any], Any]:
    """A journal that does not write one kind of record."""

    def make(original: Any) -> Any:
        def record(self: RaftJournal, one: Any) -> None:
            if type(one) is not kind:
                original(self, one)

        return record

    return make


def _frozen_without_keys(original: Any) -> Any:
    def frozen_copy(self: State) -> State:
        copy: State = original(self)
        copy.keys = {}
        copy.key_ages.clear()
        return copy

    return frozen_copy


def _passes_at_once(original: Any) -> Any:
    def ask(self: Barriers, _read_index: object) -> None:
        original(self, lambda on_index: on_index(0))

    return ask


def _any_turn(original: Any) -> Any:
    def take_turn(self: Proposer, number: int, settled: int) -> Any:
        turn = original(self, number, settled)
        if turn == "early":
            self.next_number = number + 1
            return "now"
        return turn

    return take_turn


def _cut_before_saved(original: Any) -> Any:
    def wanted(self: Compaction, *arguments: Any) -> Any:
        meta = original(self, *arguments)
        if meta is not None:
            self._cut_at = meta.index
        return meta

    return wanted


def _two_at_a_time(_original: Any) -> Any:
    def is_neighbour(self: Members, other: Members) -> bool:
        return True

    return is_neighbour


def _follow_late(original: Any) -> Any:
    def init(self: Core, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **(named | {"on_appended": lambda: None}))

    return init


def _any_time(original: Any) -> Any:
    def propose(self: Changing, members: Members) -> int:
        leadership = self._leading.current
        if leadership is not None:
            leadership.members_index = 0
            with mock.patch.object(RaftJournal, "members_index", 0):
                return int(original(self, members))
        return int(original(self, members))

    return propose


def _skips_one(original: Any) -> Any:
    count = [0]

    def apply(self: Applying, item: Any) -> None:
        count[0] += 1
        if count[0] % 400 == 0 and item.payload is not None:
            self.applied_index = item.index
            return
        original(self, item)

    return apply


def _vouch_at_once(_original: Any) -> Any:
    def vouched(self: Any, _prev_index: int, _commit_index: int) -> int:
        return int(self.life)

    return vouched


def _make_mutants() -> Iterator[Mutant]:
    directed = {
        "abstain": "test_abstaining",
        "ack_term": "test_an_ack_of_an_earlier_leadership_commits_nothing",
        "align": "test_entries_behind_a_snapshot_survive_a_crash_before_the_cut",
        "late_answers": "test_outbox",
        "lease": "test_without_the_lease_a_flapping_node_deposes_a_healthy_leader",
        "lost_frames": "test_doubting",
        "matching_prefix": "test_a_repeated_append_does_not_cut_what_was_acknowledged",
        "newer_term": "test_a_leader_of_a_term_that_is_over_is_told_so_and_steps_down",
        "old_snapshot": "test_an_older_snapshot_is_not_taken_over_what_is_held",
        "one_vote_per_voter": "test_one_voter_is_counted_once",
        "pre_vote": "test_elections",
        "read_quorum": "test_reads",
        "resets": "test_resets_that_were_served",
        "snapshot_commit": "test_a_snapshot_on_its_way_commits_nothing",
    }
    for rule in sorted(RULES):
        yield Mutant(rule, f"the guard's rule `{rule}` is off", directed[rule])
    planted: tuple[tuple[str, str, str, Callable[[], Any]], ...] = (
        (
            "ack_early",
            "answers leave before the sync that makes them true",
            "test_an_acknowledgement_waits_for_the_sync",
            _patch(SimNode, "begin_turn", _release_unsynced),
        ),
        (
            "vote_forgotten",
            "term and vote are not written down",
            "test_a_vote_survives_a_power_cut",
            _patch(RaftJournal, "_record", _without(HardState)),
        ),
        (
            "truncate_forgotten",
            "what was cut off the log is not cut off the disk",
            "test_a_conflict_cuts_the_log_and_only_from_there",
            _patch(RaftJournal, "_record", _without(Truncate)),
        ),
        (
            "sync_lies",
            "a batch that was taken is not written",
            "tests/wal",
            _patch(Log, "sync", lambda _: lambda self: self.take() and None),
        ),
        (
            "keys_lost",
            "a snapshot has no idempotency keys",
            "tests/cluster/state/test_snapshot.py",
            _patch(State, "frozen_copy", _frozen_without_keys),
        ),
        (
            "read_at_once",
            "a barrier passes without asking the leader",
            "tests/cluster/test_barriers.py",
            _patch(Barriers, "ask", _passes_at_once),
        ),
        (
            "any_turn",
            "a proposal applies that came before an earlier one",
            "test_what_one_says_stays_in_order_when_a_batch_is_lost_on_its_way",
            _patch(Proposer, "take_turn", _any_turn),
        ),
        (
            "cut_before_saved",
            "the log is cut when a snapshot is wanted, not when it is durable",
            "test_a_crash_at_any_disk_operation_of_a_compaction_loses_nothing",
            _patch(Compaction, "wanted", _cut_before_saved),
        ),
        (
            "skips_one",
            "a node does not apply one entry in 400",
            "tests/cluster/test_replica.py",
            _patch(Applying, "apply", _skips_one),
        ),
        (
            "own_clock",
            "a leader stamps its own clock, however late",
            "tests/cluster/test_clock.py",
            _patch(ClusterClock, "now_ms", lambda _: lambda self: self._wall_ms()),
        ),
        (
            "vouched_at_once",
            "a leader vouches for a node before anything is proved",
            "test_it_is_vouched_for_when_a_later_entry_is_committed_without_it",
            _patch(Memory, "vouched", _vouch_at_once),
        ),
        (
            "removed_is_told",
            "the entry that removes a voter is sent to it",
            "test_who_is_removed_does_not_get_the_entry_that_removes_it",
            _patch(Core, "__init__", _follow_late),
        ),
        (
            "two_changes",
            "a change of members is made while another is under way",
            "test_a_change_at_the_wrong_time_is_refused",
            _patch(Changing, "propose", _any_time),
        ),
    )
    for name, what, test, plant in planted:
        yield Mutant(name, what, test, plant)


MUTANTS = tuple(_make_mutants())


def finds(mutant: Mutant, seed: int) -> str:
    """Return what a run with the mutant breaks, empty when nothing."""
    with mutant.plant():
        try:
            World(seed, nodes=SIZES[seed % len(SIZES)], off=mutant.off).run(STEPS)
        except (AssertionError, PeerError, KeyError, IndexError) as error:
            return f"{type(error).__name__}: {error}"[:90]
    return ""


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="names: a,b,c")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each")
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    seeds = range(options.seed, options.seed + options.seeds)
    print("| mutant | what it does | found in | first seen as | directed test |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(2, initializer=_quiet) as pool:
        for mutant in MUTANTS:
            if wanted and mutant.name not in wanted:
                continue
            index = MUTANTS.index(mutant)
            found = pool.map(_finds_by_index, [index] * len(seeds), seeds)
            shown = [one for one in found if one]
            first = shown[0].replace("|", "/") if shown else "-"
            print(
                f"| `{mutant.name}` | {mutant.what} | {len(shown)} of {len(seeds)} | {first}"
                f" | `{mutant.directed}` |",
                flush=True,
            )
    return 0


def _finds_by_index(index: int, seed: int) -> str:
    return finds(MUTANTS[index], seed)


if __name__ == "__main__":
    sys.exit(main())
