"""What somebody did that is no change of the state, and is written down all the same.  No I/O.

    what                who                    detail
    conversation.read   supervisor, operator   cv: looked into what they have no part in
    conversation.search supervisor, operator   q: searched what others said
    members.change      operator               change, node, new
    backup.take         operator               at: the node that wrote it (level 2)

Everything else that the audit log tells is noted by the command that does it.
"""

from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_flat
from cluster.state.commands import AddAudit

KNOWN = {"conversation.read": 1, "conversation.search": 1, "members.change": 1, "backup.take": 2}
"""With the level since which it is written down; see `cluster.state.levels`."""


def add(change: Change, command: AddAudit) -> dict[str, Any]:
    """Put a line into the audit log."""
    check_by(command.by)
    if KNOWN.get(command.what, limits.INTEGER_MAX) > change.state.level:
        no("bad_request", f"what: none of {', '.join(sorted(KNOWN))}")
    if len(command.detail) > limits.AUDIT_DETAIL_MAX:
        no("too_large", f"detail: more than {limits.AUDIT_DETAIL_MAX} keys")
    check_flat("detail", command.detail)
    change.note_here(command.by, command.what, **command.detail)
    return {}
