"""What seats are tried with: a person who types, and events of a node that is played."""

from typing import Any

import trio

from node.cli.seat import Seat
from node.client import open_client

ADA = ["visitor", "ada", "Ada"]
BEN = ["agent", "ben", "Ben"]
LI = ["agent", "li", "Li"]
SUE = ["supervisor", "sue"]


def event(seq: int, kind: str, by: list[str], **data: Any) -> dict[str, Any]:
    return {"op": "ev", "cv": "C", "seq": seq, "type": kind, "by": by, "ts": 0, "data": data}


async def play(seat: Seat, url: str, *lines: str) -> None:
    """Let a person type `lines`; each waits until what it caused was shown."""
    async with open_client([url], "t") as client:
        seat.client = client
        async with trio.open_nursery() as nursery:
            nursery.start_soon(seat._show, client)
            await client.wait_welcome()
            await trio.sleep(0.1)
            for line in lines:
                await seat.on_line(line)
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
