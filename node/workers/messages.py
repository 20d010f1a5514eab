"""What a node's core and its workers tell each other.  No I/O.

    core -> worker                              worker -> core
    Begin, StateChunk ..., StateWhole           -
    EntryApplied: applied by the core           -
    Standing: when it changes, and often        -
    Answered: one for each Submit               Submit: numbers rise
    Passed: one for each Await                  Await: a barrier, a change of members
    Passed: one for each HandOver               HandOver: of the leadership
    Passed: one for each SaveSnapshot           SaveSnapshot: of the core's state
    Heard: from other nodes and workers         Tell: whispers
    Taken: a session, by another worker         -
    Figures: of all workers                     Measured: its own

A frame is its length, four bytes, and a msgpack map.  The order on the wire is the order of
things: an entry goes before the answers it gives and before the barriers it satisfies, so that a
worker whose answer is there has the state that the answer speaks of.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from cluster.figures import ReplicaFigures
from cluster.port import ReplicaStatus, SavedSnapshot, SnapshotWaits
from node.processes import ProcessFigures
from node.tracing.figures import TracingFigures

FRAME_BYTES_MAX = 32 * 1024 * 1024
"""An entry holds at most a few batches; a chunk of state is far smaller."""
_LENGTH_BYTES = 4


class Message(msgspec.Struct, tag=True, omit_defaults=True):
    """Either way."""


class Begin(Message, tag="begin"):
    """Whose worker it is; the state follows."""

    node: str
    boot: str


class StateChunk(Message, tag="state"):
    """A part of the state, in the order in which a snapshot is written."""

    data: bytes


class StateWhole(Message, tag="whole"):
    """That was all of it: go on from here.  Comes again when the core installs a snapshot."""


class EntryApplied(Message, tag="entry"):
    """The entry behind the last one."""

    index: int
    payload: bytes


class Standing(Message, tag="standing"):
    """The core's standing, members as they are encoded, and guests."""

    status: ReplicaStatus
    members: bytes
    guests: dict[str, str]


class Answered(Message, tag="answer"):
    """The outcome of a `Submit`: `Done` without a code; with one `Refused`, or `Unavailable`."""

    number: int
    result: dict[str, Any] = {}
    dup: bool = False
    code: str = ""
    text: str = ""
    unavailable: bool = False


class Passed(Message, tag="passed"):
    """What was awaited is so, or why it is not known to be."""

    number: int
    code: str = ""
    text: str = ""
    kind: str = ""
    """`unavailable`, `refused`, `not_leading` or `leads`; of these two, `text` is the leader.
    Or `saved`, or `waits`: of a snapshot."""
    saved: SavedSnapshot | None = None
    waits: SnapshotWaits | None = None


class Heard(Message, tag="heard"):
    """A whisper and the node that it comes from."""

    node: str
    payload: bytes


class Taken(Message, tag="taken"):
    """An agent's session goes on in another worker."""

    sid: str


class Figures(Message, tag="figures"):
    """What all workers, those that are gone too, measured: edge, desk, gRPC; and the core."""

    edge: list[dict[str, Any]]
    desk: list[dict[str, Any]]
    rpc: list[dict[str, Any]]
    wal: dict[str, Any]
    replica: ReplicaFigures | None = None
    processes: dict[str, ProcessFigures] = {}
    """Of those that live, by what they are: `core`, `worker-1` …"""
    tracing: TracingFigures = TracingFigures()
    """What all of them export."""


class Submit(Message, tag="submit"):
    """A command, encoded; and the trace that it is a part of, as `traceparent` says it."""

    number: int
    command: bytes
    trace: str = ""


class Await(Message, tag="await"):
    """A barrier; with `wanted`, that members who are now `expected` become `wanted`."""

    number: int
    expected: bytes = b""
    wanted: bytes = b""


class HandOver(Message, tag="hand_over"):
    """Let node `to` lead, or whoever is best."""

    number: int
    to: str = ""


class SaveSnapshot(Message, tag="save_snapshot"):
    """Let there be a snapshot that reaches `index`, or what is applied now."""

    number: int
    index: int = 0


class Tell(Message, tag="tell"):
    """A whisper to the other nodes and to this node's other workers."""

    payload: bytes


class Measured(Message, tag="measured"):
    """The worker's own figures; `rpc` is empty where gRPC is not served."""

    edge: dict[str, Any]
    desk: dict[str, Any]
    rpc: dict[str, Any] = {}
    process: ProcessFigures | None = None
    tracing: TracingFigures = TracingFigures()


FromCore = (
    Begin
    | StateChunk
    | StateWhole
    | EntryApplied
    | Standing
    | Answered
    | Passed
    | Heard
    | Taken
    | Figures
)
FromWorker = Submit | Await | HandOver | SaveSnapshot | Tell | Measured

_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """Return `message` as one frame."""
    data = _encoder.encode(message)
    assert len(data) <= FRAME_BYTES_MAX
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


class Frames:
    """Frames out of the bytes of a stream, however they are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[bytes]:
        """Yield what `data` completes, in order.  Raises `ValueError` for a length of nonsense."""
        buffer = self._buffer
        buffer += data
        position = 0
        while len(buffer) - position >= _LENGTH_BYTES:
            start = position + _LENGTH_BYTES
            length = int.from_bytes(buffer[position:start], "big")
            if length > FRAME_BYTES_MAX:
                raise ValueError(f"a frame of {length} bytes")
            if len(buffer) - start < length:
                break
            yield bytes(buffer[start : start + length])
            position = start + length
        del buffer[:position]


from_core = msgspec.msgpack.Decoder(FromCore)
from_worker = msgspec.msgpack.Decoder(FromWorker)
