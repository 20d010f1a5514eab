"""Nodes beside those of the cluster: a copy, a stranger, a standby.  Talks to processes and files.

A guest has the configuration of a node of the cluster with ports, folder and log of its own, and
whatever else of it is changed.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.local import LocalCluster
from node.local.ports import free_ports
from node.local.process import NodeProcess


@contextmanager
def guest(
    cluster: LocalCluster, like: str, label: str, *, data: Path, changes: Mapping[str, Any]
) -> Iterator[NodeProcess]:
    """Start a node configured like `like`, and end it with the block.

    `changes` are tables of node.toml; their values take the place of those there.
    """
    folder = cluster.folder.path
    tables = tomllib.loads(cluster.folder.config(like).read_text(encoding="utf-8"))
    client, peer = free_ports(2)
    mine = {
        "node": {"data": str(data)},
        "client": {"listen": f"127.0.0.1:{client}", "url": f"ws://127.0.0.1:{client}/v1/ws"},
        "peer": {"listen": f"127.0.0.1:{peer}"},
    }
    for title, values in mine.items():
        tables[title] = tables.get(title, {}) | values
    for title, values in changes.items():
        tables[title] = tables.get(title, {}) | values
    name = tables["node"]["id"]
    tables["nodes"][name] = {"peer": f"127.0.0.1:{peer}", "url": tables["client"]["url"]}
    config, log = folder / f"{label}.toml", folder / f"{label}.log"
    config.write_text(_render(tables), encoding="utf-8")
    process = NodeProcess(label, config, log)
    process.start()
    try:
        yield process
    finally:
        process.kill_nowait()


def _render(tables: Mapping[str, Any], prefix: str = "") -> str:
    lines: list[str] = []
    for title, values in tables.items():
        plain = {key: one for key, one in values.items() if not isinstance(one, dict)}
        nested = {key: one for key, one in values.items() if isinstance(one, dict)}
        if plain:
            lines.append(f"[{prefix}{title}]")
            lines += [f"{key} = {_value(one)}" for key, one in plain.items()]
        if nested:
            lines.append(_render(nested, f"{prefix}{title}."))
    return "\n".join(lines) + "\n"


def _value(one: Any) -> str:
    if isinstance(one, bool):
        return str(one).lower()
    if isinstance(one, list):
        return "[" + ", ".join(map(_value, one)) + "]"
    return str(one) if isinstance(one, int | float) else '"' + str(one).replace('"', '\\"') + '"'
