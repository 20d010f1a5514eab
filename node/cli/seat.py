"""A person at a terminal: what both sides of a conversation share.  Talks to nodes, the terminal.

typed line ──▶ on_line      push from a node ──▶ on_push      /quit, end of input ──▶ leave
"""

import math
import os
import sys
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import trio

from node.cli.messages import CATALOGUES, Words, choose_lang
from node.cli.problem import USAGE, Problem
from node.cli.terminal import open_lines, say_line
from node.client import Client, RequestFailed, Stopped, open_client
from node.protocol.catalogue import Bye, Ev, Gap, Push, Request, Welcome

LINES_WAITING_MAX = 1_000
QUIT_S = 3.0
END_S = 30.0
"""How long what was typed may still take after /quit, and after the end of a file or a pipe."""
POLL_S = 0.02
TROUBLE_S = 3.0
"""How long there may be no connection before it is said."""


class Seat(ABC):
    """One person; subclasses say what lines and pushes mean to them."""

    role: str

    def __init__(self, words: Words) -> None:
        self.words = words
        self.client: Client | None = None
        self.node = ""
        self._bye: Bye | None = None
        """The last one."""

    @abstractmethod
    def greet(self) -> None:
        """Say how this works; called once, when connected."""

    @abstractmethod
    async def on_line(self, line: str) -> None:
        """Do what the line says."""

    @abstractmethod
    async def on_event(self, event: Ev) -> None:
        """Show an event."""

    @abstractmethod
    def on_lost(self, cv: str) -> None:
        """The conversation is gone, or the person's no more."""

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
        """Return the reply, however long it takes; say it when it was refused, and return None."""
        assert self.client is not None
        try:
            return await self.client.request(request, timeout_s=math.inf)
        except RequestFailed as error:
            self.say("refused", message=self.words.refusal(error.code, error.message))
            return None

    async def run(self, urls: tuple[str, ...], token: str, *, patience_s: float = 0.0) -> int:
        """Connect and stay until the person leaves; return 1 if a line was not delivered.

        A pipe waits `patience_s` for a node, or a while if that is 0; a person for ever.
        Raises `Problem` when they are sent away for good.
        """
        try:
            return await self._stay(urls, token, patience_s or END_S)
        except* Stopped as stopped:
            why = self._why_stopped(stopped)
        raise Problem(why)  # raised in there, Python before 3.11.4 would wrap it

    async def _stay(self, urls: tuple[str, ...], token: str, patience_s: float) -> int:
        async with open_client(
            urls, token, name=f"unidesk-{self.role}", lang=self.words.lang
        ) as client:
            self.client = client
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._show, client)
                nursery.start_soon(self._tell_trouble, client)
                nursery.start_soon(self.watch)
                await self._wait_welcome(client, patience_s)
                undelivered = await self._obey()
                nursery.cancel_scope.cancel()
        for line in undelivered:
            self.say("undelivered", line=line)
        self.say("bye")
        return 1 if undelivered else 0

    async def _wait_welcome(self, client: Client, patience_s: float) -> None:
        """Wait for a node: as long as a person likes to, not as long as a pipe would."""
        with trio.move_on_after(math.inf if sys.stdin.isatty() else patience_s):
            await client.wait_welcome()
            return
        raise Problem(f"no node answers: {client.trouble or 'is the cluster started?'}")

    async def _obey(self) -> list[str]:
        """Do what is typed until /quit or the end; return the lines that nobody took.

        Lines wait for their turn, and for a node that answers, as long as the person stays.
        """
        waiting: deque[str] = deque()
        typed = trio.Semaphore(0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._work, waiting, typed)
            patience_s = await self._listen(waiting, typed)
            with trio.move_on_after(patience_s):
                while waiting:
                    await trio.sleep(POLL_S)
            nursery.cancel_scope.cancel()
        return list(waiting)

    async def _listen(self, waiting: deque[str], typed: trio.Semaphore) -> float:
        """Put lines into `waiting`; return how long what waits in the end is worth waiting for."""
        async with open_lines() as lines:
            async for line in lines:
                if line.strip() == "/quit":
                    return QUIT_S
                while len(waiting) >= LINES_WAITING_MAX:
                    await trio.sleep(POLL_S)
                if line.strip():
                    waiting.append(line.strip())
                    typed.release()
        return END_S

    async def _work(self, waiting: deque[str], typed: trio.Semaphore) -> None:
        while True:
            await typed.acquire()
            await self.on_line(waiting[0])
            waiting.popleft()

    async def _show(self, client: Client) -> None:
        async for push in client.events():
            match push:
                case Welcome():
                    self._welcome(push)
                    await self.on_push(push)
                case Bye():
                    self._bye = push
                    if client.welcome is not None and push.resume:  # else it was never our node
                        self.say("leaving", node=self.node, reason=self._why_left(push))
                case Gap(cv=cv, first=0, last=0):
                    self.on_lost(cv)
                case Gap():
                    self.say("gap")
                case Ev():
                    await self.on_event(push)
                case _:
                    await self.on_push(push)

    def _why_left(self, bye: Bye) -> str:
        return self.words.parting(bye.code, bye.rule, bye.reason)

    def _why_stopped(self, group: BaseExceptionGroup[Stopped]) -> str:
        stopped: BaseException = group
        while isinstance(stopped, BaseExceptionGroup):
            stopped = stopped.exceptions[0]
        assert isinstance(stopped, Stopped)
        last = self._bye
        rule = last.rule if last is not None and last.code == stopped.code else ""
        return self.words.parting(stopped.code, rule, stopped.reason)

    def _welcome(self, welcome: Welcome) -> None:
        role = welcome.you.get("role", self.role)
        if role != self.role:
            mend = "give another --token, or unset UNIDESK_TOKEN"
            raise Problem(f"the token is of role {role}, not {self.role}; {mend}", USAGE)
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
                told, bye = client.trouble, self._bye
                if bye is not None and bye.reason == told:
                    self.say("not_serving", reason=self._why_left(bye))
                else:
                    self.say("unreachable", trouble=told)


def words_for(lang: str) -> Words:
    """Return the texts in the language asked for, or in that of the environment.

    Raises `Problem` for a language that is not spoken here.
    """
    if lang and lang.lower()[:2] not in CATALOGUES:
        raise Problem(f"--lang {lang}: there are {', '.join(CATALOGUES)}", USAGE)
    return Words(choose_lang(lang, os.environ))


def body_text(event: Ev) -> str:
    """Return what a message says, as text."""
    body = event.data.get("body", "")
    if isinstance(body, dict):
        body = body.get("text", body)
    return body if isinstance(body, str) else str(body)
