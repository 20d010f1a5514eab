"""A fault in words, for terminals and reports.  No I/O."""

from collections.abc import Sequence


def phrase(
    kind: str,
    groups: Sequence[str],
    *,
    amount: int = 0,
    jitter_ms: int = 0,
    clients: bool = False,
    zone: str = "",
) -> str:
    """Return what is broken; `groups` are sets of nodes, `n1,n2`."""
    sides = " / ".join(groups)
    nodes = groups[0] if groups else ""
    to = f" to {groups[1]}" if len(groups) > 1 else ""
    match kind:
        case "partition" if zone:
            members = f" ({nodes})" if nodes else ""
            return f"zone {zone}{members} without {'any network' if clients else 'other nodes'}"
        case "partition":
            return f"no links between {sides}"
        case "one_way":
            return f"nothing from {nodes}{to}"
        case "delay":
            jitter = f" and up to {jitter_ms} ms" if jitter_ms else ""
            return f"{amount} ms{jitter} between {nodes} and {_others(groups)}"
        case "loss":
            return f"{amount} % lost between {nodes} and {_others(groups)}"
        case "reset":
            return f"links of {nodes}{to} broken every {amount} ms"
        case "pause":
            return f"{nodes} stopped"
        case "kill":
            return f"{nodes} killed"
        case "slow_disk":
            return f"syncs of {nodes} slower by {amount} ms"
        case "full_disk":
            return f"disk of {nodes} full"
        case "fsync_error":
            return f"syncs of {nodes} fail"
        case "clock_skew":
            way = "ahead" if amount > 0 else "behind"
            return f"clock of {nodes} {abs(amount)} ms {way}"
        case _:
            return f"{kind} {sides}"


def _others(groups: Sequence[str]) -> str:
    return groups[1] if len(groups) > 1 else "the others"
