"""Whether a node may serve, from what it heard of the leader.  No I/O.

    starting ──leader heard──▶ catching_up ──read barrier passed──▶ serving
                                   ▲                                   │ no leader, as below
                                   └────────leader heard──── fenced ◀──┘
                                                                       │ drained by operators
                                                     draining ◀────────┘ (takes nobody)
    any ──held, with a reason──▶ fenced, until it is let go (`cluster.heal`: no room on the disk)
    any ──lacks room for the leader's snapshot──▶ catching_up, until it has it
    any ──the disk failed──▶ failed, for good

A node that was never led stays `starting`: it has nobody to send away.

    no leader heard for         voters heard within one timeout    this node
    --------------------------  ---------------------------------  ------------------------------
    one election timeout        any                                goes on
    longer                      fewer than a majority              fences: it is a minority
    longer                      a majority                         waits: they elect
    longer                      nobody can say: a release that     waits
                                sends no vitals takes part
    two timeouts                any                                fences: an election that takes
                                                                   so long may never end

The timeout is the longest.  A leader hears itself as long as a majority answers it.  Voters are
those of the newest members in the log, as elections count them; this node is one of those heard
if it votes.  Who abstains is none of them, and neither is a learner or a standby.
"""

from dataclasses import dataclass

from cluster.port import Standing

DRAINED = "an operator drained this node; `unidesk cluster undrain` lets it take clients again"
STALL_S = 2.0
"""Three election timeouts: by then others lead, and who asks here should ask them."""


@dataclass(frozen=True, slots=True)
class Silence:
    """For how long no leader was heard, and who was lately."""

    s: float
    """Infinite: fewer than a majority remember, whoever leads."""
    heard: int
    """Voters heard within the longest election timeout, this node included if it is one."""
    voters: int
    all_tell: bool = True
    """Whether every release that takes part speaks unasked: else silence says nothing."""

    @property
    def is_minority(self) -> bool:
        return self.all_tell and 2 * self.heard <= self.voters


class Judge:
    """Holds the standing and the reason, in words for people."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s`: the longest election timeout."""
        self.standing: Standing = "starting"
        self.why = "no leader found yet"
        self._timeout_s = timeout_s
        self._gave_up = False
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

    def gives_up(self, silence: Silence) -> bool:
        """Return whether no leader is to be waited for: the table of this module.

        A fenced node believes only in a leader that it heard within one timeout: what it gave
        up is not to come back with the first frame of somebody else.
        """
        return silence.s > self._patience_s(silence.is_minority or self.standing == "fenced")

    def listen(self, silence: Silence) -> None:
        """Note what was heard by now, for `believes`."""
        self._gave_up = self.gives_up(silence)

    def believes(self, age_s: float) -> bool:
        """Whether a leader that was heard so long ago counts, after what `listen` was told."""
        return age_s <= self._patience_s(self._gave_up)

    def _patience_s(self, at_once: bool) -> float:
        return self._timeout_s if at_once else 2 * self._timeout_s

    def look(
        self, *, led: bool, silence: Silence, announced: bool = True, drained: bool = False
    ) -> None:
        """Judge anew: whether a leader is heard, and if not, since when, and who else.

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
        elif self.standing != "starting" and self.gives_up(silence):
            self._caught_up = False
            self.standing = "fenced"
            self.why = _why(silence)

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


def _why(silence: Silence) -> str:
    voters = silence.voters
    if silence.s == float("inf"):
        return f"fewer than a majority of {voters} voters remember"
    for_s = f"no leader for {silence.s:.1f} s"
    if 2 * silence.heard <= voters:
        return f"{for_s}: fewer than a majority of {voters} voters can be reached"
    return f"{for_s}: {silence.heard} of {voters} voters are heard, and have elected nobody"
