"""`unidesk chaos status` and `stop`: what is broken now, and the end of it.  Talks to nodes."""

from typing import Any

from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected


@connected
def status(
    where: Where,
    as_json: Json = False,
) -> None:
    """Show which nodes may be broken, and what is broken now.

    Example:  unidesk chaos status
    """
    from node.cli.output import console, print_json, table
    from node.protocol.catalogue import ChaosStatus

    found = ask(where, ChaosStatus())
    if as_json:
        print_json(found)
        return
    rows = [(one["node"], one["zone"], "on" if one["enabled"] else "off") for one in found["nodes"]]
    console().print(table(("node", "zone", "chaos"), rows))
    console().print(table(("broken now", "left", "by", "fault"), broken(found)))


def broken(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each fault of a `ChaosNow`."""
    from node.chaos.words import phrase
    from node.cli.output import plain

    return [
        (
            phrase(one["kind"], one["groups"], **_shown(one)),
            f"{max(0, one['until'] - found['now']) / 1000:.0f} s",
            plain(one["by"][1]),  # kind, id, name
            one["fault"],
        )
        for one in found["faults"]
    ]


def _shown(fault: dict[str, Any]) -> dict[str, Any]:
    return {
        name: fault[name] for name in ("amount", "jitter_ms", "clients", "zone") if fault.get(name)
    }


@connected
def stop(
    where: Where,
    as_json: Json = False,
) -> None:
    """End all faults at once, also at nodes that are cut off.

    Example:  unidesk chaos stop
    """
    from node.cli.output import count, print_json, tell
    from node.protocol.catalogue import ChaosStop

    found = ask(where, ChaosStop())
    if as_json:
        print_json(found)
        return
    tell(f"ended {count(len(found['ended']), 'fault')}")
