"""Service levels: deadlines that pass, and what is told then.  No I/O.

    command   from ──▶ to                                       events
    -------   -----------                                       ------
    sla.due   a clock past its warning ──▶ warned               sla (hidden from visitors)
              a clock past its deadline ──▶ breached            sla

Which clocks run is in `clocks`.  The leader proposes `sla.due` when the first of a conversation's
clocks has something to tell; it is held against cluster time here, so a leader that comes late
tells late, and none tells twice.  An event that stops a clock which ran out before it, with
nobody having told so yet, has the breach told ahead of it (`Change.append`).
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.commands import SlaDue


def due(change: Change, command: SlaDue) -> dict[str, Any]:
    """Tell what the conversation's clocks have to tell by now."""
    conversation = change.open_conversation(command.cv)
    next_ms = conversation.service.next_ms
    if not next_ms:
        no("conflict", "none of its clocks has anything to tell")
    if change.now_ms < next_ms:
        no("conflict", f"its next deadline is {next_ms - change.now_ms} ms away")
    return {"seq": change.tell_clocks(conversation).seq}
