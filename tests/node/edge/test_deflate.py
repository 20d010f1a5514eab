"""permessage-deflate: what is agreed, what a bomb comes to, and that nobody keeps a window."""

import itertools
import random
import tracemalloc
import zlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol

from node.edge.decoder import Decoder, Decoders, Event, Message, Ping, Violation
from node.edge.deflate import DEFLATE_BYTES_MIN, WINDOW_BITS, deflated, negotiate
from node.edge.frame import encode_binary, encode_close, encode_ping, encode_text
from node.edge.server import EdgeLimits
from tests.node.edge.client import Edge, Recorder, read_until, serving, wait_until
from tests.node.edge.test_frame import masked

LIMIT = 1_000
BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offers", "answer", "bits"),
    [
        ([b"permessage-deflate"], BOTH, WINDOW_BITS),
        ([b"permessage-deflate; client_max_window_bits"], BOTH, WINDOW_BITS),
        ([b"permessage-deflate;client_max_window_bits=10"], BOTH, WINDOW_BITS),
        ([b"permessage-deflate; client_no_context_takeover"], BOTH, WINDOW_BITS),
        ([b"permessage-deflate; server_no_context_takeover"], BOTH, WINDOW_BITS),
        (
            [b'permessage-deflate; server_max_window_bits="15"'],
            f"{BOTH}; server_max_window_bits=12",
            12,
        ),
        ([b"permessage-deflate; server_max_window_bits=9"], f"{BOTH}; server_max_window_bits=9", 9),
        ([b"permessage-deflate; server_max_window_bits=8", b"permessage-deflate"], BOTH, 12),
        ([b"x-webkit-deflate-frame", b"permessage-deflate"], BOTH, 12),
    ],
)
def test_the_first_offer_that_can_be_honoured_is_answered(
    offers: list[bytes], answer: str, bits: int
) -> None:
    assert negotiate(offers) == (answer, bits)


@pytest.mark.parametrize(
    "offer",
    [
        b"",
        b"permessage-bzip2",
        b"permessage-deflate; server_max_window_bits=8",
        b"permessage-deflate; server_max_window_bits",
        b"permessage-deflate; server_max_window_bits=16",
        b"permessage-deflate; server_max_window_bits=012",
        b"permessage-deflate; client_max_window_bits=7",
        b"permessage-deflate; client_max_window_bits=\xb2",
        b"permessage-deflate; server_no_context_takeover=1",
        b"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        b"permessage-deflate; x",
        b"permessage-deflate;",
    ],
)
def test_an_offer_that_cannot_be_honoured_is_declined(offer: bytes) -> None:
    assert negotiate([offer]) is None


def squeezed(payload: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def shrunk(payload: bytes, *, first: int = 0xC1) -> bytes:
    """A client's frame, deflated by itself."""
    return masked(first, squeezed(payload))


def hear(chunks: list[bytes], decoders: Decoders | None = None) -> list[Event]:
    decoders = decoders or Decoders(LIMIT)
    own: Decoder | None = None
    events: list[Event] = []
    for chunk in chunks:
        new, own = decoders.decode(own, chunk, deflate=True)
        events += new
        if new and isinstance(new[-1], Violation):
            break
    return events


payloads = st.text(max_size=200).map(str.encode)
said = st.lists(st.tuples(st.booleans(), payloads), max_size=5)


@given(said, st.data())
def test_deflated_and_plain_messages_come_out_however_they_are_cut(
    messages: list[tuple[bool, bytes]], data: st.DataObject
) -> None:
    frames = [shrunk(text) if small else masked(0x81, text) for small, text in messages]
    joined = b"".join(frames)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(joined)), max_size=8)))
    chunks = [joined[a:b] for a, b in itertools.pairwise([0, *cuts, len(joined)]) if b > a]
    assert hear(chunks) == [Message(text, True) for _, text in messages]


def test_a_message_in_fragments_inflates_as_one_with_pings_between_them() -> None:
    whole = squeezed(b"hello " * 20)
    half = len(whole) // 2
    frames = masked(0x41, whole[:half]) + masked(0x89, b"?") + masked(0x80, whole[half:])
    expected = [Ping(b"?"), Message(b"hello " * 20, True)]
    assert hear([frames]) == expected
    assert hear([frames[at : at + 1] for at in range(len(frames))]) == expected


def test_a_final_block_may_end_a_message_and_nothing_else_may_follow_it() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    final = deflater.compress(b"hello") + deflater.flush()
    for ending in (b"", b"\0"):
        assert hear([masked(0xC1, final + ending)]) == [Message(b"hello", True)]
    for ending in (b"\0\0", b"x", b"\0x", final):
        assert hear([masked(0xC1, final + ending)])[-1].code == 1007  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (masked(0xC1, b"\xff\xff\xff"), 1007),
        (shrunk(b"\xff\xfe"), 1007),
        (masked(0x41, b"") + masked(0xC0, b""), 1002),
        (masked(0xC9, b""), 1002),
        (masked(0xE1, b""), 1002),
    ],
)
def test_what_is_not_as_agreed_is_a_violation(frames: bytes, code: int) -> None:
    assert hear([frames])[-1].code == code  # type: ignore[union-attr]


