"""What `unidesk chaos status` shows of what is broken."""

import msgspec

from cluster.state.commands import By
from node.cli.chaos_now import broken
from node.protocol.chaos_results import ChaosNow, FaultView


def test_a_fault_is_shown_with_the_operator_and_the_time_that_is_left() -> None:
    fault = FaultView(
        fault="f1",
        kind="pause",
        groups=["n2"],
        by=By("operator", "eve", "Eve"),
        since=1_000,
        until=11_000,
    )
    found = msgspec.to_builtins(ChaosNow(nodes=[], faults=[fault], now=4_000))
    assert broken(found) == [("n2 stopped", "7 s", "eve", "f1")]
