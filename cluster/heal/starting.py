"""What a start, or a leader later, found lost and healed, for the heal log.  No I/O.

found                                      rule
a torn tail, which was cut                 5
damage, which was set aside                6, and again when the others have filled the node
an empty folder of a node that was known   6, when the others have filled it
frames that were synced and are gone       6, when the leader tells, and when it is filled again
notes that an earlier process left         theirs
"""

from collections.abc import Callable, Iterable

from cluster.heal import rules
from cluster.heal.journal import Journal
from cluster.heal.left import Left
from cluster.opening import Opened


def tell_start(heal: Journal, opened: Opened, left: Iterable[Left]) -> None:
    """Note what `opened` and the process before found."""
    for note in left:
        heal.note(
            note.rule, note.seen, note.done, note.outcome, **note.figures, noted_ms=note.at_ms
        )
    torn = opened.torn
    if torn is not None:
        heal.note(
            rules.TORN_TAIL,
            f"{torn.bytes} bytes at the end of the log were no whole frame: {torn.reason}",
            "cut: they were never acknowledged",
            path=torn.path,
            offset=torn.offset,
            bytes=torn.bytes,
        )
    if opened.damage:
        heal.note(
            rules.DAMAGE,
            opened.damage[:500],
            "set aside, kept as *.damaged; it abstains until the others have filled it",
            "began",
        )


class Filling:
    """Notes when a node that lost its data decides no more, and again; look every turn."""

    def __init__(self, heal: Journal, clock: Callable[[], float], *, abstains: bool) -> None:
        self._heal = heal
        self._clock = clock
        self._since_s = clock()
        self._abstains = abstains

    def look(self, *, abstains: bool, was_known: bool, index: int) -> None:
        """`was_known`: the cluster knew the node before this process; `index` it has applied."""
        if abstains == self._abstains:
            return
        self._abstains = abstains
        if abstains:
            self._since_s = self._clock()
            self._heal.note(
                rules.DAMAGE,
                "its log ends before an entry that it acknowledged: the disk lost what was synced",
                "it abstains until the others have filled it",
                "began",
                index=index,
            )
        elif was_known:
            self._heal.note(
                rules.DAMAGE,
                "its data was lost, and the leader vouches that it holds what the others hold",
                "it votes and acknowledges again",
                abstained_ms=int((self._clock() - self._since_s) * 1000),
                index=index,
            )
