"""What one node measures of its part in the cluster.  No I/O.

    commit         from proposing here to applied here, and answered
    apply          of one entry, by the state machine
    dispatch_plan  of one look of the leader's dispatcher that led to something
    dispatch_wait  from waiting to offered, at the leader of that moment: so the sum over all
                   nodes counts each offer once

`Timings` is added to; `ReplicaFigures` is one moment, in plain values for other processes.
"""

from collections.abc import Mapping

import msgspec

from cluster.state.commands import HealOutcome
from cluster.state.machine import Applied
from cluster.state.outcome import OfferMade
from cluster.state.state import State
from cluster.vitals import Heard, Storage
from wal.histogram import REQUEST_BOUNDS_S, SHORT_BOUNDS_S, WAIT_BOUNDS_S, Buckets, Histogram


class PeerVitals(msgspec.Struct, frozen=True):
    """What another node said of itself last."""

    age_s: float
    """Since it said so."""
    ahead_s: float
    """Its clock against ours, with the way of the message still in it."""
    level: int
    version: str
    zone: str
    standing: str


class ReplicaFigures(msgspec.Struct, frozen=True):
    """One moment of one node."""

    commit: Buckets
    apply: Buckets
    dispatch_plan: Buckets
    dispatch_wait: Buckets
    leader_changes: int
    """How often another node, or this one, was found to lead."""
    level: int
    """Of commands, that the cluster uses."""
    heal: dict[str, dict[str, int]]
    """What was healed here: by rule, then by outcome."""
    vitals: dict[str, PeerVitals]
    """Of the other nodes."""
    storage: Storage


class Timings:
    """Histograms that a participant adds to."""

    __slots__ = ("apply", "commit", "dispatch_plan", "dispatch_wait")

    def __init__(self) -> None:
        self.commit = Histogram(REQUEST_BOUNDS_S)
        self.apply = Histogram(SHORT_BOUNDS_S)
        self.dispatch_plan = Histogram(SHORT_BOUNDS_S)
        self.dispatch_wait = Histogram(WAIT_BOUNDS_S)

    def offered(self, applied: Applied, state: State) -> None:
        """Count how long those waited who are offered to an agent now."""
        for notice in applied.notices:
            if type(notice) is OfferMade:
                conversation = state.conversations.get(notice.offer.cv)
                if conversation is not None:
                    waited_ms = notice.offer.made_ms - conversation.waiting_since_ms
                    self.dispatch_wait.observe(waited_ms / 1000)


def by_rule(counts: Mapping[tuple[str, HealOutcome], int]) -> dict[str, dict[str, int]]:
    """Return what was healed, by rule, then by outcome."""
    found: dict[str, dict[str, int]] = {}
    for (rule, outcome), count in counts.items():
        found.setdefault(rule, {})[outcome] = count
    return found


def peer_vitals(heard: Mapping[str, Heard], now_s: float) -> dict[str, PeerVitals]:
    """Return what other nodes said, seen from `now_s` of the clock that noted it."""
    return {
        peer: PeerVitals(
            age_s=now_s - one.at_s,
            ahead_s=(one.vitals.wall_ms - one.wall_ms) / 1000,
            level=one.vitals.level,
            version=one.vitals.version,
            zone=one.vitals.zone,
            standing=one.vitals.standing,
        )
        for peer, one in heard.items()
    }
