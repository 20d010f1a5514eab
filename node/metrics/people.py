"""Figures of the replicated state: conversations, agents, rules.  No I/O.

The same at every node, so they are never added up over nodes.
"""

from collections.abc import Iterable, Iterator
from typing import get_args

from prometheus_client.core import Metric

from cluster.state.clocks import ClockName
from cluster.state.missed import REASONS
from cluster.state.satisfaction import SCORES
from node.metrics.families import counter, counters, floats, gauge, gauges, most
from node.metrics.sources import StateStatistics

QUEUES_MAX = 100
"""Queues that get a line of their own; the rest is summed up as `other`."""
RULES_MAX = 100
"""Rules that get a line of their own, those with the most; so for the rest."""
_CLOCKS = get_args(ClockName)


def of_state(state: StateStatistics) -> Iterator[Metric]:
    """Yield how many there are of what, and how visitors were served."""
    yield gauges("conversations", "Conversations by state", "state", floats(state.conversations))
    by_queue = most(state.waiting, QUEUES_MAX)
    yield gauges("waiting", "Conversations that wait, by queue", "queue", by_queue)
    yield gauge("waiting_oldest_seconds", "The longest wait of now", state.waiting_oldest_s)
    yield gauges("agents", "Agents by status", "status", floats(state.agents))
    yield gauge("agent_sessions", "Sessions of agents, also in their grace period", state.sessions)
    yield gauge("offers_pending", "Offers without an end", state.offers)
    yield gauge("rules_revision", "Revision of the routing rules in force", state.rules_rev)
    yield gauge("chaos_faults", "Faults that operators made, not yet ended", state.faults)
    yield from _service(state)


def _service(state: StateStatistics) -> Iterator[Metric]:
    """Return how visitors were served: the same at every node, and kept over restarts."""

    def of(kind: str, names: Iterable[str]) -> dict[str, float]:
        return {name: float(state.tallies.get(f"{kind}.{name}", 0)) for name in names}

    yield counters("sla_warnings", "Clocks near their end", "clock", of("sla.warning", _CLOCKS))
    yield counters("sla_breaches", "Clocks that ran out", "clock", of("sla.breach", _CLOCKS))
    yield counters("missed", "Closed without an answer", "why", of("missed", REASONS))
    yield counters("ratings", "Ratings given", "score", of("rated", map(str, SCORES)))
    yield gauges("unserved", "Not answered, by list", "list", floats(state.unserved))
    alerts = float(state.tallies.get("queue.alert", 0))
    yield counter("queue_alerts", "Queues that lost their last agent in their hours", alerts)
    shown = sorted(state.unstaffed)[:QUEUES_MAX]
    unstaffed = dict.fromkeys(shown, 1.0)
    yield gauges("queue_unstaffed", "1 for a queue that nobody is there for", "queue", unstaffed)
    if state.rules is not None:
        for name, text, counts in (
            ("rule_matched", "Decisions of this revision that are kept", state.rules.matched),
            ("rule_erred", "Of these, in how many it could not be told", state.rules.erred),
            ("rule_shadow", "Of these, how many a shadow would have decided", state.rules.shadow),
        ):
            yield gauges(name, f"{text}, by rule", "rule", most(counts, RULES_MAX))
