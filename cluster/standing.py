"""Whether a node may serve, from what it heard of the leader.  No I/O.

    starting ──leader heard──▶ catching_up ──read barrier passed──▶ serving
                                   ▲                                   │ no leader for `fence_s`
                                   └────────leader heard──── fenced ◀──┘
                                                                       │ drained by operators
                                                     draining ◀────────┘ (takes nobody)
    any ──held, with a reason──▶ fenced, until it is let go (`cluster.heal`: no room on the disk)
    any ──lacks room for the leader's snapshot──▶ catching_up, until it has it
    any ──the disk failed──▶ failed, for good

A node that was never led stays `starting`: it has nobody to send away.
"""

from cluster.port import Standing

DRAINED = "an operator drained this node; `unidesk cluster undrain` lets it take clients again"
STALL_S = 2.0
"""Three election timeouts: by then others lead, and who asks here should ask them."""


class Judge:
    """Holds the standing and the reason, in words for people."""

    def __init__(self, voters: int, fence_s: float) -> None:
        self.standing: Standing = "starting"
        self.why = "no leader found yet"
        self.voters = voters
        self._fence_s = fence_s
        self._caught_up = False
        self.held = ""
        """Why this node must not take part, in words; empty when it may."""
        self._stalled = False
        self.lacks = ""
        """What it cannot catch up without, in words: room for a snapshot."""

    @property
    def caught_up(self) -> bool:
        """Whether all that was acknowledged before a leader was found is applied here."""
        return self._caught_up

    def note_caught_up(self) -> None:
        """A read barrier passed."""
        self._caught_up = True

    def look(
        self, *, led: bool, silent_s: float, announced: bool = True, drained: bool = False
    ) -> None:
        """Judge anew: whether a leader is heard, and how long no majority was.

        `announced`: the state knows this boot of the node.  Before that it skips what the boot
        proposes, and after that only if another process took its place.
        `drained`: operators want it to take no clients.
        """
        if self.standing == "failed":
            return
        self._stalled = False
        if self.held:
            self._caught_up = False
            self.standing, self.why = "fenced", self.held
            return
        if led and self.lacks:
            self._caught_up = False
            self.standing, self.why = "catching_up", self.lacks
            return
        if led and self._caught_up and announced and drained:
            self.standing, self.why = "draining", DRAINED
        elif led and self._caught_up and announced:
            self.standing, self.why = "serving", ""
        elif led and self._caught_up:
            self.standing = "catching_up"
            self.why = "the cluster does not know this start of the node yet"
        elif led:
            self.standing = "catching_up"
            self.why = "a leader was found; reading what was missed"
        elif silent_s > self._fence_s and self.standing != "starting":
            self._caught_up = False
            self.standing = "fenced"
            self.why = (
                f"no leader for {silent_s:.1f} s: fewer than a majority of {self.voters} voters"
                " can be reached"
                if silent_s < float("inf")
                else f"fewer than a majority of {self.voters} voters remember"
            )

    def stall(self, running_s: float) -> bool:
        """A sync does not come back; return whether that fenced the node, until `look`."""
        if self._stalled or running_s <= STALL_S or self.standing in ("starting", "failed"):
            return False
        self._stalled, self._caught_up = True, False
        self.standing = "fenced"
        self.why = f"the disk has not answered for {running_s:.1f} s, and nothing is sent before"
        return True

    def fail(self, why: str) -> None:
        """The disk failed: nothing is promised any more."""
        self.standing, self.why = "failed", why
