"""The leader's end, again and again.  Talks to processes.

interval ──▶ SIGKILL the leader ──▶ another leads ──▶ start it again ──▶ ready ──▶ interval …
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from node.local import LocalCluster, LocalFailure


@dataclass(slots=True)
class Kills:
    """What was done, and when, by trio's clock."""

    at: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


async def kill_leaders(
    cluster: LocalCluster, interval_s: float, kills: Kills, tell: Callable[[str], None]
) -> None:
    """Kill the leader `interval_s` after the last recovery, until cancelled.

    Ends by itself, with a word in `kills.trouble`, when the cluster does not recover.
    """
    try:
        while True:
            await trio.sleep(interval_s)
            leader = await cluster.wait_leader()
            killed_at = trio.current_time()
            pid = await cluster.kill(leader)
            kills.at.append(killed_at)
            tell(f"killed the leader {leader} (pid {pid})")
            successor = await cluster.wait_leader(but=leader)
            tell(f"{successor} leads after {trio.current_time() - killed_at:.2f} s")
            cluster.restart(leader)
            await cluster.wait_ready(nodes=[leader])
    except LocalFailure as failure:
        kills.trouble.append(str(failure))
