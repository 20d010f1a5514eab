"""Every node's process replaced by a new one, again and again.  Talks to processes.

interval ──▶ `unidesk upgrade` of the next node ──▶ interval …
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle

import trio

from node.local import LocalCluster, LocalFailure


@dataclass(slots=True)
class Upgrades:
    """What was done."""

    done: int = 0
    trouble: list[str] = field(default_factory=list)


async def upgrade_nodes(
    cluster: LocalCluster, interval_s: float, upgrades: Upgrades, tell: Callable[[str], None]
) -> None:
    """Upgrade one node after the other, `interval_s` after the last, until cancelled.

    One that has begun comes to its end.  Ends by itself, with a word in `upgrades.trouble`, when
    one fails.
    """
    for name in cycle(cluster.names):
        await trio.sleep(interval_s)
        began = trio.current_time()
        with trio.CancelScope(shield=True):
            try:
                told = await cluster.upgrade(name)
            except LocalFailure as failure:
                upgrades.trouble.append(str(failure))
                return
        if not told.get("done"):
            upgrades.trouble.append(f"{name} was not upgraded: {told.get('text')}")
            return
        upgrades.done += 1
        tell(f"{name} goes on in process {told['pid']} after {trio.current_time() - began:.1f} s")
