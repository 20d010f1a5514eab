"""Plugins by name, and their life with the node.  Reads what is installed; logs.

    [chaos] enabled = true        the plugin `chaos`, which comes with unidesk
    [plugins.NAME] enabled = true any that is installed: an entry point of `unidesk.plugins`

What is off is not imported.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog
import trio

from cluster.hooks import NO_HOOKS, Hooks
from cluster.port import Port
from cluster.toml_source import did_you_mean
from node.config import Config
from node.plugins.contract import GROUP, Here, Place, Plugin

OWN = (EntryPoint("chaos", "node.chaos.plugin:Chaos", GROUP),)
"""Those that come along, in the form of all others."""

log = structlog.get_logger(__name__)


class PluginRefused(Exception):
    """A plugin cannot be had; the message says why and what to mend."""


class Plugins:
    """Those of one process."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._plugins = dict(plugins)

    @classmethod
    def of(cls, config: Config, *, is_core: bool = True) -> "Plugins":
        """Return what `config` switches on.  Raises `PluginRefused`."""
        return cls(
            {
                name: _make(name, Place(config.node.id, config.node.zone, is_core, settings))
                for name, settings in config.plugins.items()
            }
        )

    def hooks(self) -> Hooks:
        """Return what they put around the replica; of each kind one plugin may have one.

        Raises `PluginRefused`.
        """
        found: dict[str, Any] = {}
        owner: dict[str, str] = {}
        for name, plugin in self._plugins.items():
            hooks = plugin.hooks()
            for what in ("wire", "disk", "wall_ms"):
                hook = getattr(hooks, what)
                if hook is not None and what in found:
                    raise PluginRefused(
                        f"plugins {owner[what]} and {name} both want the {what}: switch one off"
                    )
                if hook is not None:
                    found[what], owner[what] = hook, name
        return Hooks(**found) if found else NO_HOOKS

    def start(self, nursery: trio.Nursery, port: Port, here: Here) -> None:
        """Let them run in `nursery`, until it is cancelled."""
        for name, plugin in self._plugins.items():
            nursery.start_soon(_live, name, plugin, port, here)


async def _live(name: str, plugin: Plugin, port: Port, here: Here) -> None:
    try:
        await plugin.run(port, here)
    except Exception as error:  # the boundary to what is not ours: it ends, the node goes on
        log.error("plugin failed", plugin=name, exc_info=error)


def _make(name: str, place: Place) -> Plugin:
    installed = {one.name: one for one in (*entry_points(group=GROUP), *OWN)}
    if name not in installed:
        raise PluginRefused(
            f"[plugins.{name}]: no plugin of that name is installed;"
            f" {did_you_mean(name, installed)}"
        )
    try:
        plugin: Plugin = installed[name].load()(place)
    except Exception as error:
        raise PluginRefused(f"[plugins.{name}]: {type(error).__name__}: {error}") from error
    return plugin
