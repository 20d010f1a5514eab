"""A node that is told to stop while it starts, and one that cannot start."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from cluster.replica import Replica
from node import server
from node.config import load
from node.desk.application import Desk
from node.edge.server import EdgeServer

NODE = """
[cluster]
id = "start"
key = "a key of sixteen bytes"
[node]
id = "n1"
data = "data"
[client]
listen = "127.0.0.1:{client}"
[peer]
listen = "127.0.0.1:{peer}"
[nodes.n1]
peer = "127.0.0.1:{peer}"
url = "ws://127.0.0.1:{client}/v1/ws"
"""


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def write_config(folder: Path) -> Path:
    client, peer = free_ports()
    path = folder / "node.toml"
    path.write_text(NODE.format(client=client, peer=peer))
    return path


@pytest.mark.parametrize(
    ("part", "method"), [(Replica, "run"), (Desk, "run"), (EdgeServer, "serve")]
)
@pytest.mark.parametrize("afterwards", [False, True])
async def test_a_start_that_is_cancelled_ends(
    part: type, method: str, afterwards: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(part, method)
    scope = trio.CancelScope()

    async def cancelled(self: Any, *arguments: Any, task_status: Any) -> None:
        class Status:
            def started(self, value: Any = None) -> None:
                if afterwards:
                    scope.cancel()
                task_status.started(value)

        if not afterwards:
            scope.cancel()
        await original(self, *arguments, task_status=Status())

    monkeypatch.setattr(part, method, cancelled)
    with trio.fail_after(10), scope:
        await server.serve(load(write_config(tmp_path)))
    assert scope.cancelled_caught


async def test_a_port_that_is_taken_is_told_before_a_log_is_begun(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    config = load(path)
    with socket.socket() as taken:
        taken.bind(config.client.listen)
        taken.listen()
        with pytest.raises(server.StartFailed, match="taken"):
            await server.serve(config)
    assert not (tmp_path / "data").exists()
