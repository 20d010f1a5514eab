"""Pushes to the bytes of frames, each encoded once however many are to hear it.  No I/O.

    one push   x   encodings in use (json, msgpack)   x   audiences that see it differently
                                                          (only where they do)

All connections of one encoding and audience are then sent the very same bytes.
"""

from typing import Any

from cluster.state.events import Event
from node.desk.statistics import Tally
from node.desk.views import Audience, event_push, looks_alike
from node.edge.frame import encode_binary, encode_text
from node.protocol.catalogue import Push
from node.protocol.codec import Codec


def encode_frame(codec: Codec, value: Any) -> bytes:
    """Return `value`, a message or a list of them, as one frame of the codec's kind."""
    payload = codec.encode(value)
    return encode_text(payload) if codec.text else encode_binary(payload)


class Shared:
    """A push that everybody sees alike."""

    __slots__ = ("_frames", "_push", "_tally")

    def __init__(self, push: Push, tally: Tally) -> None:
        self._push = push
        self._tally = tally
        self._frames: dict[str, bytes] = {}

    def frame(self, codec: Codec) -> bytes:
        """Return the frame for connections that speak `codec`."""
        found = self._frames.get(codec.name)
        if found is None:
            self._tally.encoded += 1
            found = self._frames[codec.name] = encode_frame(codec, self._push)
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

    def frame(self, codec: Codec, audience: Audience) -> bytes:
        """Return the frame for connections that speak `codec` and belong to `audience`."""
        shared = self._visitors if audience == "visitor" else self._agents
        return shared.frame(codec)
