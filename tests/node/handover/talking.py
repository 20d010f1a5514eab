"""Somebody talks while nodes are upgraded, and misses nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from node.client import Client, open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvOpen, Ev, MsgSend, Push


class Talk:
    """A visitor who says numbers, one after the other, and hears them."""

    def __init__(self) -> None:
        self.said: list[str] = ["0"]
        self.heard: list[str] = []

    def on_push(self, push: Push) -> None:
        if isinstance(push, Ev) and push.type == "msg":
            self.heard.append(push.data["body"])

    async def go_on(self, client: Client, cv: str) -> None:
        while True:
            number = str(len(self.said))
            await client.request(MsgSend(cv=cv, key=f"k{number}", body=number))
            self.said.append(number)
            await trio.sleep(0.02)


@asynccontextmanager
async def talking(
    cluster: LocalCluster, node: str, *, connections: int | None = 1
) -> AsyncIterator[None]:
    """Somebody talks at `node`, over so many connections, and goes on elsewhere if they must."""
    others = [url for url in cluster.urls if url != cluster.url(node)]
    urls, token, talk = [cluster.url(node), *others], cluster.mint("visitor", "ada"), Talk()
    async with open_client(urls, token, on_push=talk.on_push) as client:
        cv = (await client.request(CvOpen(key="open", text="0")))["cv"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.go_on, client, cv)
            yield
            said = len(talk.said)
            with trio.fail_after(60):
                while len(talk.said) < said + 5 or len(talk.heard) < said + 5:
                    await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
        statistics = client.statistics()
        assert talk.heard[: len(talk.said)] == talk.said
        assert len(talk.heard) <= len(talk.said) + 1  # one may have been under way
        assert (statistics.gaps, statistics.jumps) == (0, 0)
        if connections is not None:
            assert (statistics.connections, statistics.duplicates) == (connections, 0)
