"""The rules that look at a running node, in the order in which they do.  No I/O.

module       rows of `cluster.heal.rules`            does
full_disk    8  disk full                            Compact, Transfer, Shut, Reopen
snapshot_room                                        notes what finds no room
slow_disk    9  slow disk                            Transfer
zones        18 lonely leader                        Transfer
fences       1, 2, 4  minority, return, deaf leader  notes what happened
             17  quorum lost                         notes that a person must decide
one_way      3  one way                              notes, and hints in the status
clocks       14 clocks                               notes
bad_peers    16 bad peer                             notes what the links do
replacing    11 dead voter                           StandIn
divergence   15 divergence                           Transfer, Rebuild
"""

from cluster.heal.bad_peers import BadPeers
from cluster.heal.clocks import Clocks
from cluster.heal.decision import Watcher
from cluster.heal.divergence import Divergence
from cluster.heal.fences import Fences
from cluster.heal.full_disk import FullDisk
from cluster.heal.limits import HandOvers
from cluster.heal.one_way import OneWay
from cluster.heal.replacing import Replacing
from cluster.heal.slow_disk import SlowDisk
from cluster.heal.snapshot_room import SnapshotRoom
from cluster.heal.zones import Zones


def watchers() -> list[Watcher]:
    """Return one node's rules, remembering nothing yet."""
    hand_overs = HandOvers()
    return [
        hand_overs,
        FullDisk(hand_overs),
        SnapshotRoom(),
        SlowDisk(hand_overs),
        Zones(hand_overs),
        Fences(),
        OneWay(),
        Clocks(),
        BadPeers(),
        Replacing(),
        Divergence(),
    ]
