"""`unidesk login --via`: a terminal, a browser, and whatever else knocks at its port."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import trio

from node.auth import Verifier
from tests.node.desk.office import CLUSTER, KEY
from tests.node.desk.test_over_sockets import listening
from tests.node.issuers.party import Party
from tests.node.login.visit import company, id_token

pytestmark = pytest.mark.process


@dataclass
class Terminal:
    """The command, and where it says to log in."""

    process: trio.Process
    where: str = ""

    async def says(self, pattern: bytes) -> bytes:
        said = b""
        assert self.process.stderr is not None
        with trio.fail_after(60):
            while not (match := re.search(pattern, said)):
                chunk = await self.process.stderr.receive_some()
                assert chunk, said
                said += chunk
        return match[0]

    async def prints(self) -> str:
        assert self.process.stdout is not None
        with trio.fail_after(60):
            said = b"".join([chunk async for chunk in self.process.stdout])
            await self.process.wait()
        return said.decode().strip()


@asynccontextmanager
async def terminal(port: int, via: str = "corp", *more: str) -> AsyncIterator[Terminal]:
    command = [sys.executable, "-m", "node", "login", "--via", via, "--no-browser", *more]
    process = await trio.lowlevel.open_process(
        [*command, "--url", f"ws://127.0.0.1:{port}/v1/ws"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Terminal(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                await stream.aclose()


async def back_from(one: Party, client: httpx2.AsyncClient, port: int, where: str) -> str:
    """Log in at the provider; return where the browser is sent with the result."""
    begun = await client.get(where)
    asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
    one.pages["/token"] = {"id_token": id_token(one, asked)}
    callback = f"http://127.0.0.1:{port}/v1/login/corp/callback"
    answer = await client.get(callback, params={"code": "c", "state": asked["state"]})
    return str(answer.headers["location"])


async def test_a_terminal_gets_the_token_of_whoever_logs_in() -> None:
    async with (
        company() as (desks, one),
        listening(desks.desks["n1"]) as port,
        terminal(port) as seat,
        httpx2.AsyncClient(timeout=20) as client,
    ):
        where = (await seat.says(rb"http://\S+\n")).decode().strip()
        back = await back_from(one, client, port, where)
        loopback = back.partition("?")[0]
        for stray in ("", "?code=x", "?code=x&state=y", "favicon.ico", "?" + "a" * 20_000):
            assert (await client.get(loopback + stray)).status_code in (404, 414)
        page = await client.get(back)
        assert "Logged in" in page.text
        assert "登录成功" in page.text
        token = await seat.prints()
        assert seat.process.returncode == 0
        assert Verifier(KEY, CLUSTER).verify(token).id == "ada"


async def test_a_refusal_is_told_in_the_terminal() -> None:
    async with (
        company() as (desks, _),
        listening(desks.desks["n1"]) as port,
        terminal(port) as seat,
        httpx2.AsyncClient(timeout=20) as client,
    ):
        where = (await seat.says(rb"http://\S+\n")).decode().strip()
        begun = await client.get(where)
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        callback = f"http://127.0.0.1:{port}/v1/login/corp/callback"
        fields = {"error": "access_denied", "state": asked["state"]}
        answer = await client.get(callback, params=fields)
        assert "Not logged in" in (await client.get(answer.headers["location"])).text
        await seat.says(rb"unidesk: not logged in: corp says: access_denied")
        assert await seat.prints() == ""
        assert seat.process.returncode == 1


async def test_a_login_that_cannot_begin_is_told_at_once() -> None:
    async with (
        company() as (desks, _),
        listening(desks.desks["n1"]) as port,
        terminal(port, "google") as seat,
    ):
        await seat.says(rb"/v1/login/google: no login 'google' here; there is corp")
        assert await seat.prints() == ""
    async with terminal(1) as seat:
        await seat.says(rb"unidesk: http://127.0.0.1:1/v1/login/corp: ")
        assert await seat.prints() == ""
