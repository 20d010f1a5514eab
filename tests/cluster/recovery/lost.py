"""Folders of a cluster that lost its majority, in memory."""

from random import Random

from cluster.raft.members import Members
from cluster.raft.messages import COMMAND, MEMBERS, NO_OP
from cluster.state.commands import BootNode, By, OpenConversation, encode
from cluster.state.entry import Batch, Entry, Proposal
from cluster.state.entry import encode as encode_entry
from tests.sim.disk import SimDisk
from wal.identity import claim
from wal.log import Log
from wal.record import Commit, HardState
from wal.record import Entry as Record

import msgspec  # isort: skip

VOTERS = ("a", "b", "c", "d", "e")
MEMBERS_OF_ALL = Members.of(dict.fromkeys(VOTERS, "127.0.0.1:1"))


def command(number: int) -> bytes:
    """The payload of an entry that opens a conversation, or of the first, which boots."""
    said = (
        BootNode("a", "boot", "")
        if number == 1
        else OpenConversation(f"cv{number}", By("visitor", "ann"), key=f"k{number}")
    )
    proposal = Proposal(number, msgspec.Raw(encode(said)))
    return encode_entry(Entry(1, 1_000 * number, (Batch("a", "boot", 1, (proposal,)),)))


def folder(
    node: str,
    last_index: int,
    *,
    term: int = 3,
    commit_index: int = 4,
    abstains: bool = False,
    seed: int = 1,
    cluster_id: str = "shop",
) -> SimDisk:
    """A node's disk: no-op, members, a boot, then conversations up to `last_index`."""
    disk = SimDisk(Random(seed))
    identity = claim(disk, cluster_id, node, now_ms=7)
    log, _ = Log.open(disk, identity=identity, draw_salt=lambda: 5)
    log.append(HardState(term, "a", abstains))
    log.append(Record(2, 1, NO_OP), Record(3, 1, MEMBERS + MEMBERS_OF_ALL.encode()))
    log.sync()
    for index in range(4, last_index + 1):
        log.append(Record(index, term, COMMAND + command(index - 3)))
    log.append(Commit(commit_index))
    log.sync()
    return disk
