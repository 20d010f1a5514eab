"""Whose turn it is among the proposals of one boot of a node.  No I/O.

    numbers   1 2 3 4 5 6 7
              + + + . ? + .       + applied   . arrived again: too late, or too early   ? lost
                    ^ next_number

Proposals of a node apply in the order of their numbers, each once.  A copy below `next_number`
comes late: it was applied, or given up by its proposer (`settled`).  One above comes early: an
earlier one was lost on its way, and the proposer sends both again.  That costs a moment where
a link broke, and keeps what one agent said first before what they said next.

Source: client sessions with pipelining, Raft thesis (Ongaro 2014), section 6.3.
"""

from typing import Literal

import msgspec

from cluster.state.limits import INTEGER_MAX

Turn = Literal["now", "late", "early"]


class Proposer(msgspec.Struct, array_like=True):
    """The proposals of `boot`.  Changes in place: every proposal touches it."""

    boot: str
    next_number: int = 1
    retired: tuple[str, ...] = ()
    """Earlier boots of the node: what they still propose comes too late."""

    def copy(self) -> "Proposer":
        """Return a copy that does not change."""
        return Proposer(self.boot, self.next_number, self.retired)

    def take_turn(self, number: int, settled: int) -> Turn:
        """Say whether `number` applies `now`; it then counts as applied.

        The proposer waits for nothing below `settled` any more.  One that no node counts up to
        is not believed: the state must always be one that a snapshot can hold.
        """
        if settled > self.next_number:
            if settled > INTEGER_MAX:
                return "late"
            self.next_number = settled
        if number != self.next_number:
            return "late" if number < self.next_number else "early"
        self.next_number += 1
        return "now"
