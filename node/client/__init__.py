"""The client library: `unidesk.v1` over WebSocket, at whichever node lives.  Talks to nodes.

    async with open_client(urls, token) as client:
        reply = await client.request(CvOpen(key=new_key(), text="hello"))
        async for push in client.events():
            ...

A request is sent again, with the same key, until it is answered or its deadline is over;
events of a conversation come once and in order, whatever happens to the connection.
"""

from node.client.address import Address, BadAddress
from node.client.client import Client, new_key, open_client
from node.client.failures import RequestFailed, Stopped
from node.client.statistics import ClientStatistics
from node.client.timing import Timing
from node.client.tracker import Jump

__all__ = [
    "Address",
    "BadAddress",
    "Client",
    "ClientStatistics",
    "Jump",
    "RequestFailed",
    "Stopped",
    "Timing",
    "new_key",
    "open_client",
]
