"""What the cluster healed by itself, and how its nodes do.  No I/O."""

from node.protocol.requests.base import OPERATOR, SUPERVISOR, Request


class HealLog(Request, tag="heal.log"):
    """What nodes did by themselves and why: newest first, or what came behind a cursor, oldest
    first; at most `limit`.

    `after` is a `next` of an earlier answer; "0" is the oldest line kept.  `before` is a `past` of
    an earlier answer, and goes on to older lines.  `node` and `rule` (its number) leave out others.
    """

    roles = OPERATOR | SUPERVISOR

    after: str = ""
    before: str = ""
    node: str = ""
    rule: int = 0
    limit: int = 100


class HealStatus(Request, tag="heal.status"):
    """How this node heals: mode, the rules with what each did, and the vitals of all nodes."""

    roles = OPERATOR | SUPERVISOR
