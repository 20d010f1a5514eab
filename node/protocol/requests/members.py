"""Who takes part in the cluster.  No I/O."""

from typing import Literal

from node.protocol.requests.base import OPERATOR, Request


class MembersGet(Request, tag="members.get"):
    """Who takes part in the cluster, as this node knows."""

    roles = OPERATOR


class MembersChange(Request, tag="members.change"):
    """Change who takes part, one step.  `not_leader`: ask the leader.

    `add`: a new voter, once it has caught up.  `add_learner`, `promote`: a node that serves and
    does not vote, and its promotion.  `add_standby`: the same, and it takes the place of a voter
    that is dead for longer than `[heal] replace_after`.  `remove`: a voter leaves after those who
    join; `keep` takes that back.  `replace`: `new` joins, then `node` leaves.  `address` is
    `host:port` for the other nodes; needed only when the new node does not call by itself.
    """

    roles = OPERATOR

    change: Literal["add", "add_learner", "promote", "remove", "keep", "replace", "add_standby"]
    node: str
    new: str = ""
    address: str = ""
