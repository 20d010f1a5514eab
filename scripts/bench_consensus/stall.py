"""How long a snapshot holds the loop of its node up.

A task that wants to run every millisecond notes how late it ran, first under load alone, then
under the same load until a snapshot of so many conversations is durable and the log is cut.
The three nodes take theirs at about the same time and share the machine, as in the other
sections.
"""

from typing import Any

from scripts.bench_consensus.nodes import three_nodes

SNAPSHOT_EVERY = 10_000
"""Entries: far more than opening the conversations takes, a few seconds of the load."""
PROPOSERS = 16
BEFORE_S = 2.0


def snapshot(conversations: int, folder: str) -> dict[str, Any]:
    """Return the longest pauses without and with a snapshot."""
    with three_nodes(folder, snapshot_every=SNAPSHOT_EVERY) as nodes:
        leader = nodes.wait_serving()
        nodes.ask(leader, "open", count=conversations)
        status = nodes.ask(leader, "status")
        alone = nodes.ask(
            leader, "stall", proposers=PROPOSERS, seconds=BEFORE_S, until_snapshot=False
        )
        too_early = nodes.ask(leader, "status")["snapshot"] != status["snapshot"]
        during = nodes.ask(
            leader, "stall", proposers=PROPOSERS, seconds=BEFORE_S, until_snapshot=True
        )
        return {
            "conversations": status["conversations"],
            "saved": during["saved"] and not too_early,
            "worst_ms_before": alone["worst_ms"],
            "p99_ms_before": alone["p99_ms"],
            "worst_ms_during": during["worst_ms"],
            "p99_ms_during": during["p99_ms"],
            "rss_mb": nodes.ask(leader, "status")["rss_mb"],
        }
