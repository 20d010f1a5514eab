"""What came of a replay: figures, verdict, and how they are shown.  No I/O."""

from dataclasses import asdict, dataclass, field
from typing import Any

from node.replay.checker import KINDS, Kind, Violation, count

EXAMPLES_MAX = 20


@dataclass(frozen=True, slots=True)
class Report:
    """A run in numbers."""

    conversations: int
    """Spoken to their end."""
    unfinished: list[str]
    """Conversations that were not, each with the reason."""
    messages_acknowledged: int
    violations: list[Violation]
    jumps: int
    """Holes that clients met and no node declared."""
    over_capacity: int
    """Times that an agent was told of a load above their capacity."""
    kills: int
    stalls_s: list[float]
    """Time without progress after each kill."""
    seconds: float
    latency_p50_ms: float
    latency_p99_ms: float
    reconnects: int
    resends: int
    handovers: int
    """Times that a turn went to another agent because the owner had changed."""
    observers: int
    """Views of conversations that were compared."""
    nodes: int
    upgrades: int = 0
    trouble: list[str] = field(default_factory=list)
    """What else went wrong: a node that did not come back, a history that was not to be had."""

    @property
    def counts(self) -> dict[Kind, int]:
        """Violations by kind; what clients themselves met is counted in."""
        counted = count(self.violations)
        counted["gap"] += self.jumps
        counted["capacity"] += self.over_capacity
        return counted

    @property
    def good(self) -> bool:
        """Whether everything held and everything was spoken."""
        return not any(self.counts.values()) and not self.unfinished and not self.trouble

    @property
    def stall_p50_s(self) -> float:
        """The median time without progress."""
        return sorted(self.stalls_s)[(len(self.stalls_s) - 1) // 2] if self.stalls_s else 0.0

    @property
    def stall_max_s(self) -> float:
        """The longest time without progress."""
        return max(self.stalls_s, default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values with the figures of the table and the first violations."""
        counts = self.counts
        return {
            "ok": self.good,
            "conversations": self.conversations,
            "unfinished": len(self.unfinished),
            "messages_acknowledged": self.messages_acknowledged,
            **{("gaps" if kind == "gap" else kind): counts[kind] for kind in KINDS},
            "kills": self.kills,
            "upgrades": self.upgrades,
            "stall_p50_s": round(self.stall_p50_s, 3),
            "stall_max_s": round(self.stall_max_s, 3),
            "stalls_s": [round(stall, 3) for stall in self.stalls_s],
            "seconds": round(self.seconds, 3),
            "messages_per_s": round(self.rate, 1),
            "latency_p50_ms": round(self.latency_p50_ms, 2),
            "latency_p99_ms": round(self.latency_p99_ms, 2),
            "reconnects": self.reconnects,
            "resends": self.resends,
            "handovers": self.handovers,
            "observers": self.observers,
            "nodes": self.nodes,
            "violations": [asdict(one) for one in self.violations[:EXAMPLES_MAX]],
            "problems": [*self.unfinished, *self.trouble][:EXAMPLES_MAX],
        }

    @property
    def rate(self) -> float:
        """Messages acknowledged a second."""
        return self.messages_acknowledged / self.seconds if self.seconds else 0.0

    def rows(self) -> list[tuple[str, str, bool]]:
        """Return the table: what, how much, and whether it is as it must be."""
        counts = self.counts
        must_be_zero = [(kind.replace("_", " "), counts[kind]) for kind in KINDS]
        must_be_zero.insert(0, ("unfinished", len(self.unfinished)))
        return [
            ("conversations", str(self.conversations), True),
            ("messages acknowledged", str(self.messages_acknowledged), True),
            *((name, str(number), number == 0) for name, number in must_be_zero),
            ("views compared", str(self.observers), True),
            ("leader killed", str(self.kills), True),
            ("nodes upgraded", str(self.upgrades), True),
            (
                "time without progress, p50 / max",
                f"{self.stall_p50_s:.2f} s / {self.stall_max_s:.2f} s" if self.stalls_s else "-",
                True,
            ),
            ("messages/s", f"{self.rate:.0f}", True),
            (
                "latency p50 / p99",
                f"{self.latency_p50_ms:.1f} ms / {self.latency_p99_ms:.1f} ms",
                True,
            ),
            ("reconnects / resends", f"{self.reconnects} / {self.resends}", True),
            ("handovers", str(self.handovers), True),
        ]