def test_a_bomb_ends_at_the_limit_of_a_message() -> None:
    bomb = shrunk(bytes(64 * 1024 * 1024), first=0xC2)
    assert len(bomb) < 70_000
    decoders = Decoders(64 * 1024)
    tracemalloc.start()
    events = hear([bomb[at : at + 16_384] for at in range(0, len(bomb), 16_384)], decoders)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events == [Violation(1009, "error in extension")]
    assert peak < 1024 * 1024


def test_a_message_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    noise = random.Random(1).randbytes(LIMIT + 1)
    assert hear([shrunk(noise[:LIMIT], first=0xC2)]) == [Message(noise[:LIMIT], False)]
    assert hear([shrunk(noise, first=0xC2)]) == [Violation(1009, "error in extension")]


def test_what_one_connection_sends_leaves_nothing_for_the_next() -> None:
    decoders = Decoders(LIMIT)
    for bad in (masked(0xC1, b"\xff\xff"), masked(0x41, b"\x01"), shrunk(bytes(9_000))):
        hear([bad], decoders)
        assert hear([shrunk(b"mine")], decoders) == [Message(b"mine", True)]


def test_a_connection_gives_its_window_back_after_the_message() -> None:
    decoders = Decoders(LIMIT)
    frame = shrunk(b"hello" * 50)
    _, own = decoders.decode(None, frame[:9], deflate=True)
    assert isinstance(own, Decoder)
    events, own = decoders.decode(own, frame[9:], deflate=True)
    assert own is None
    assert events == [Message(b"hello" * 50, True)]


# What we send


def read_by_wsproto(frames: bytes, bits: int) -> list[bytes]:
    peer = PerMessageDeflate()
    peer.finalize(f"{BOTH}; server_max_window_bits={bits}")
    client = FrameProtocol(client=True, extensions=[peer])
    client.receive_bytes(frames)
    found: list[bytes] = []
    for frame in client.received_frames():
        payload = frame.payload
        assert not isinstance(payload, tuple)
        found.append(payload.encode() if isinstance(payload, str) else bytes(payload))
    return found


@given(st.lists(st.text(max_size=90).map(lambda text: text * 9), max_size=4), st.integers(9, 15))
def test_another_implementation_reads_what_we_deflate(texts: list[str], bits: int) -> None:
    frames = b"".join(deflated(encode_text(text.encode()), bits) for text in texts)
    assert read_by_wsproto(frames, bits) == [text.encode() for text in texts]


@pytest.mark.parametrize("size", [130, 4_000, 70_000])
def test_frames_of_every_length_are_deflated_if_that_makes_them_smaller(size: int) -> None:
    text, noise = encode_binary(b"same " * (size // 5)), encode_binary(random.randbytes(size))
    assert (len(deflated(text, 12)) < len(text)) is (size >= DEFLATE_BYTES_MIN)
    assert deflated(noise, 12) == noise
    assert read_by_wsproto(deflated(text, 12), 12) == [b"same " * (size // 5)]


def test_control_frames_are_never_deflated() -> None:
    for control in (encode_ping(b"x" * 125), encode_close(1000, "x" * 123)):
        assert deflated(control, 12) is control


def test_a_frame_for_many_is_deflated_once() -> None:
    frame = encode_text(b"to all of you " * 50)
    assert deflated(frame, 12) is deflated(frame, 12)


# Over sockets


async def upgrade(edge: Edge, offer: str) -> tuple[bytes, trio.SocketStream]:
    stream = await edge.connect()
    await stream.send_all(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Extensions: %b\r\n\r\n" % offer.encode()
    )
    return await read_until(stream, lambda data: data.endswith(b"\r\n\r\n")), stream


async def test_it_is_agreed_on_only_where_it_is_enabled_and_asked_for() -> None:
    async with serving(Recorder()) as edge:
        answer, _ = await upgrade(edge, "permessage-deflate")
        assert b"Extensions" not in answer
    async with serving(Recorder(), EdgeLimits(deflate=True)) as edge:
        answer, _ = await upgrade(edge, "permessage-deflate; client_max_window_bits")
        assert f"Sec-WebSocket-Extensions: {BOTH}\r\n".encode() in answer
        answer, _ = await upgrade(edge, "permessage-deflate; server_max_window_bits=8")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"Extensions" not in answer


async def test_messages_are_deflated_both_ways_and_small_ones_go_as_they_are() -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(deflate=True)) as edge:
        _, stream = await upgrade(edge, "permessage-deflate")
        long = b"how do I pay? " * 100
        await stream.send_all(shrunk(long) + masked(0x81, b"short") + shrunk(b"tiny"))
        expected = deflated(encode_text(long), WINDOW_BITS)
        expected += encode_text(b"short") + encode_text(b"tiny")
        assert len(expected) < 100
        assert await read_until(stream, lambda data: len(data) >= len(expected)) == expected
        assert [payload for payload, _ in application.messages] == [long, b"short", b"tiny"]


async def test_a_bomb_is_answered_with_1009() -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(deflate=True)) as edge:
        _, stream = await upgrade(edge, "permessage-deflate")
        await stream.send_all(shrunk(bytes(10_000_000), first=0xC2))
        await wait_until(lambda: bool(application.closed))
        assert application.codes == [1009]
        assert application.messages == []
