"""Plugins are found by name, cost nothing while they are off, and cannot end a node."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from cluster.hooks import NO_HOOKS, Hooks
from node.plugins.contract import Here
from node.plugins.loading import PluginRefused, Plugins
from tests.node.desk.office import config_of


class Failing:
    def hooks(self) -> Hooks:
        return Hooks(wall_ms=lambda clock: clock)

    async def run(self, port: Any, here: Any, *, task_status: Any = None) -> None:
        raise RuntimeError("this plugin is no good")


def test_nothing_is_hooked_and_nothing_imported_while_all_are_off() -> None:
    assert Plugins.of(config_of("n1", ("n1",))).hooks() is NO_HOOKS
    code = "import sys, node.server; print([m for m in sys.modules if m.startswith('node.chaos')])"
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_a_plugin_that_is_not_installed_is_refused_with_its_place() -> None:
    config = config_of("n1", ("n1",), others={"chas": {}})
    with pytest.raises(PluginRefused, match=r"\[plugins\.chas\].*did you mean.*chaos"):
        Plugins.of(config)


def test_a_setting_that_a_plugin_does_not_know_is_refused() -> None:
    config = config_of("n1", ("n1",), others={"chaos": {"fun": 1}})
    with pytest.raises(PluginRefused, match="unknown settings: fun"):
        Plugins.of(config)


def test_two_plugins_cannot_have_the_same_hook() -> None:
    with pytest.raises(PluginRefused, match="plugins a and b both want the wall_ms"):
        Plugins({"a": Failing(), "b": Failing()}).hooks()


async def test_a_plugin_that_fails_ends_alone() -> None:
    port: Any = None
    async with trio.open_nursery() as nursery:
        Plugins({"a": Failing()}).start(nursery, port, Here())
