"""For how long nothing was acknowledged, per fault.  Talks to nobody.

A stall is seen to SAMPLE_S, and belongs to every fault that is on while it lasts.
"""

from collections import Counter
from dataclasses import dataclass, field

import trio

from scripts.kill_loop import Ledger

SAMPLE_S = 0.02


@dataclass
class Watch:
    """When something was acknowledged last, and for how long nothing was, per fault."""

    ledger: Ledger
    stalls_s: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    active: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Look, until cancelled."""
        seen, since_s = 0, trio.current_time()
        while True:
            await trio.sleep(SAMPLE_S)
            now_s = trio.current_time()
            if self.ledger.acknowledged != seen:
                seen, since_s = self.ledger.acknowledged, now_s
            for kind in self.active:
                self.stalls_s[kind] = max(self.stalls_s.get(kind, 0.0), now_s - since_s)
