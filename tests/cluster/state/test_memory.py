"""What a large state costs the garbage collector."""

import gc
from collections.abc import Callable

import pytest

from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.state import State
from tests.cluster.state.desk import ANN, Desk


def as_applied(state: State) -> State:
    return state


def as_loaded(state: State) -> State:
    return snapshot.load(snapshot.dump(state))


@pytest.mark.parametrize("come_by", [as_applied, as_loaded])
def test_values_that_are_many_are_out_of_the_collectors_sight(
    come_by: Callable[[State], State],
) -> None:
    desk = Desk()
    desk.done(c.OpenConversation("cv1", ANN, "k1", text="hello", mid="m1"))
    state = come_by(desk.state)
    conversation = state.conversations["cv1"]
    values = [conversation, conversation.tail, *conversation.tail, *state.keys.values()]
    assert len(values) >= 3
    assert [type(value).__name__ for value in values if gc.is_tracked(value)] == []
