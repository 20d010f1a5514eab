"""A canned response, as it is replicated.  No I/O."""

import msgspec

from cluster.state.commands import By


class Canned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said often, in some languages."""

    shortcut: str
    """What an agent types for it; its id."""
    title: str
    texts: dict[str, str]
    """By language: `en`, `zh`, `pt-BR` ..."""
    rev: int
    by: By
    """Who wrote it last."""
    at_ms: int
    queues: tuple[str, ...] = ()
    """Whose conversations it is for; none named is all."""
