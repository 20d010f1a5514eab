"""What seats are tried with: a person who types, and events of a node that is played."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from node.cli.seat import Seat
from node.client import open_client
from tests.node.client.loopback import Link, Script

ADA = ["visitor", "ada", "Ada"]
BEN = ["agent", "ben", "Ben"]
LI = ["agent", "li", "Li"]
SUE = ["supervisor", "sue"]
SETTLE_S = 0.01
BENS_SEAT = {"id": "ben", "role": "agent", "name": "Ben"}
"""Who Ben is told that he is."""
ONE_OF_BENS = {"cvs": [{"cv": "C", "seq": 3, "fence": 7}], "helps": []}
"""What he is told that he has: conversation C."""


def event(seq: int, kind: str, by: list[str], **data: Any) -> dict[str, Any]:
    return {"op": "ev", "cv": "C", "seq": seq, "type": kind, "by": by, "ts": 0, "data": data}


def answering(
    asked: list[Any], answer: Callable[[Link, Any], Awaitable[None]], **welcome: Any
) -> Script:
    """Return a node that lets a client in with `welcome`, notes what is asked, and answers it."""

    async def serve(link: Link) -> None:
        await link.welcome(**welcome)
        while True:
            request = await link.next()
            asked.append(request)
            await answer(link, request)

    return serve


async def play(seat: Seat, url: str, *lines: str) -> None:
    """Let a person type `lines`; each waits until what it caused was shown: until client and node,
    which share a loop, have nothing left to do."""
    async with open_client([url], "t") as client:
        seat.client = client
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seat._show, client)
            await client.wait_welcome()
            await wait_all_tasks_blocked(SETTLE_S)
            for line in lines:
                await seat.on_line(line)
                await wait_all_tasks_blocked(SETTLE_S)
            nursery.cancel_scope.cancel()
