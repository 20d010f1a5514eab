"""Nodes that are links alone, over real sockets on loopback."""

from typing import Any

import trio

from cluster.peer.address import Address
from cluster.peer.handshake import Self
from cluster.peer.links import Links
from cluster.state.levels import FIRST
from node.local.ports import free_ports


class Node:
    def __init__(self, name: str, listen: Address, peers: dict[str, Address], **kw: Any) -> None:
        self.frames: list[tuple[str, str, Any]] = []
        self.lost: list[str] = []
        self.links = Links(
            Self(
                kw.get("cluster", "acme"),
                name,
                kw.get("boot", f"boot-{name}"),
                kw.get("key", b"k" * 32),
                f"{listen[0]}:{listen[1]}",
                kw.get("origin", lambda: ""),
                uses=kw.get("uses", lambda: FIRST),
            ),
            listen,
            peers,
            on_frame=lambda *frame: self.frames.append(frame),
            on_lost=self.lost.append,
            tls=kw.get("tls"),
            wire=kw.get("wire"),
        )


def free_address() -> Address:
    return "127.0.0.1", free_ports(1)[0]


async def pair(addresses: dict[str, Address], nursery: trio.Nursery) -> tuple[Node, Node]:
    """Start n1 and n2, which know each other."""
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    return one, two


async def until(condition: Any) -> None:
    with trio.fail_after(30):
        while not condition():
            await trio.sleep(0.01)
