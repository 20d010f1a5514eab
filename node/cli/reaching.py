"""Whether any node is there to be asked, before it is asked.  Talks to nodes, the terminal.

    every address                      what a command does
    one listens                        asks, that one first
    one is silent, none listens        asks: a packet may be lost, a machine may be slow
    all refuse                         says so at once, or looks again for `--wait-for-node`

A refusal is an answer, and whoever is awake at 3 a.m. wants it now; silence is none.  Once a node
was there, what waits (for an election, say) waits as long as the command likes to, and says so.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from node.cli.problem import Problem

if TYPE_CHECKING:
    from node.client import Client

SILENCE_S = 1.0
"""Whoever neither listens nor refuses within this is silent."""
AGAIN_S = 0.5
TROUBLE_S = 2.0
"""How long an answer may take before it is said what it waits for."""
STOP = "(Ctrl-C to stop)"


async def reach(
    urls: Iterable[str], wait_s: float = 0.0, *, silence_s: float = SILENCE_S
) -> tuple[str, ...]:
    """Return `urls`, one that listens first, as soon as any address does not refuse.

    Raises `Problem` when all still refuse after `wait_s` seconds, naming each and why.
    """
    import trio

    from node.cli.output import tell

    wanted = tuple(dict.fromkeys(urls))
    until_s, told = trio.current_time() + wait_s, ""
    while True:
        first, refusals = await _knock(wanted, silence_s)
        if len(refusals) < len(wanted):
            return (first, *(url for url in wanted if url != first)) if first else wanted
        why = ", ".join(refusals[url] for url in wanted)
        left_s = until_s - trio.current_time()
        if left_s <= 0:
            raise Problem(_nobody(why, wait_s))
        if why != told:
            tell(f"waiting for a node: {why} {STOP}")
        told = why
        await trio.sleep(min(AGAIN_S, left_s))


async def _knock(urls: tuple[str, ...], silence_s: float) -> tuple[str, Mapping[str, str]]:
    """Return one of `urls` that listens, if any does, and why others refuse."""
    import trio

    from node.client import Address
    from node.client.failures import plainly

    found: list[str] = []
    refusals: dict[str, str] = {}

    async def knock(url: str) -> None:
        address = Address.parse(url)
        try:
            stream = await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            refusals[url] = f"{address.authority} {plainly(error)}"
            return
        await trio.aclose_forcefully(stream)
        found.append(url)
        nursery.cancel_scope.cancel()

    with trio.move_on_after(silence_s):
        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(knock, url)
    return (found[0] if found else ""), refusals


def _nobody(why: str, wait_s: float) -> str:
    waited = f" within {wait_s:g} s" if wait_s else ""
    mend = "start the nodes (`unidesk serve`, `unidesk demo`), or name others with --url"
    more = "" if wait_s else "; while they are being started, --wait-for-node 60 waits for them"
    return f"no node answers{waited}: {why}; {mend}{more}"


@asynccontextmanager
async def open_patient(
    urls: Iterable[str], proof: str, *, name: str, trouble_s: float = TROUBLE_S
) -> "AsyncIterator[Client]":
    """Run a client for the time of the block, and tell what an answer waits for."""
    import trio

    from node.client import open_client

    async with open_client(urls, proof, name=name) as client, trio.open_nursery() as nursery:
        nursery.start_soon(_tell_hindrance, client, trouble_s)
        yield client
        nursery.cancel_scope.cancel()


async def _tell_hindrance(client: "Client", every_s: float) -> None:
    """Say what the answer waits for: when it has lasted, and when it is another."""
    import trio

    from node.cli.output import tell

    told = ""
    while True:
        await trio.sleep(every_s)
        why = client.hindrance
        if why and why != told:
            tell(f"waiting for an answer: {why} {STOP}")
        told = why
