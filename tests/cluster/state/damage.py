"""Damage to a state, of the kind that only a bug of ours can do."""

from collections.abc import Callable

from msgspec.structs import replace

from cluster.state.state import State


def conversation(cv: str, **changes: object) -> Callable[[State], None]:
    def damage(state: State) -> None:
        state.put_conversation(replace(state.conversations[cv], **changes))

    return damage


def agent(name: str, **changes: object) -> Callable[[State], None]:
    def damage(state: State) -> None:
        state.put_agent(replace(state.agents[name], **changes))

    return damage
