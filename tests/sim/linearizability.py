"""Whether what clients saw could have happened one thing at a time.  No I/O.

A history is what clients asked of one conversation and what they were answered, with the times
of both.  It is linearizable when each operation can be given a moment between its two times so
that the operations, one after the other, give the answers that were given.

    operation   state before        answer that fits            state after
    send(m)     (m1 .. mn, seq)     a number above `seq`        (m1 .. mn m, that number)
    read        (m1 .. mn, seq)     m1 .. mn                    the same

An operation without an answer may have happened at any time after it was asked, or never.

The search takes the operations that were asked before the first answer still open, one by
one, and steps back where none fits; what was tried is remembered as (done, state).

Source: Wing and Gong, "Testing and Verifying Concurrent Objects", 1993; Lowe, "Testing for
linearizability", 2017 (remembering); Horn and Kroening, "Faster linearizability checking via
P-compositionality", 2015 (one object at a time).
"""

from collections.abc import Sequence
from dataclasses import dataclass

NEVER = float("inf")


@dataclass(slots=True)
class Operation:
    """`message` is what was sent, None for a read."""

    asked_s: float
    message: str | None
    answered_s: float = NEVER
    seq: int = 0
    """What a send was answered."""
    seen: tuple[str, ...] = ()
    """What a read was answered."""


@dataclass(frozen=True, slots=True)
class _State:
    messages: tuple[str, ...] = ()
    seq: int = 0


def is_linearizable(history: Sequence[Operation]) -> bool:
    """Return whether there is an order; the time grows with what overlaps."""
    operations = sorted(history, key=lambda operation: operation.asked_s)
    answered = {number for number, one in enumerate(operations) if one.answered_s < NEVER}
    tried: set[tuple[frozenset[int], _State]] = set()
    stack: list[tuple[frozenset[int], _State]] = [(frozenset(), _State())]
    while stack:
        done, state = stack.pop()
        if answered <= done:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        open_ = answered - done
        deadline_s = min(operations[number].answered_s for number in open_)
        seq_next = min((operations[number].seq or NEVER for number in open_), default=NEVER)
        for number, operation in enumerate(operations):
            if operation.asked_s > deadline_s:
                break
            if number in done or operation.seq > seq_next:  # the lower number comes first
                continue
            if (after := _apply(operation, state)) is not None:
                stack.append((done | {number}, after))
    return False


def _apply(operation: Operation, state: _State) -> _State | None:
    """Return the state after an operation, None when its answer does not fit."""
    if operation.message is None:
        return state if operation.seen == state.messages or operation.answered_s == NEVER else None
    if operation.answered_s == NEVER:
        return _State((*state.messages, operation.message), state.seq)
    if operation.seq <= state.seq:
        return None
    return _State((*state.messages, operation.message), operation.seq)
