"""Which history a state is of.  No I/O.

    ""        nothing was applied yet: a node that waits to be filled, by whatever cluster it joins
    "first"   the history began with an empty state
    SHA-256   it began with the backup of that content (`cluster.backup.restore`)

Two clusters that were restored from two backups, or one that was and one that goes on, must never
exchange an entry: at one index of the log they hold different things.  Nodes compare their origins
when they meet (`cluster.peer.handshake`); a cluster's id alone cannot tell, as people give it.

The epoch (`wal.epoch`) is another mark: cluster/DESIGN.md says what each is for.
"""

from cluster.state.values import Values

FIRST = "first"


def origin_of(state: Values) -> str:
    """Return which history `state` is of; empty while it is of none."""
    if not state.applied_index:
        return ""
    return state.origin or FIRST
