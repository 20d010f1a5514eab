"""The checker of histories finds what it is for, and nothing else."""

import random

import pytest

from tests.sim.linearizability import Operation, is_linearizable


def send(asked_s: float, answered_s: float, message: str, seq: int) -> Operation:
    return Operation(asked_s, message, answered_s, seq=seq)


def read(asked_s: float, answered_s: float, *seen: str) -> Operation:
    return Operation(asked_s, None, answered_s, seen=seen)


GOOD = [
    ("nothing", []),
    ("in turn", [send(0, 1, "a", 1), read(2, 3, "a"), send(4, 5, "b", 2), read(6, 7, "a", "b")]),
    ("overlapping, either way", [send(0, 5, "a", 2), send(0, 5, "b", 1), read(6, 7, "b", "a")]),
    ("a read in the middle of a send", [send(0, 9, "a", 1), read(1, 2), read(3, 4, "a")]),
    ("unknown, it happened", [Operation(0, "a"), read(5, 6), read(7, 8, "a")]),
    ("unknown, it never did", [Operation(0, "a"), read(5, 6), read(7, 8)]),
    ("numbers that others took", [send(0, 1, "a", 3), send(2, 3, "b", 9), read(4, 5, "a", "b")]),
    ("a read nobody answered", [send(0, 1, "a", 1), Operation(2, None)]),
]
BAD = [
    ("a stale read", [send(0, 1, "a", 1), read(2, 3)]),
    ("reads go back", [send(0, 9, "a", 1), read(1, 2, "a"), read(3, 4)]),
    ("a lost write", [send(0, 1, "a", 1), send(2, 3, "b", 2), read(4, 5, "b")]),
    ("doubled", [send(0, 1, "a", 1), read(2, 3, "a", "a")]),
    ("swapped", [send(0, 1, "a", 1), send(2, 3, "b", 2), read(4, 5, "b", "a")]),
    ("two numbers the same", [send(0, 1, "a", 1), send(2, 3, "b", 1)]),
    ("out of nothing", [read(0, 1, "a")]),
    ("before it was asked", [read(0, 1, "a"), send(2, 3, "a", 1)]),
    (
        "readers disagree",
        [send(0, 9, "a", 1), send(0, 9, "b", 2), read(1, 9, "a"), read(1, 9, "b")],
    ),
]


@pytest.mark.parametrize("history", [h for _, h in GOOD], ids=[name for name, _ in GOOD])
def test_what_can_have_happened_is_accepted(history: list[Operation]) -> None:
    assert is_linearizable(history)


@pytest.mark.parametrize("history", [h for _, h in BAD], ids=[name for name, _ in BAD])
def test_what_cannot_have_happened_is_found(history: list[Operation]) -> None:
    assert not is_linearizable(history)


@pytest.mark.parametrize("seed", range(20))
def test_a_real_order_blurred_by_delays_is_accepted_and_one_wrong_answer_found(seed: int) -> None:
    rng = random.Random(seed)
    messages: tuple[str, ...] = ()
    history = []
    for moment in range(200):
        before_s, after_s = moment - 3 * rng.random(), moment + 3 * rng.random()
        if rng.random() < 0.6:
            messages = (*messages, f"m{moment}")
            seq = len(messages)
            known = rng.random() < 0.95
            history.append(
                send(before_s, after_s, f"m{moment}", seq)
                if known
                else Operation(before_s, f"m{moment}")
            )
        else:
            history.append(read(before_s, after_s, *messages))
    assert is_linearizable(history)
    reads = [one for one in history[50:] if one.message is None]
    wrong = rng.choice(reads)
    wrong.seen = wrong.seen[:-8]
    assert not is_linearizable(history)
