"""What a plugin is, and all that it may touch.  No I/O.

    made once a process ──▶ hooks ──▶ the replica opens, the edge serves ──▶ run … until the end

A plugin is a callable that takes a `Place` and returns a `Plugin`, named as an entry point of the
group `unidesk.plugins`.  It is imported only where `node.toml` switches it on.  With `[node]
workers` each worker makes one too: there it has the clients, and no replica.

What it wants everybody to know goes through the `Port`, as commands; operations of a plugin's own
are in the catalogue like all others, and refuse where it is off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from cluster.hooks import Hooks
from cluster.port import Port

GROUP = "unidesk.plugins"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plugin is made."""

    node: str
    zone: str = ""
    is_core: bool = True
    """Whether the replica is in this process."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Its table of `node.toml`, but for `enabled`."""


@dataclass(frozen=True, slots=True)
class Here:
    """The process that a plugin lives in."""

    hold_clients: Callable[[bool], None] | None = None
    """Holds all that goes to and from its clients, and lets nobody in; or lets go.

    None in a core, whose workers have the clients.
    """
    workers: Callable[[], Sequence[int]] = tuple
    """Processes that live and die with this one, by pid."""


class Plugin(Protocol):
    """One plugin in one process."""

    def hooks(self) -> Hooks:
        """Return what goes between the replica and the world; asked once, before it opens."""
        ...

    async def run(
        self,
        port: Port,
        here: Here,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Live with the node until cancelled; what is raised ends the plugin, not the node."""
        ...
