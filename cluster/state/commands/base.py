"""Who acts, and the encoding that all commands share.  No I/O."""

from typing import Literal

import msgspec

PrincipalKind = Literal["visitor", "agent", "supervisor", "operator", "service", "system"]
AccountKind = Literal["agent", "supervisor", "operator", "service"]
"""Visitors have none: whoever comes to a desk for help registers nowhere."""


class By(msgspec.Struct, frozen=True, array_like=True):
    """Who acts: the principal of the token, as everybody will see it in the event."""

    kind: PrincipalKind
    id: str
    name: str = ""


SYSTEM = By("system", "unidesk")


class CommandBase(msgspec.Struct, frozen=True, array_like=True, tag_field="op", tag=True):
    """An array of the tag and the fields, in their order."""
