"""How a conversation is served, as its view says it.  No I/O."""

import msgspec


class ClockView(msgspec.Struct, kw_only=True):
    """A clock that runs."""

    name: str
    """first_response, next_response or resolution."""
    since: int
    due: int
    told: str
    """warning or breach; empty while there was none."""


class SlaView(msgspec.Struct, kw_only=True):
    """How a conversation stands against its service level."""

    name: str
    """The level's; empty without one."""
    clocks: list[ClockView]
    breaches: dict[str, int]
    """How often each clock ran out."""


class RatingView(msgspec.Struct, kw_only=True):
    """What the visitor thought."""

    score: int
    text: str
    at: int
