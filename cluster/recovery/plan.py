"""From what survived to how the cluster goes on: a plan that a person may consent to.  No I/O.

    the best survivor   the highest epoch, then not abstaining, then the highest (last term, last
                        index): as in an election, so nothing that another survivor has acknowledged
                        with a majority is missing in it
    the others          are emptied (their data is kept aside) and filled from the best
    the members         the best votes; the others vote once they have caught up; nobody else
    the new cluster id  the next epoch (`wal.epoch`), by this plan's hash

What may be lost, with N voters of whom `lost` have no folder here:

    lost < majority     nothing: every commit is on a survivor, and so in the best one
    else                what a majority of the lost acknowledged without any survivor: how much
                        there is nobody here can know; it is newer than the survivor's last entry,
                        or takes the place of entries above its commit index

Refused: while a majority of whole survivors is there (start them instead), when there is nothing
to go on from, when a lost node still answers, and when folders do not belong together.

Source: Raft thesis (Ongaro 2014), section 3.6; CockroachDB, "debug recover" (plan, confirm, apply).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from cluster.raft.members import Member, Members, Role
from cluster.recovery.survivor import Survivor, moment
from wal.epoch import epoch_of, name_of, next_epoch

HASH_CHARS = 16


class RecoveryRefused(Exception):
    """The cluster cannot go on like this; says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be consented to."""

    hash: str
    """Of the survivors and of what is made of them; another when one of them changed."""
    cluster: str
    """The name: what a person types to consent."""
    old_id: str
    new_id: str
    best: str
    others: tuple[str, ...]
    """Survivors that are emptied, and filled from the best."""
    members: tuple[tuple[str, Role, str], ...]
    """(node, role, address) from here on."""
    lost: tuple[tuple[str, str], ...]
    """(node, address) of old members that must never run again on their old folders."""
    last_index: int
    commit_index: int
    term: int
    """In which the new members are written: above all that survivors know."""
    complete: bool
    """Whether nothing acknowledged can be lost."""
    may_be_lost: str

    def to_builtins(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return asdict(self)

    def encode_members(self) -> bytes:
        """Return the members as an entry of the log has them."""
        return Members({node: Member(role, at) for node, role, at in self.members}).encode()


def make_plan(survivors: Sequence[Survivor], answering: Sequence[str] = ()) -> Plan:
    """Return how the cluster goes on; `answering` are nodes without a folder here that answer.

    Raises `RecoveryRefused`.
    """
    _check_together(survivors)
    usable = [one for one in survivors if one.usable]
    if not usable:
        found = "; ".join(f"{one.node}: {one.condition}, {one.why}" for one in survivors)
        raise RecoveryRefused(f"there is nothing to go on from ({found}): restore a backup")
    best = max(usable, key=_rank)
    _check_lost_for_good(best, survivors, answering)
    others = tuple(sorted(one.node for one in survivors if one.node != best.node))
    addresses = {node: address for node, _, address in best.members}
    roles: dict[str, Role] = dict.fromkeys(others, "joining")
    roles[best.node] = "voter"
    members = tuple((node, roles[node], addresses.get(node, "")) for node in sorted(roles))
    lost = tuple((node, at) for node, _, at in best.members if node not in roles)
    decided = {
        "survivors": sorted(_fingerprint(one) for one in survivors),
        "best": best.node,
        "members": members,
    }
    digest = hashlib.sha256(msgspec.json.encode(decided, order="deterministic")).hexdigest()
    complete = _is_complete(best, survivors)
    return Plan(
        hash=digest[:HASH_CHARS],
        cluster=name_of(best.cluster_id),
        old_id=best.cluster_id,
        new_id=next_epoch(best.cluster_id, digest),
        best=best.node,
        others=others,
        members=members,
        lost=lost,
        last_index=best.last_index,
        commit_index=best.commit_index,
        term=max(one.term for one in usable) + 1,
        complete=complete,
        may_be_lost=_may_be_lost(best, complete=complete),
    )


def _rank(one: Survivor) -> tuple[int, bool, int, int, str]:
    epoch = epoch_of(one.cluster_id)
    return epoch, one.condition != "abstains", one.last_term, one.last_index, one.node


def _fingerprint(one: Survivor) -> tuple[str, str, int, str, int, int]:
    return (
        one.node,
        one.cluster_id,
        one.incarnation,
        one.condition,
        one.last_term,
        one.last_index,
    )


def _check_together(survivors: Sequence[Survivor]) -> None:
    if not survivors:
        raise RecoveryRefused("no folder was given: give the node.toml of each survivor")
    nodes = [one.node for one in survivors]
    twice = sorted({node for node in nodes if nodes.count(node) > 1})
    if twice:
        raise RecoveryRefused(f"{', '.join(twice)}: two folders of one node; give the one in use")
    names = sorted({name_of(one.cluster_id) for one in survivors if one.cluster_id})
    if len(names) > 1:
        raise RecoveryRefused(f"the folders are of different clusters: {', '.join(names)}")
    ids = {one.cluster_id for one in survivors if one.cluster_id}
    newest = max(map(epoch_of, ids), default=0)
    same = sorted(one for one in ids if epoch_of(one) == newest)
    if len(same) > 1:
        raise RecoveryRefused(
            f"two recoveries were made apart: {' and '.join(same)}; choose one of them, and give"
            " its folders alone"
        )


def _check_lost_for_good(
    best: Survivor, survivors: Sequence[Survivor], answering: Sequence[str]
) -> None:
    voters = best.voters
    majority = len(voters) // 2 + 1
    able = [
        one.node
        for one in survivors
        if one.condition in ("whole", "torn")
        and one.node in voters
        and one.cluster_id == best.cluster_id
    ]
    if len(able) >= majority:
        raise RecoveryRefused(
            f"{', '.join(sorted(able))} are a majority of the voters {', '.join(voters)}, and their"
            " data is whole: start them, they go on by themselves and lose nothing"
        )
    if answering:
        raise RecoveryRefused(
            f"still answering: {', '.join(sorted(answering))}. Who has whole data takes part: give"
            " that node.toml too; who is not to take part is stopped first"
        )


def _is_complete(best: Survivor, survivors: Sequence[Survivor]) -> bool:
    """Whether every majority of the voters has a survivor with whole data in it.

    Half of them are enough for that, and not while the members change: of one voter more or less
    the other half may be a majority.
    """
    voters = best.voters
    here = {one.node for one in survivors if one.condition in ("whole", "torn")}
    gone = [node for node in voters if node not in here]
    return best.settled and best.condition != "abstains" and len(gone) < len(voters) // 2 + 1


def _may_be_lost(best: Survivor, *, complete: bool) -> str:
    kept = (
        f"{best.node} has entries up to {best.last_index}, of {moment(best.reaches_ms)}, and all of"
        " them are kept"
    )
    if complete:
        return f"nothing that was acknowledged: too few nodes are gone. {kept}"
    unsure = best.last_index - best.commit_index
    return (
        "what the lost nodes acknowledged without the survivors: nobody here can say how much."
        f" {kept}{_not_voting(best)}; it knows that {best.commit_index} was committed, so what is"
        f" above (entries: {unsure}) may never have been acknowledged, or others in its place were"
    )


def _not_voting(best: Survivor) -> str:
    """Return in words that the others may have gone on without `best`, where its log hints so."""
    role = {node: role for node, role, _ in best.members}.get(best.node)
    if role == "voter":
        return ""
    was = {None: "no member", "leaving": "leaving"}.get(role, f"a {role}")
    return (
        f" ({best.node} was {was} by its own log: the others did not need it, so far more than what"
        " came last may be missing; a voter's folder is better)"
    )
