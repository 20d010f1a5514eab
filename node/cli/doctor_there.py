"""What is wrong with the nodes, from what they said of themselves.  No I/O.

Each check is a function from facts to findings; `CHECKS` lists them all.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from node.cli.doctor_facts import Finding, Nodes, Weight
from node.cli.doctor_here import (
    EXPIRY_DAYS_WARNED,
    EXPIRY_DAYS_WRONG,
    FREE_SHARE_WARNED,
    FREE_SHARE_WRONG,
    SYNC_MS_WARNED,
)
from node.cli.nodes import answered, names_of
from node.cli.status_view import faults_of, level_waits
from node.client.status import NodeStatus

CLOCK_MS_WRONG = 5_000
CLOCK_MS_WARNED = 500
LAG_WARNED = 5_000
QUORUM_AGE_S_MAX = 2.0
DAY_MS = 86_400_000
BACKUP_DAYS_MAX = 8
"""Somebody who takes one a week is in time."""


def _reached(nodes: Nodes) -> Iterator[Finding]:
    names = names_of(nodes.found)
    if not answered(nodes.found):
        mend = "start the nodes, or give the right --url; then look at their logs"
        yield Finding("wrong", "nodes", "no node answers", mend)
        return
    for url, one in nodes.found.items():
        if one is None:
            what = f"{names.get(url, '?')} does not answer at {url}"
            yield Finding("wrong", "nodes", what, "start it; if it runs, see its log and firewalls")
    for name, why in sorted(nodes.peer_ports.items()):
        what = f"{name}: its port for other nodes is not reached from here: {why}"
        yield Finding("warning", "peer ports", what, "open it between the nodes, see [nodes]")


def _outside(nodes: Nodes) -> set[str]:
    """Return who answers and is no member by the word of who leads.

    Nobody while nobody leads, or while who does is of a release that does not say who is one.
    """
    there = answered(nodes.found)
    leads = max(
        (one for one in there if one.role == "leader"), key=lambda one: one.term, default=None
    )
    if leads is None:
        return set()
    members = {row["id"] for row in leads.nodes if row.get("member")}
    if leads.node not in members:
        return set()
    return {one.node for one in there if one.cluster == leads.cluster} - members


def _standing(nodes: Nodes) -> Iterator[Finding]:
    outside = _outside(nodes)
    for one in answered(nodes.found):
        if one.node in outside:
            mend = f"stop it for good, or: unidesk cluster members add {one.node}"
            yield Finding("warning", "standing", f"{one.node} runs, and is no member", mend)
        elif one.standing == "draining":
            mend = f"unidesk cluster undrain {one.node}, when its work is done"
            yield Finding("warning", "standing", f"{one.node} is drained: no clients", mend)
        elif one.standing != "serving":
            what = f"{one.node} is {one.standing}: {one.why or 'no reason given'}"
            mend = (
                "wait if it is catching up; if it is fenced, mend the network or start the others"
            )
            yield Finding("wrong", "standing", what, mend)
        if one.abstains and one.node not in outside:
            what = f"{one.node} abstains: it lost its data, and is not counted"
            yield Finding("warning", "standing", what, "wait until it is filled; check its disk")
        if one.violations:
            what = f"{one.node}: {one.violations} violations of an invariant since its start"
            yield Finding(
                "wrong", "invariants", what, "this is a bug: report it with the node's log"
            )


def _leader(nodes: Nodes) -> Iterator[Finding]:
    there = answered(nodes.found)
    leaders = Counter(one.leader for one in there if one.leader)
    if there and not leaders:
        mend = "start the nodes that are missing; `unidesk cluster recover` if they never return"
        yield Finding("wrong", "leader", "no node knows a leader", mend)
    elif len(leaders) > 1:
        said = ", ".join(f"{name} (say {count})" for name, count in leaders.most_common())
        mend = "ask again in a moment; if it stays, look for a link that is cut one way"
        yield Finding("warning", "leader", f"nodes name different leaders: {said}", mend)
    for one in there:
        if one.quorum_heard_s > QUORUM_AGE_S_MAX and one.standing == "serving":
            what = f"{one.node} heard no majority, or leader, for {one.quorum_heard_s:.1f} s"
            yield Finding("wrong", "leader", what, "look at its load and its links")


def _one_cluster(nodes: Nodes) -> Iterator[Finding]:
    ids = {one.cluster for one in answered(nodes.found)}
    if len(ids) > 1:
        said = "; ".join(f"{one.node} is of {one.cluster}" for one in answered(nodes.found))
        mend = "mend [cluster] id, or the addresses in [nodes]: never let two share a folder"
        yield Finding("wrong", "cluster id", said, mend)
    twins = [
        name
        for name, count in Counter(one.node for one in answered(nodes.found)).items()
        if count > 1
    ]
    for name in twins:
        what = f"two nodes call themselves {name}"
        yield Finding("wrong", "cluster id", what, "stop the newer one: its folder was copied")


def _versions(nodes: Nodes) -> Iterator[Finding]:
    versions = Counter(one.version for one in answered(nodes.found))
    if len(versions) > 1:
        said = ", ".join(f"{count} of {version}" for version, count in sorted(versions.items()))
        what = f"nodes of different releases: {said}; new commands wait until all have them"
        yield Finding("warning", "versions", what, "go on with the upgrade: unidesk upgrade check")
    elif waiting := level_waits(answered(nodes.found)):
        mend = "start who does not answer, or let it go: unidesk upgrade status names it"
        yield Finding("warning", "level", waiting, mend)


def _certificates(nodes: Nodes) -> Iterator[Finding]:
    """What the nodes show each other now, which need not be what is on their disks."""
    mend = "unidesk cert rotate, and bring the files: they are taken into use by themselves"
    for one in answered(nodes.found):
        if failed := one.peer_tls.get("failed"):
            what = f"{one.node} does not use the files on its disk: {failed}"
            yield Finding("wrong", "certificate", what, mend)
        until_ms = one.peer_tls.get("until_ms")
        if until_ms is None or not one.wall_ms:
            continue
        days = (until_ms - one.wall_ms) / DAY_MS
        if days < EXPIRY_DAYS_WARNED:
            weight: Weight = "wrong" if days < EXPIRY_DAYS_WRONG else "warning"
            ends = f"ends in {days:.0f} days" if days >= 0 else f"ended {-days:.0f} days ago"
            what = f"the certificate that {one.node} shows other nodes {ends}"
            yield Finding(weight, "certificate", what, mend)


def _chaos(nodes: Nodes) -> Iterator[Finding]:
    newest = max(answered(nodes.found), key=_newness, default=None)
    if newest is None:
        return
    for fault in faults_of(newest):
        what = f"broken on purpose: {fault}"
        yield Finding("warning", "chaos", what, "it ends by itself; unidesk chaos stop ends it now")
    if allowed := newest.chaos.get("allowed", []):
        what = f"operators may break {', '.join(allowed)} on purpose"
        mend = "where customers are: [chaos] enabled = false, and a restart"
        yield Finding("warning", "chaos", what, mend)


def _healing(nodes: Nodes) -> Iterator[Finding]:
    for one in answered(nodes.found):
        if one.heal_mode == "off":
            what = f"{one.node} heals nothing, and looks for nothing to heal"
            yield Finding("warning", "healing", what, 'set [heal] mode = "act", or "observe" first')


def _backups(nodes: Nodes) -> Iterator[Finding]:
    newest = max(answered(nodes.found), key=_newness, default=None)
    if newest is None or not newest.backup_ms or not newest.wall_ms:
        return  # none that the audit log knows: a new cluster, or copied otherwise
    days = (newest.wall_ms - newest.backup_ms) / DAY_MS
    if days > BACKUP_DAYS_MAX:
        what = f"the last backup was taken {days:.0f} days ago"
        yield Finding("warning", "backup", what, "look at its timer; unidesk backup takes one")


def _copies(nodes: Nodes) -> Iterator[Finding]:
    there = answered(nodes.found)
    committed = max((one.commit_index for one in there), default=0)
    for one in there:
        behind = committed - one.applied_index
        if behind > LAG_WARNED:
            mend = "wait if it shrinks; if not, look at its disk and CPU"
            yield Finding("warning", "lag", f"{one.node} is {behind} entries behind", mend)
    by_index: dict[int, dict[str, list[str]]] = {}
    for name, (index, digest) in nodes.digests.items():
        by_index.setdefault(index, {}).setdefault(digest, []).append(name)
    for index, by_digest in by_index.items():
        if len(by_digest) > 1:
            groups = " and ".join("/".join(sorted(names)) for names in by_digest.values())
            what = f"{groups} have different states at index {index}"
            mend = "report it; stop the smaller group, set its data aside, let it be filled anew"
            yield Finding("wrong", "copies", what, mend)


def _clocks(nodes: Nodes) -> Iterator[Finding]:
    if len(nodes.wall_ms) < 2:
        return
    ordered = sorted(nodes.wall_ms.items(), key=lambda item: item[1])
    (behind, low), (ahead, high) = ordered[0], ordered[-1]
    apart_ms = high - low
    if apart_ms > CLOCK_MS_WARNED:
        yield Finding(
            "wrong" if apart_ms > CLOCK_MS_WRONG else "warning",
            "clocks",
            f"the clock of {ahead} is {apart_ms / 1000:.1f} s ahead of {behind}'s",
            "run chrony or systemd-timesyncd on both",
        )


def _disks(nodes: Nodes) -> Iterator[Finding]:
    for one in answered(nodes.found):
        free, total = one.storage.get("free_bytes"), one.storage.get("total_bytes")
        if free is not None and total and free / total < FREE_SHARE_WARNED:
            weight: Weight = "wrong" if free / total < FREE_SHARE_WRONG else "warning"
            what = f"{one.node}: {free / total:.0%} of its disk is free"
            yield Finding(weight, "disk room", what, "make room there")
        syncs = one.storage.get("syncs", 0)
        if syncs:
            mean_ms = 1000 * one.storage.get("sync_seconds_total", 0.0) / syncs
            if mean_ms > SYNC_MS_WARNED:
                what = f"{one.node}: its syncs took {mean_ms:.0f} ms on average since its start"
                yield Finding("warning", "syncs", what, "a disk of its own, an SSD at best")


def _voters(nodes: Nodes) -> Iterator[Finding]:
    voters = _known_voters(nodes)
    if not voters:
        return
    if len(voters) == 1:
        mend = "add two nodes: `unidesk cluster members add`"
        yield Finding("warning", "voters", "one voter: its disk is the only copy that counts", mend)
    elif len(voters) % 2 == 0:
        what = f"{len(voters)} voters bear the loss of no more than {len(voters) - 1} would"
        yield Finding("warning", "voters", what, "add one, or let one be a learner")


def _zones(nodes: Nodes) -> Iterator[Finding]:
    voters = _known_voters(nodes)
    zones = {one.node: one.zone for one in answered(nodes.found) if one.node in voters}
    if len(voters) < 2 or not any(zones.values()):
        return
    unnamed = sorted(name for name, zone in zones.items() if not zone)
    if unnamed:
        what = f"{', '.join(unnamed)} name no zone, and others do"
        yield Finding("warning", "zones", what, "set [node] zone everywhere")
    for zone, count in sorted(Counter(zone for zone in zones.values() if zone).items()):
        if 2 * (len(voters) - count) <= len(voters):
            what = (
                f"without zone {zone} {len(voters) - count} of {len(voters)} voters are no majority"
            )
            yield Finding("warning", "zones", what, "spread the voters over three zones")


def _known_voters(nodes: Nodes) -> set[str]:
    newest = max(answered(nodes.found), key=_newness, default=None)
    rows = newest.nodes if newest is not None else []
    return {str(row["id"]) for row in rows if row.get("member") in ("voter", "leaving")}


def _newness(one: NodeStatus) -> tuple[int, int]:
    return one.term, one.commit_index


CHECKS: Sequence[Callable[[Nodes], Iterator[Finding]]] = (
    _reached, _standing, _leader, _one_cluster, _versions, _certificates, _copies, _clocks, _disks,
    _voters, _zones, _chaos, _healing, _backups,
)  # fmt: skip
