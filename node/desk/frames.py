"""Pushes to the bytes of frames, each encoded once however many are to hear it.  No I/O.

    one push   x   encodings in use                   x   audiences that see it differently
                   (JSON or msgpack on a WebSocket,       (only where they do)
                    server-sent events)

All connections of one encoding and audience are then sent the very same bytes.
"""

from typing import Protocol

from cluster.state.events import Event
from node.desk.statistics import Tally
from node.desk.views import Audience, event_push, looks_alike
from node.edge.frame import encode_binary, encode_text
from node.protocol.catalogue import Push, Reply
from node.protocol.codec import JSON, MSGPACK


class Encoding(Protocol):
    """How messages are written on one kind of connection."""

    @property
    def name(self) -> str:
        """Tells encodings apart: frames of one name are alike."""

    def frame(self, message: Reply | Push) -> bytes:
        """Return `message` as bytes that any connection of this kind may be sent."""


class TextFrames:
    """JSON in text frames of a WebSocket."""

    name = JSON.subprotocol

    def frame(self, message: Reply | Push) -> bytes:
        """Return one text frame."""
        return encode_text(JSON.encode(message))


class BinaryFrames:
    """msgpack in binary frames of a WebSocket."""

    name = MSGPACK.subprotocol

    def frame(self, message: Reply | Push) -> bytes:
        """Return one binary frame."""
        return encode_binary(MSGPACK.encode(message))


AS_TEXT, AS_BINARY = TextFrames(), BinaryFrames()
ON_WEBSOCKET: dict[str, Encoding] = {one.name: one for one in (AS_TEXT, AS_BINARY)}
"""By subprotocol."""


class Shared:
    """A push that everybody sees alike."""

    __slots__ = ("_frames", "_push", "_tally")

    def __init__(self, push: Push, tally: Tally) -> None:
        self._push = push
        self._tally = tally
        self._frames: dict[str, bytes] = {}

    def frame(self, encoding: Encoding) -> bytes:
        """Return the frame for connections of that encoding."""
        found = self._frames.get(encoding.name)
        if found is None:
            self._tally.encoded += 1
            found = self._frames[encoding.name] = encoding.frame(self._push)
        return found


class SharedEvent:
    """An event, and who sees what of it."""

    __slots__ = ("_agents", "_visitors", "seq")

    def __init__(self, cv: str, event: Event, tally: Tally) -> None:
        self.seq = event.seq
        self._agents = Shared(event_push(cv, event, "agent"), tally)
        self._visitors = self._agents
        if not looks_alike(event):
            self._visitors = Shared(event_push(cv, event, "visitor"), tally)

    def frame(self, encoding: Encoding, audience: Audience) -> bytes:
        """Return the frame for connections of that encoding that belong to `audience`."""
        shared = self._visitors if audience == "visitor" else self._agents
        return shared.frame(encoding)
