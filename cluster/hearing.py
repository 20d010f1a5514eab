"""Whom this node hears, counted in time in which it ran.  No I/O.

    any frame of a peer ──note──▶ heard, now          a turn ──▶ for how long no leader was
                                                                 which voters were, within a timeout

A process that stood still (SIGSTOP, a machine that slept, a sync that hung) heard nobody for as
long as that took, and what was said meanwhile waits in its sockets.  So of the time between two
turns no more counts than the shortest election timeout: it reads before it is judged.

Vitals come every half second, and an election timeout may be no longer than that; so who has
heard no leader for half the shortest timeout sends and looks that often: whoever lives is heard
several times before anybody is missed.
"""

from collections.abc import Callable, Collection

from cluster.raft.engine import Timing
from cluster.standing import Silence
from cluster.vitals import VITALS_EVERY_S, Circle

WAKEUP_S_MIN = 0.001


class Hearing:
    """One node's; take a `turn` every turn."""

    def __init__(
        self, node: str, timing: Timing, clock: Callable[[], float], circle: Circle
    ) -> None:
        self._node = node
        self._timing = timing
        self._clock = clock
        self._circle = circle
        self._turn_s = clock()
        self._still_s = 0.0
        """How long this process did not run, in all."""
        self._heard_s: dict[str, float] = {}
        self._led_s = self._turn_s
        self._never = False
        """Whether no majority can follow this leader, however well it is heard."""

    def note(self, peer: str) -> None:
        """A frame of `peer` came, of whatever kind."""
        self._heard_s[peer] = self._ran_s()

    def turn(self, quorum_age_s: float, members: Collection[str]) -> None:
        """Let time pass; `quorum_age_s` as `Engine.quorum_age_s` says it."""
        now_s, ran_s = self._clock(), self._ran_s()
        self._turn_s, self._still_s = now_s, now_s - ran_s
        self._never = quorum_age_s == float("inf")
        self._led_s = max(self._led_s, ran_s - quorum_age_s)
        self._heard_s = {peer: s for peer, s in self._heard_s.items() if peer in members}

    @property
    def silent_s(self) -> float:
        """For how long no leader was heard, or this one by no majority."""
        return float("inf") if self._never else self._ran_s() - self._led_s

    @property
    def every_s(self) -> float:
        """How often vitals are due."""
        return self._hurried_s if self._hurries else VITALS_EVERY_S

    @property
    def within(self) -> list[str]:
        """Return the others that were heard within the longest election timeout.

        While there is a leader, a pause between two vitals more: nobody hurries then.
        """
        pause_s = 0.0 if self._hurries else VITALS_EVERY_S
        since_s = self._ran_s() - self._timing.election_max_s - pause_s
        return sorted(peer for peer, s in self._heard_s.items() if s >= since_s)

    def silence(self, voters: Collection[str], *, abstains: bool, all_tell: bool) -> Silence:
        """Return what the judge goes by.

        `abstains`: this node; whoever does decides nothing, and is not counted.
        `all_tell`: every release that takes part has vitals.
        """
        said = self._circle.all()
        forgot = {peer for peer, one in said.items() if one.vitals.abstains}
        if abstains:
            forgot.add(self._node)
        heard = {self._node, *self.within} - forgot
        return Silence(
            s=self.silent_s,
            heard=sum(voter in heard for voter in voters),
            voters=len(voters),
            all_tell=all_tell,
        )

    def next_look_s(self) -> float:
        """Return in how many seconds vitals may be due, a peer missed, or this node fenced."""
        silent_s = self.silent_s
        timeout_s = self._timing.election_max_s
        ages_s = [self._ran_s() - heard_s for heard_s in self._heard_s.values()]
        ends_s = [timeout_s - s for s in (silent_s, silent_s - timeout_s, *ages_s)]
        return min([self._hurried_s, *(s + WAKEUP_S_MIN for s in ends_s if s >= 0.0)])

    @property
    def _hurried_s(self) -> float:
        """No more than the usual pause, where timeouts are longer than that."""
        return min(self._timing.election_min_s / 2, VITALS_EVERY_S)

    @property
    def _hurries(self) -> bool:
        return self.silent_s > self._hurried_s

    def _ran_s(self) -> float:
        """The time, less what this process did not run."""
        passed_s = min(self._clock() - self._turn_s, self._timing.election_min_s)
        return self._turn_s - self._still_s + passed_s
