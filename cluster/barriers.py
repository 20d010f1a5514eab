"""Who waits until everything that was acknowledged before is applied here.  No I/O.

    add ──▶ waiting ──`ask`: one read index for all──▶ at an index ──`passed`──▶ None
                                    └── no leader confirmed it ──▶ `no_leader`

One question to the leader serves all that came before it: a read index that is confirmed after
they asked is fresh enough for each of them.

Source: Raft thesis (Ongaro 2014), section 6.4.
"""

from collections.abc import Callable

from cluster.port import Unavailable

BARRIERS_MAX = 10_000

OnPassed = Callable[[Unavailable | None], None]
ReadIndex = Callable[[Callable[[int | None], None]], None]


class Barriers:
    """Callers and the indices they wait for; each is called once."""

    def __init__(self) -> None:
        self._waiting: list[OnPassed] = []
        self._at_index: list[tuple[int, OnPassed]] = []
        self._applied_index = 0

    @property
    def waiting(self) -> bool:
        """Whether somebody waits whose question was not asked yet."""
        return bool(self._waiting)

    def add(self, on_passed: OnPassed) -> bool:
        """Let one more wait; return False, calling nothing, when too many do."""
        if len(self._waiting) + len(self._at_index) >= BARRIERS_MAX:
            return False
        self._waiting.append(on_passed)
        return True

    def ask(self, read_index: ReadIndex) -> None:
        """Ask once on behalf of all who wait, if anybody does."""
        if not self._waiting:
            return
        asking, self._waiting = self._waiting, []

        def on_index(index: int | None) -> None:
            for on_passed in asking:
                if index is None:
                    on_passed(Unavailable("no_leader", "no leader confirmed the read"))
                elif self._applied_index >= index:
                    on_passed(None)
                else:
                    self._at_index.append((index, on_passed))

        read_index(on_index)

    def passed(self, applied_index: int) -> None:
        """Call those who waited for `applied_index` or less."""
        self._applied_index = applied_index
        if not self._at_index:
            return
        ready = [on_passed for index, on_passed in self._at_index if index <= applied_index]
        self._at_index = [one for one in self._at_index if one[0] > applied_index]
        for on_passed in ready:
            on_passed(None)
