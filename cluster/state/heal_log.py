"""What the nodes healed by themselves, or would have: `unidesk heal log`.  No I/O.

Each line is one action of `cluster.heal`, told by the node that took it, with what it saw.  A node
that was cut off tells when it is back, so lines are in the order in which the log took them, and
`at_ms` is the clock of who tells.

Where there are too many, the oldest line goes of the rule that has most: a rule that fires all the
time, or somebody who provokes it, must not make the cluster forget the others, whose limits go by
this log.
"""

from collections import Counter
from itertools import islice
from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_flat
from cluster.state.commands import NoteHeal
from cluster.state.model import HealNote
from cluster.state.state import State

_ACTS = ("done", "began")


def note(change: Change, command: NoteHeal) -> dict[str, Any]:
    """Put a line into the log, and make room for it."""
    texts = {"seen": command.seen, "done": command.done, "outcome": command.outcome}
    for field, text in texts.items():
        if len(text.encode()) > limits.HEAL_TEXT_BYTES_MAX:
            no("too_large", f"{field}: more than {limits.HEAL_TEXT_BYTES_MAX} bytes")
    if len(command.figures) > limits.HEAL_FIGURES_MAX:
        no("too_large", f"figures: more than {limits.HEAL_FIGURES_MAX}")
    check_flat("figures", command.figures)
    if not 0 <= command.at_ms <= limits.NOW_MS_MAX:
        no("bad_request", "at_ms: no time")
    state = change.state
    line = HealNote(
        state.now_ms,
        change.node,
        command.rule,
        command.seen,
        command.done,
        command.outcome,
        command.figures,
        command.at_ms,
    )
    if len(state.heal_log) >= limits.HEAL_LOG_MAX:
        _make_room(state)
    state.heal_log.append(line)
    return {}


def _make_room(state: State) -> None:
    counts = Counter(one.rule for one in state.heal_log)
    _, most = max((count, rule) for rule, count in counts.items())
    oldest = next(place for place, one in enumerate(state.heal_log) if one.rule == most)
    del state.heal_log[oldest]


def hand_overs_s(state: State, last: int) -> list[float]:
    """Return how long ago, in cluster time, healing gave leadership away: the `last` times, newest
    first.
    """
    gave = (
        one.noted_ms
        for one in reversed(state.heal_log)
        if one.outcome in _ACTS and "target" in one.figures
    )
    return [(state.now_ms - noted_ms) / 1000 for noted_ms in islice(gave, last)]
