"""What each node tells of conversations after their end.  Talks to nodes."""

from collections.abc import Iterable
from typing import Any

import msgspec
import trio

from node.client import Client, RequestFailed, Stopped, Timing, open_client
from node.protocol.catalogue import CvHistory, Ev
from node.replay.checker import Record, View
from node.replay.reached import Reached

PAGE = 200
PAGES_MAX = 100
CONCURRENCY = 16
TIMING = Timing(retry_s_max=0.5)


async def read_histories(
    cluster: Reached, records: Iterable[Record], *, nodes: Iterable[str] = ()
) -> list[str]:
    """Add to each record the view of `nodes` (of all); return what could not be had, in words."""
    trouble: list[str] = []
    records = list(records)

    async def read_all(name: str) -> None:
        token = cluster.mint("supervisor", "replay-checker")
        async with open_client(
            [cluster.url(name)], token, name="unidesk-replay", pinned=True, timing=TIMING
        ) as client:
            limit = trio.CapacityLimiter(CONCURRENCY)
            async with trio.open_nursery() as nursery:
                for record in records:
                    nursery.start_soon(read_one, name, client, record, limit)

    async def read_one(
        name: str, client: Client, record: Record, limit: trio.CapacityLimiter
    ) -> None:
        async with limit:
            try:
                events = await _history(client, record.cv)
            except (RequestFailed, Stopped, msgspec.ValidationError) as error:
                trouble.append(f"{name} does not tell the history of {record.cv}: {error}")
                return
        record.views.append(
            View(f"history at {name}", events, sees_hidden=True, whole=True, history=True)
        )

    async with trio.open_nursery() as nursery:
        for name in nodes or cluster.names:
            nursery.start_soon(read_all, name)
    for record in records:
        record.views.sort(key=lambda view: (view.history, view.observer))
    return trouble


async def _history(client: Client, cv: str) -> list[Ev]:
    events: list[Ev] = []
    for _ in range(PAGES_MAX):
        after = events[-1].seq if events else 0
        reply = await client.request(CvHistory(cv=cv, after=after, limit=PAGE))
        page = [_event(cv, raw) for raw in reply["events"]]
        events += page
        if not reply.get("more") or not page:
            break
    return events


def _event(cv: str, raw: dict[str, Any]) -> Ev:
    """Return an event as a push would bring it.  Raises `msgspec.ValidationError`."""
    return msgspec.convert({"cv": cv, **raw, "op": "ev"}, type=Ev)
