"""Routing rules: put into force, and looked at.  No I/O."""

from node.protocol.requests.base import OPERATOR, SUPERVISOR, Request


class RulesApply(Request, tag="rules.apply"):
    """Replace the routing rules on all nodes at one log index.

    Rules that do not compile are refused with every mistake, its file and its line.
    """

    roles = OPERATOR

    files: dict[str, str]
    rev_expected: int | None = None
    reroute: bool = False
    """Decide anew about who waits already, unless a person said where; their age stays."""


class RulesGet(Request, tag="rules.get"):
    """The rules in force."""

    roles = OPERATOR | SUPERVISOR
