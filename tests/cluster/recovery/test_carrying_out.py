"""A recovery that is cut off anywhere is ended by running it again."""

from collections.abc import Callable

import pytest

from cluster.heal import left
from cluster.recovery import begun
from cluster.recovery.begun import Begun, RecoveryUnfinished
from cluster.recovery.carrying_out import carry_out, consent
from cluster.recovery.plan import make_plan
from cluster.recovery.survivor import survivor_of
from tests.cluster.recovery.lost import MEMBERS_OF_ALL, folder
from tests.sim.disk import SimCrash, SimDisk

NOW_MS = 1_795_431_600_123


def disks(seed: int = 1) -> dict[str, SimDisk]:
    return {"a": folder("a", 12, seed=seed), "b": folder("b", 9, seed=seed)}


def agreed() -> Begun:
    return consent(make_plan([survivor_of(n, d, MEMBERS_OF_ALL) for n, d in disks().items()]))


def check_done(found: dict[str, SimDisk], plan: Begun) -> None:
    best = survivor_of("a", found["a"], MEMBERS_OF_ALL)
    assert (best.condition, best.cluster_id) == ("whole", plan.cluster_id)
    assert (best.last_index, best.last_term, best.term) == (13, 4, 4)
    assert [(node, role) for node, role, _ in best.members] == [("a", "voter"), ("b", "joining")]
    assert best.conversations == 8
    other = survivor_of("b", found["b"], MEMBERS_OF_ALL)
    assert (other.condition, other.cluster_id) == ("empty", plan.cluster_id)
    assert "aside.json.damaged" in found["b"].names()
    notes = left.take(found["a"])
    assert [note.rule for note in notes] == [17]
    assert notes[0].figures["epoch"] == 1
    begun.check(found["a"])


def test_all_that_the_best_has_is_kept_and_the_others_are_emptied() -> None:
    found, plan = disks(), agreed()
    carry_out(plan, found, now_ms=NOW_MS)
    check_done(found, plan)


def crash_at(call: int) -> Callable[[str, str], None]:
    calls = [call]

    def on_call(_op: str, _name: str) -> None:
        calls[0] -= 1
        if calls[0] < 0:
            raise SimCrash

    return on_call


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("node", ["a", "b"])
def test_after_a_crash_at_every_call_it_is_run_again(node: str, power: bool) -> None:
    whole, plan = disks(), agreed()
    before = whole[node].calls
    carry_out(plan, whole, now_ms=NOW_MS)
    crashes = 0
    for call in range(2 * (whole[node].calls - before)):
        found = disks(seed=call + 2)
        found[node].on_call = crash_at(call)
        with pytest.raises(SimCrash):
            carry_out(plan, found, now_ms=NOW_MS)
        crashes += 1
        for disk in found.values():
            disk.on_call = None
            disk.crash(power=power)
        if begun.FILE in found["a"].names():
            with pytest.raises(RecoveryUnfinished, match=f"apply --plan {plan.plan}"):
                begun.check(found["a"])
        carry_out(plan, found, now_ms=NOW_MS)
        check_done(found, plan)
    assert crashes > 10


def test_a_note_of_a_recovery_that_cannot_be_read_is_named_with_the_mend() -> None:
    disk = folder("a", 12)
    for data in (b"", b"{", b"\xff", b'{"plan": 7}'):
        disk.write_atomic(begun.FILE, [data])
        with pytest.raises(RecoveryUnfinished, match=r"recovery\.json: .*plan again"):
            begun.check(disk)


def test_what_goes_on_from_a_node_that_abstained_is_believed_from_there_on() -> None:
    found = {n: folder(n, 12, abstains=True) for n in ("a", "b")}
    plan = make_plan([survivor_of(n, d, MEMBERS_OF_ALL) for n, d in found.items()])
    carry_out(consent(plan), found, now_ms=NOW_MS)
    best = survivor_of(plan.best, found[plan.best], MEMBERS_OF_ALL)
    assert best.condition == "whole"
    assert best.last_index == 13
