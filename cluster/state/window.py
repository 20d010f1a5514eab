"""Which proposals of one boot of a node were applied.  No I/O.

    numbers   1 2 3 4 5 6 7 8 9
              + + + + - + + - +        + applied
                      ^ floor          above = {6, 7, 9}

Below `floor` everything was applied, or given up by the proposer (`settled`): a copy of it is
skipped.  Proposals mostly come in order, so `above` is nearly empty.  If it grows all the same
- a proposal is missing and its node never settles it - the floor moves up: that proposal will
be skipped, and its proposer, who hears no outcome, says `timeout`.
"""

import msgspec

from cluster.state.limits import WINDOW_NUMBERS_MAX


class Window(msgspec.Struct, array_like=True):
    """The proposals of `boot`.  Changes in place: every proposal touches it."""

    boot: str
    floor: int = 1
    above: set[int] = set()
    retired: tuple[str, ...] = ()
    """Earlier boots of the node: what they still propose comes too late."""

    def copy(self) -> "Window":
        """Return a copy that does not change."""
        return Window(self.boot, self.floor, set(self.above), self.retired)

    def settle(self, settled: int) -> None:
        """The proposer no longer waits for anything below `settled`."""
        if settled > self.floor:
            self.above = {number for number in self.above if number >= settled}
            self.floor = settled
            self._advance()

    def admit(self, number: int) -> bool:
        """Note `number` as applied; return False when it was, or was given up."""
        if number < self.floor or number in self.above:
            return False
        self.above.add(number)
        self._advance()
        if len(self.above) > WINDOW_NUMBERS_MAX:
            self.settle(sorted(self.above)[WINDOW_NUMBERS_MAX // 2])
        return True

    def _advance(self) -> None:
        while self.floor in self.above:
            self.above.discard(self.floor)
            self.floor += 1
