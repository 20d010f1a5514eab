"""The rows of the report: which fault, on how many nodes, and what is counted from where.  No I/O.

The numbers are those of `cluster.heal.rules`; a letter tells several faults of one rule apart.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from node.local.folder import Sections
from scripts.heal_report import disks, links, members, people
from scripts.heal_report.scene import Act
from scripts.heal_report.verdict import Since

Room = Callable[[Path, tuple[str, ...]], AbstractContextManager[None]]


def anywhere(_folder: Path, _names: tuple[str, ...]) -> AbstractContextManager[None]:
    """Leave the nodes' folders where they are."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Row:
    """One fault."""

    name: str
    injected: str
    act: Act
    nodes: int = 3
    since: Since = "injection"
    resync: bool = False
    by_hand: str = ""
    room: Room = anywhere
    """Where the nodes' folders are."""
    sections: Sections = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The rule's."""
        return int(self.name.rstrip("abcdefgh"))


REPLACE_SOON: Sections = {"heal": {"replace_after": "10s"}}

ROWS = (
    Row("1a", "leader cut off, of 3", links.leader_cut_off, since="end"),
    Row("1b", "leader and another cut off, of 5", links.two_cut_off, nodes=5, since="end"),
    Row("2", "a split of 2 and 3 is over", links.split_over, nodes=5),
    Row("3a", "link leader-follower cut", links.link_cut, since="end"),
    Row("3b", "one follower hears no leader", links.one_way, since="end"),
    Row("3c", "link flaps: 2 s down, 0.5 s up", links.flapping, since="end"),
    Row("4", "leader is heard, hears nobody", links.deaf_leader, since="end"),
    Row("5", "killed while writing, torn tail", disks.torn_tail),
    Row("6a", "a bit flipped in the log", disks.bit_rot, resync=True),
    Row("6b", "a bit flipped in the snapshot", disks.bad_snapshot, resync=True),
    Row("6c", "log lost, with term and vote", disks.lost_log, resync=True),
    Row("6d", "data folder removed", disks.lost_folder, resync=True),
    Row("6e", "an acknowledged tail of the log lost", disks.lost_tail, resync=True),
    Row("7", "leader's fdatasync fails: EIO", disks.sync_error),
    Row("8", "leader's disk full", disks.full_disk, since="end", room=disks.small_disks),
    Row("9", "leader's disk: 200 ms a sync", disks.slow_disk),
    Row("10", "node with agents killed", people.node_killed),
    Row("11", "voter dead for 10 s, standby there", members.dead_voter, sections=REPLACE_SOON),
    Row("12", "cloned data folder started", members.clone),
    Row("13a", "node of another cluster dials in", members.foreigner),
    Row("13b", "node of a wrong version dials in", members.wrong_version),
    Row("14", "a follower's clock 60 s ahead", disks.skewed_clock, since="end"),
    Row("15", "a follower's state altered", disks.diverged, resync=True),
    Row("16", "a peer answers with noise", links.noise, since="end"),
    Row(
        "17",
        "2 of 3 nodes lost for good",
        members.quorum_lost,
        since="end",
        by_hand="`cluster recover`",
        sections=REPLACE_SOON,
    ),
)


def chosen(only: str) -> list[Row]:
    """Return the rows named in `1,3b`; a number means all its letters.  Raises `ValueError`."""
    wanted = [one.strip() for one in only.split(",") if one.strip()]
    known = {row.name for row in ROWS} | {str(row.number) for row in ROWS}
    for one in wanted:
        if one not in known:
            raise ValueError(f"no row {one!r}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not wanted or {row.name, str(row.number)} & set(wanted)]
