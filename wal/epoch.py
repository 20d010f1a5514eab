"""Which history of a cluster a folder or a peer belongs to: the cluster id with its fencing epoch.
No I/O.

    shop               epoch 0: as it began
    shop+1.5f0c2a9b    epoch 1: a majority was lost for good, and a person let it go on from what
                       was left; 5f0c2a9b is the plan that says from what

Who was lost may come back one day with entries that the new history does not have.  Every head of a
segment and of a snapshot, and every hello between nodes, carries the whole id, so the two never
mix; an earlier release takes the longer id for another cluster's.  Two recoveries that were made
apart have two plans, so they do not mix either.

A restore from a backup makes no epoch: its cluster is told from others by its origin; see
cluster/DESIGN.md, "Which history a node is of".

The name people give (`shop`) has no `+` in it.  Clients' tokens are bound to the name alone.
"""

import re

_ID = re.compile(r"(.+)\+([1-9][0-9]{0,8})\.([0-9a-f]{8})", re.DOTALL)


def name_of(cluster_id: str) -> str:
    """Return the cluster's name, without an epoch."""
    found = _ID.fullmatch(cluster_id)
    return found[1] if found else cluster_id


def epoch_of(cluster_id: str) -> int:
    """Return how often a person let it go on from less than a majority."""
    found = _ID.fullmatch(cluster_id)
    return int(found[2]) if found else 0


def next_epoch(cluster_id: str, plan: str) -> str:
    """Return the id of the epoch after, by `plan`: at least 8 hexadecimal digits."""
    made = f"{name_of(cluster_id)}+{epoch_of(cluster_id) + 1}.{plan[:8]}"
    assert _ID.fullmatch(made)
    return made


def precedes(older: str, newer: str) -> bool:
    """Whether both are of one cluster, and `older` of a lower epoch."""
    return name_of(older) == name_of(newer) and epoch_of(older) < epoch_of(newer)
