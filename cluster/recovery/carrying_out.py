"""A plan carried out on the survivors' folders, so that a crash anywhere is mended by running it
again.  Talks to disks; blocks.

    1  the best     recovery.json: what was consented to
    2  each other   its data set aside; a new identity of the new epoch: it starts empty
    3  the best     identity.json has the new cluster id: from here on old members are refused
    4  the best     one frame: the new term, and an entry with the new members
    5  the best     a note for the heal log; recovery.json is done

Nothing of the best's log is removed: entries that were not committed are committed by the new
members.  Until step 4 the old members count, and they are no majority: nothing can be acknowledged
in between.
"""

from collections.abc import Mapping

from cluster.heal import left
from cluster.heal.rules import QUORUM_LOST
from cluster.raft.boot import restore
from cluster.raft.members import Members
from cluster.raft.messages import MEMBERS
from cluster.recovery import begun
from cluster.recovery.begun import Begun
from cluster.recovery.plan import Plan
from wal import aside
from wal.disk import Disk
from wal.epoch import epoch_of
from wal.identity import claim, move_on, read_identity
from wal.log import Log
from wal.snapshot import SnapshotStore


def consent(plan: Plan) -> Begun:
    """Return what is written down of a plan."""
    return Begun(
        plan=plan.hash,
        cluster_id=plan.new_id,
        best=plan.best,
        members=plan.encode_members().decode(),
        last_index=plan.last_index,
        term=plan.term,
        may_be_lost=plan.may_be_lost,
        lost=[node for node, _ in plan.lost],
    )


def carry_out(agreed: Begun, disks: Mapping[str, Disk], *, now_ms: int) -> None:
    """Let every folder be as the plan says; durable when this returns, harmless when repeated.

    `disks` are those of all survivors by node, held by this process.  `now_ms` is ms since 1970.
    Raises `StorageError`.
    """
    best = disks[agreed.best]
    begun.write(best, agreed)
    for node, disk in disks.items():
        if node != agreed.best:
            _empty(agreed, node, disk, now_ms)
    move_on(best, agreed.cluster_id)
    _write_members(agreed, best)
    left.leave(best, _note(agreed, now_ms))
    begun.end(best)


def _empty(agreed: Begun, node: str, disk: Disk, now_ms: int) -> None:
    aside.finish(disk)
    found = read_identity(disk)
    if found is not None and found.cluster_id == agreed.cluster_id:
        return
    if found is not None:
        why = f"the cluster went on from {agreed.best}: recovery {agreed.plan}"
        aside.set_aside(disk, why, now_ms=now_ms)
    claim(disk, agreed.cluster_id, node, now_ms=now_ms)


def _write_members(agreed: Begun, disk: Disk) -> None:
    """Append the new members behind the last entry, unless they are there."""
    identity = read_identity(disk)
    assert identity is not None
    log, recovered = Log.open(disk, identity=identity)
    members = Members.decode(agreed.members)
    journal = restore(log, recovered, SnapshotStore(disk, identity).latest(), members)
    if journal.last_index == agreed.last_index:
        journal.setCurrentTerm(max(agreed.term, journal.getCurrentTerm() + 1), None)
        journal.add(MEMBERS + members.encode(), journal.last_index + 1, journal.getCurrentTerm())
        if journal.abstains:
            journal.trust()
    log.sync()
    log.close()


def _note(agreed: Begun, now_ms: int) -> left.Left:
    return left.Left(
        rule=QUORUM_LOST,
        seen=f"a majority is gone for good: {', '.join(agreed.lost) or 'see the plan'}",
        done=f"a person let it go on from {agreed.best}; may be lost: {agreed.may_be_lost}"[:500],
        at_ms=now_ms,
        figures={
            "epoch": epoch_of(agreed.cluster_id),
            "plan": agreed.plan,
            "last_index": agreed.last_index,
        },
    )
