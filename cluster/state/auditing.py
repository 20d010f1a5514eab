"""What somebody did that is no change of the state, and is written down all the same.  No I/O.

    what                who                    detail
    conversation.read   supervisor, operator   cv: looked into what they have no part in
    conversation.search supervisor, operator   q: searched what others said
    members.change      operator               change, node, new
    leader.transfer     operator               target, leader, took_ms (level 2)

Everything else that the audit log tells is noted by the command that does it.
"""

from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_flat
from cluster.state.commands import AddAudit

KNOWN = frozenset({"conversation.read", "conversation.search", "members.change", "leader.transfer"})
"""What is new waits for its level: `cluster.state.levels`."""


def add(change: Change, command: AddAudit) -> dict[str, Any]:
    """Put a line into the audit log."""
    check_by(command.by)
    if command.what not in KNOWN:
        no("bad_request", f"what: none of {', '.join(sorted(KNOWN))}")
    if len(command.detail) > limits.AUDIT_DETAIL_MAX:
        no("too_large", f"detail: more than {limits.AUDIT_DETAIL_MAX} keys")
    check_flat("detail", command.detail)
    change.note_here(command.by, command.what, **command.detail)
    return {}
