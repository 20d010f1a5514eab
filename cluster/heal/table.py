"""The rules that look at a running node, in the order in which they do.  No I/O.

module          rules of `cluster.heal.rules`
replacing       11 dead voter
divergence      15 divergence
"""

from cluster.heal.decision import Watcher
from cluster.heal.divergence import Divergence
from cluster.heal.replacing import Replacing


def watchers() -> list[Watcher]:
    """Return one node's rules, remembering nothing yet."""
    return [Replacing(), Divergence()]
