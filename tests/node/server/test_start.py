"""A node that is told to stop while it starts, and one that cannot start."""

import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from cluster.replica import Replica
from node import server
from node.config_file import load
from node.desk.application import Desk
from node.edge.server import EdgeServer
from node.local.ports import free_ports

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


def write_config(folder: Path) -> Path:
    client, peer = free_ports(2)
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
    with trio.fail_after(30), scope:
        await server.serve(load(write_config(tmp_path)))
    assert scope.cancelled_caught


@pytest.mark.parametrize("which", ["client", "observe"])
async def test_a_port_that_is_taken_is_told_before_a_log_is_begun(
    tmp_path: Path, which: str
) -> None:
    path = write_config(tmp_path)
    (port,) = free_ports(1)
    path.write_text(path.read_text() + f'[observe]\nlisten = "127.0.0.1:{port}"\n')
    config = load(path)
    assert config.observe is not None
    with socket.socket() as taken:
        taken.bind({"client": config.client.listen, "observe": config.observe.listen}[which])
        taken.listen()
        with pytest.raises(server.StartFailed, match="taken"):
            await server.serve(config)
    assert not (tmp_path / "data").exists()


async def test_a_node_with_a_certificate_is_reached_within_tls_alone(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    path = write_config(tmp_path)
    text = path.read_text().replace("ws://", "wss://")
    path.write_text(text + '[client.tls]\ncert = "cert.pem"\nkey = "key.pem"\n')
    config = load(path)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, config)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        stream = await trio.open_ssl_over_tcp_stream(*config.client.listen, ssl_context=context)
        await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: desk\r\n\r\n")
        assert (await stream.receive_some(4096)).endswith(b"ok\n")
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()
    (tmp_path / "cert.pem").write_text("nonsense")
    with pytest.raises(server.StartFailed, match=r"cert\.pem and .*key\.pem are no certificate"):
        await server.serve(config)
