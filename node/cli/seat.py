"""A person at a terminal: what both sides of a conversation share.  Talks to nodes, the terminal.

typed line ──▶ on_line      push from a node ──▶ on_push      /quit, end of input ──▶ leave
"""

import os
from abc import ABC, abstractmethod
from typing import Any

import trio

from node.cli.messages import Words, choose_lang
from node.cli.terminal import open_lines, say_line
from node.client import Client, RequestFailed, open_client
from node.protocol.catalogue import Bye, Ev, Gap, Push, Request, Welcome

TROUBLE_S = 3.0
"""How long there may be no connection before it is said."""


class Leave(Exception):
    """The person wants to go."""


class Seat(ABC):
    """One person; subclasses say what lines and pushes mean to them."""

    role: str

    def __init__(self, words: Words) -> None:
        self.words = words
        self.client: Client | None = None
        self.node = ""

    @abstractmethod
    def greet(self) -> None:
        """Say how this works; called once, when connected."""

    @abstractmethod
    async def on_line(self, line: str) -> None:
        """Do what the line says.  Raises `Leave`."""

    @abstractmethod
    async def on_event(self, event: Ev) -> None:
        """Show an event."""

    async def on_push(self, _push: Push) -> None:
        """Show any other push."""
        return

    async def watch(self) -> None:
        """Do what is to be done all the time."""
        return

    def say(self, key: str, **fields: object) -> None:
        """Print one of the catalogue's texts."""
        say_line(self.words(key, **fields))

    async def request(self, request: Request) -> dict[str, Any] | None:
        """Return the reply; say why there is none, and return None."""
        assert self.client is not None
        try:
            return await self.client.request(request)
        except RequestFailed as error:
            self.say("refused", message=error.message)
            return None

    async def run(self, urls: tuple[str, ...], token: str) -> None:
        """Connect and stay until the person leaves.  Raises `Stopped`."""
        async with open_client(
            urls, token, name=f"unidesk-{self.role}", lang=self.words.lang
        ) as client:
            self.client = client
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._show, client)
                nursery.start_soon(self._tell_trouble, client)
                nursery.start_soon(self.watch)
                await client.wait_welcome()
                try:
                    await self._obey()
                except Leave:
                    pass
                nursery.cancel_scope.cancel()
        self.say("bye")

    async def _obey(self) -> None:
        async with open_lines() as lines:
            async for line in lines:
                if line.strip():
                    await self.on_line(line.strip())

    async def _show(self, client: Client) -> None:
        async for push in client.events():
            match push:
                case Welcome():
                    self._welcome(push)
                    await self.on_push(push)
                case Bye():
                    if client.welcome is not None:  # else it was never our node
                        self.say("leaving", node=self.node, reason=push.reason)
                case Gap():
                    self.say("gap")
                case Ev():
                    await self.on_event(push)
                case _:
                    await self.on_push(push)

    def _welcome(self, welcome: Welcome) -> None:
        first = not self.node
        self.node = welcome.node
        self.say("connected" if first else "reconnected", node=welcome.node)
        if first:
            self.greet()

    async def _tell_trouble(self, client: Client) -> None:
        """Say it when there is no connection for a while."""
        told = ""
        while True:
            await trio.sleep(TROUBLE_S)
            if client.welcome is not None:
                told = ""
            elif client.trouble and client.trouble != told:
                told = client.trouble
                self.say("unreachable", trouble=told)


def words_for(lang: str) -> Words:
    """Return the texts in the language asked for, or in that of the environment."""
    return Words(choose_lang(lang, os.environ))


def body_text(event: Ev) -> str:
    """Return what a message says, as text."""
    body = event.data.get("body", "")
    if isinstance(body, dict):
        body = body.get("text", body)
    return body if isinstance(body, str) else str(body)
