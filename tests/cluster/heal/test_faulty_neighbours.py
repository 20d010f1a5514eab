"""Healing does no harm, whatever neighbours say of themselves: what they say is bounded, no rule
raises, and the cluster as a whole does little at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import vitals as told
from cluster.heal import table
from cluster.heal.decision import Decision, Rebuild, Shut, Transfer, Watcher
from cluster.heal.limits import COOL_DOWN_S, HAND_OVERS_MAX
from cluster.heal.nodes import rows
from cluster.heal.one_way import hint
from cluster.heal.picture import Other, Seen
from cluster.heal.rules import LONELY, SLOW_DISK
from cluster.heal.settings import HealSettings
from cluster.raft.members import Members
from cluster.state import commands
from cluster.vitals import Circle, Storage, Vitals
from tests.cluster.heal.pictures import GIB, HEALTHY, SLOW, raft, vitals

FULL = Storage(free_bytes=1, total_bytes=100 * GIB, sync_p99_ms=2.0)
NODES = ("n1", "n2", "n3", "n4", "n5")

odd_numbers = st.sampled_from([-(2**63), -1, 0, 2**53, 2**63, 2**64 - 1])
odd_figures = st.sampled_from([float("nan"), float("inf"), -float("inf"), -0.5, 1e300, 0.0, 7.5])
odd_values = odd_numbers | odd_figures | st.text(max_size=200) | st.none() | st.lists(odd_numbers)
storages = st.dictionaries(st.sampled_from(Storage.__struct_fields__), odd_values, max_size=5)
frames = st.dictionaries(
    st.sampled_from(Vitals.__struct_fields__),
    odd_values | storages | st.tuples(odd_numbers, st.text(max_size=200)),
).map(lambda given: {"boot": "b", "level": 2} | given)


@given(st.lists(frames, min_size=1, max_size=6), st.sampled_from(["leader", "follower"]))
@settings(max_examples=60, deadline=None)
def test_no_rule_fails_at_what_a_neighbour_says(said: list[Any], role: str) -> None:
    now_s, now_ms = 1_000.0, 1_790_000_000_000
    circle = Circle(lambda: now_s, lambda: now_ms)
    watchers = table.watchers()
    for one in said:
        try:
            heard = told.decode(msgspec.msgpack.encode(one))
        except ValueError:
            continue
        for name in ("n2", "n3"):
            circle.take(name, heard)
        for _ in range(30):
            now_s += 0.5
            others = {
                name: Other(last.vitals, 0.1, last.ahead_ms) for name, last in circle.all().items()
            }
            seen = _seen(now_s, "n1", vitals(), others, NODES[:3], role)
            rows(seen), hint(seen)
            for watcher in watchers:
                for decision in watcher.look(seen):
                    _encodes(decision)


@pytest.mark.parametrize("wall_ms", [-(2**63), 2**64 - 1])
def test_a_clock_that_is_no_time_is_refused(wall_ms: int) -> None:
    with pytest.raises(ValueError, match="wall_ms"):
        told.decode(msgspec.msgpack.encode({"boot": "b", "level": 2, "wall_ms": wall_ms}))


def _encodes(decision: Decision) -> None:
    note = commands.NoteHeal(
        decision.rule, decision.seen, decision.done, decision.outcome, 1, dict(decision.figures)
    )
    commands.encode(note)


def _seen(
    now_s: float,
    node: str,
    mine: Vitals,
    others: dict[str, Other],
    voters: tuple[str, ...],
    role: str,
    **more: Any,
) -> Seen:
    return Seen(
        now_s=now_s,
        node=node,
        mine=mine,
        others=others,
        raft=raft(role, voters=voters, match_index=dict.fromkeys(voters, 100)),
        members=Members.of(voters),
        settings=HealSettings(),
        **more,
    )


@dataclass
class Five:
    """Five nodes with the production rules; what they decide is done at once, and filling takes a
    while.
    """

    leader: str = "n1"
    now_s: float = 1_000.0
    watchers: dict[str, list[Watcher]] = field(
        default_factory=lambda: {name: table.watchers() for name in NODES}
    )
    storage: dict[str, Storage] = field(default_factory=lambda: dict.fromkeys(NODES, HEALTHY))
    zone: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, "z"))
    digest: dict[str, tuple[int, str]] = field(
        default_factory=lambda: dict.fromkeys(NODES, (0, ""))
    )
    gave: list[tuple[float, int]] = field(default_factory=list)
    """When leadership was given away, and by which rule."""
    filled_s: dict[str, float] = field(default_factory=dict)
    """Who is being filled, and until when."""
    rebuilt_s: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def vitals(self, node: str) -> Vitals:
        return vitals(
            self.storage[node],
            zone=self.zone[node],
            leader=self.leader,
            standing="fenced" if node in self.held else "serving",
            digest=self.digest[node],
            abstains=node in self.filled_s,
        )

    def turn(self) -> None:
        self.now_s += 0.5
        for node, until_s in list(self.filled_s.items()):
            if self.now_s >= until_s:
                del self.filled_s[node]
        for node in NODES:
            seen = self._seen(node)
            for watcher in self.watchers[node]:
                for decision in watcher.look(seen):
                    self._carry_out(node, decision)

    def _seen(self, node: str) -> Seen:
        ages = [self.now_s - at_s for at_s, _ in reversed(self.gave)]
        return _seen(
            self.now_s,
            node,
            self.vitals(node),
            {name: Other(self.vitals(name), 0.1) for name in NODES if name != node},
            NODES,
            "leader" if node == self.leader else "follower",
            handed_over_s=ages[:HAND_OVERS_MAX],
            rebuilt_s=self.now_s - self.rebuilt_s.get(node, float("-inf")),
            held="full" if node in self.held else "",
        )

    def _carry_out(self, node: str, decision: Decision) -> None:
        match decision.action:
            case Transfer(target):
                assert node == self.leader
                self.leader = target
                self.gave.append((self.now_s, decision.rule))
            case Shut():
                self.held.add(node)
                if node == self.leader:
                    self.leader = next((one for one in NODES if one not in self.held), node)
            case Rebuild():
                assert node != self.leader, "it leads, and would take the cluster's log with it"
                self.rebuilt_s[node] = self.now_s
                self.filled_s[node] = self.now_s + 8.0
                self.digest[node] = (0, "")

    def check(self) -> None:
        assert len(self.filled_s) <= 1, "two set their data aside at a time"
        for at_s, _ in self.gave:
            window = [rule for s, rule in self.gave if at_s <= s < at_s + COOL_DOWN_S]
            better = [rule for rule in window if rule in (SLOW_DISK, LONELY)]
            assert len(better) <= HAND_OVERS_MAX, "leadership goes round"


def _places() -> Iterator[Any]:
    nodes = st.sampled_from(NODES)
    yield st.tuples(st.just("storage"), nodes, st.sampled_from([HEALTHY, SLOW, FULL]))
    yield st.tuples(st.just("zone"), nodes, st.sampled_from(["y", "z"]))
    yield st.tuples(
        st.just("digest"), nodes, st.tuples(st.sampled_from([64, 128]), st.sampled_from("abc"))
    )


changes = st.lists(st.one_of(*_places()), max_size=4)


@given(st.lists(st.tuples(changes, st.integers(1, 40)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_cluster_does_little_at_a_time_however_its_nodes_do(script: list[Any]) -> None:
    five = Five()
    for given_changes, turns in script:
        for what, node, value in given_changes:
            if what == "digest":
                value = (value[0], f"2.2:{value[1]}")
            getattr(five, what)[node] = value
        for _ in range(turns):
            five.turn()
            five.check()


def test_leadership_does_not_go_round_when_every_leader_is_slow_in_turn() -> None:
    five = Five()
    for _ in range(400):
        five.storage = {name: SLOW if name == five.leader else HEALTHY for name in NODES}
        five.turn()
        five.check()
    assert len(five.gave) == HAND_OVERS_MAX
