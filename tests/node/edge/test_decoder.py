"""However a stream is cut, the same events come out, and no connection hears another's."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from node.edge.decoder import (
    Decoder,
    Decoders,
    Event,
    Message,
    PeerClose,
    Ping,
    Pong,
    Violation,
)
from tests.node.edge.test_frame import masked

LIMIT = 1_000


def decode(chunks: list[bytes], decoders: Decoders | None = None) -> list[Event]:
    decoders = decoders or Decoders(LIMIT)
    own: Decoder | None = None
    events: list[Event] = []
    for chunk in chunks:
        quick = decoders.quick(chunk) if own is None else None
        if quick is not None:
            events += [Message(*one) for one in quick]
            continue
        new, own = decoders.decode(own, chunk)
        events += new
        if new and isinstance(new[-1], PeerClose | Violation):
            break
    return events


def oracle(data: bytes) -> list[Event]:
    """wsproto over the bytes in one piece, with the plainest reassembly there is."""
    protocol, message = FrameProtocol(client=False, extensions=[]), b""
    events: list[Event] = []
    protocol.receive_bytes(data)
    try:
        for frame in protocol.received_frames():
            payload = frame.payload
            if isinstance(payload, tuple):
                return [*events, PeerClose(int(payload[0]), payload[1])]
            raw = payload.encode() if isinstance(payload, str) else bytes(payload)
            if frame.opcode is Opcode.PING:
                events.append(Ping(raw))
            elif frame.opcode is Opcode.PONG:
                events.append(Pong(raw))
            else:
                message += raw
                if len(message) > LIMIT:
                    return [*events, Violation(1009, f"message over {LIMIT} bytes")]
                if frame.message_finished:
                    events.append(Message(message, frame.opcode is Opcode.TEXT))
                    message = b""
    except ParseFailed as failure:
        events.append(Violation(int(failure.code), ""))
    return events


def without_reasons(events: list[Event]) -> list[Event]:
    # wsproto words a UTF-8 failure by its position in the chunk.
    return [
        Violation(event.code, "") if isinstance(event, Violation) else event for event in events
    ]


payloads = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(str.encode),
    st.sampled_from([b"a" * 125, b"b" * 126, b"c" * 700]),
)
control = st.builds(masked, st.sampled_from([0x89, 0x8A]), st.binary(max_size=10))
data_frame = st.builds(masked, st.sampled_from([0x81, 0x82]), payloads)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    parts = draw(st.lists(payloads, min_size=2, max_size=4))
    first = draw(st.sampled_from([0x01, 0x02]))
    frames = [masked(first if i == 0 else 0x00, part) for i, part in enumerate(parts[:-1])]
    frames.append(masked(0x80, parts[-1]))
    pings = draw(st.lists(control, max_size=len(frames) - 1))
    mixed = itertools.zip_longest(frames, pings, fillvalue=b"")
    return b"".join(b"".join(pair) for pair in mixed)


broken = st.one_of(
    st.builds(masked, st.sampled_from([0xC1, 0x83, 0x09, 0x80, 0x01]), payloads),
    st.binary(min_size=1, max_size=30),
)
close = st.builds(
    masked,
    st.just(0x88),
    st.one_of(
        st.just(b""),
        st.builds(lambda code: code.to_bytes(2, "big") + b"bye", st.integers(900, 5_100)),
    ),
)
streams = st.lists(
    st.one_of(data_frame, data_frame, control, fragmented(), close, broken), max_size=6
)


@given(streams, st.data())
def test_every_chunking_gives_what_wsproto_gives_in_one_piece(
    frames: list[bytes], data: st.DataObject
) -> None:
    joined = b"".join(frames)
    at_frames = data.draw(st.booleans(), "cut at frames")
    chunks = [frame for frame in frames if frame]
    if not at_frames:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(joined)), max_size=8)))
        edges = [0, *cuts, len(joined)]
        chunks = [joined[a:b] for a, b in itertools.pairwise(edges) if b > a]
    assert without_reasons(decode(chunks)) == without_reasons(oracle(joined))


def test_every_single_split_of_a_conversation_gives_the_same_messages() -> None:
    joined = (
        masked(0x81, "grüß".encode())
        + masked(0x01, b"\xc3")
        + masked(0x89, b"ping")
        + masked(0x80, b"\xa9")
        + masked(0x82, bytes(200))
        + masked(0x88, b"\x03\xe8bye")
    )
    expected = [
        Message("grüß".encode(), True),
        Ping(b"ping"),
        Message("é".encode(), True),
        Message(bytes(200), False),
        PeerClose(1000, "bye"),
    ]
    for cut in range(len(joined) + 1):
        assert decode([chunk for chunk in (joined[:cut], joined[cut:]) if chunk]) == expected
    assert decode([joined[i : i + 1] for i in range(len(joined))]) == expected


@given(st.lists(st.one_of(broken, close, fragmented(), control), max_size=4))
def test_what_one_connection_sends_leaves_nothing_for_the_next(frames: list[bytes]) -> None:
    decoders = Decoders(LIMIT)
    decode(frames, decoders)
    assert decode([masked(0x81, b"mine")], decoders) == [Message(b"mine", True)]


def test_a_connection_gives_its_decoder_back_after_the_message() -> None:
    decoders = Decoders(LIMIT)
    frame = masked(0x81, b"hello")
    _, own = decoders.decode(None, frame)
    assert own is None
    _, own = decoders.decode(None, frame[:3])
    assert own is not None
    _, own = decoders.decode(own, frame[3:] + masked(0x01, b"first"))
    assert own is not None
    _, own = decoders.decode(own, masked(0x80, b"last"))
    assert own is None


def test_a_message_over_the_limit_is_refused_before_it_is_whole() -> None:
    start = b"\x82\xff" + (10_000_000).to_bytes(8, "big") + b"\0\0\0\0" + bytes(LIMIT + 1)
    assert decode([start]) == [Violation(1009, "message over 1000 bytes")]
    fragment = masked(0x02, bytes(600))
    assert decode([fragment, masked(0x00, bytes(600))])[-1].code == 1009  # type: ignore[union-attr]


def test_a_message_of_the_limit_passes_wherever_it_is_cut() -> None:
    frame = masked(0x82, bytes(LIMIT))
    for cut in range(1, 12):
        assert decode([frame[:cut], frame[cut:]]) == [Message(bytes(LIMIT), False)], cut
    assert decode([masked(0x82, bytes(LIMIT + 1))])[0].code == 1009  # type: ignore[union-attr]
    assert decode([masked(0x82, bytes(LIMIT + 9))[:8]]) == [
        Violation(1009, f"a frame of over {LIMIT} bytes")
    ]


def test_endless_empty_fragments_hold_no_memory() -> None:
    decoder = Decoder(LIMIT)
    decoder.feed(masked(0x01, b""))
    for _ in range(1_000):
        assert decoder.feed(masked(0x00, b"")) == []
    assert decoder._parts == []
    assert decoder.feed(masked(0x80, b"end")) == [Message(b"end", True)]


def test_violations_carry_wsproto_s_code() -> None:
    unmasked = b"\x81\x02hi"
    assert decode([unmasked])[0].code == 1002  # type: ignore[union-attr]
    assert decode([masked(0x81, b"\xff")])[0].code == 1007  # type: ignore[union-attr]
    assert decode([masked(0x83, b"")])[0].code == 1002  # type: ignore[union-attr]


@given(st.lists(st.one_of(data_frame, control, broken, close, st.binary(max_size=20)), max_size=4))
def test_the_quick_way_is_taken_only_where_it_says_what_wsproto_says(frames: list[bytes]) -> None:
    joined = b"".join(frames)
    quick = Decoders(LIMIT).quick(joined)
    if quick is not None:
        assert [Message(*one) for one in quick] == oracle(joined)


def test_small_messages_take_the_quick_way_and_nothing_else_does() -> None:
    decoders = Decoders(LIMIT)
    small = masked(0x81, b"a" * 125) + masked(0x82, b"b" * 126) + masked(0x81, "é".encode())
    assert decoders.quick(small) is not None
    for other in (
        masked(0x82, bytes(LIMIT + 1)),
        masked(0x89, b""),
        masked(0x01, b""),
        masked(0xC1, b""),
        masked(0x81, b"\xff"),
        small[:-1],
        b"\x81\x05hello",
        b"\x82\xfe\x00\x01\0\0\0\0a",
        b"\x82\xff\0\0\0\0\0\0\0\x01\0\0\0\0a",
        b"\x82\xfe\x00",
    ):
        assert decoders.quick(small + other) is None
    assert Decoders(100).quick(masked(0x81, b"a" * 101)) is None


def decode_moving(chunks: list[bytes], moves: set[int]) -> list[Event]:
    """Decode, but go on with a new decoder before those chunks, fed what was unfinished."""
    own: Decoder | None = None
    decoders = Decoders(LIMIT)
    events: list[Event] = []
    for place, chunk in enumerate(chunks):
        if place in moves and own is not None:
            again, own = Decoders(LIMIT).decode(None, own.unfinished)
            assert not again, "what was heard is not heard again"
            assert own is not None
        new, own = decoders.decode(own, chunk)
        events += new
        if new and isinstance(new[-1], PeerClose | Violation):
            break
    return events


@given(streams, st.data())
def test_a_decoder_that_begins_anew_in_the_middle_goes_on_as_the_old_one(
    frames: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(frames)
    cuts = data.draw(st.sets(st.integers(0, len(whole)), max_size=6))
    edges = [0, *sorted(cuts), len(whole)]
    chunks = [whole[a:b] for a, b in itertools.pairwise(edges) if a < b]
    moves = data.draw(st.sets(st.integers(0, len(chunks))))
    assert without_reasons(decode_moving(chunks, moves)) == without_reasons(decode(chunks))


@given(st.one_of(data_frame, fragmented()))
def test_a_decoder_may_begin_anew_at_every_byte(whole: bytes) -> None:
    chunks = [whole[at : at + 1] for at in range(len(whole))]
    every = set(range(len(chunks)))
    assert without_reasons(decode_moving(chunks, every)) == without_reasons(decode(chunks))


def test_empty_fragments_and_pings_are_not_kept() -> None:
    decoders = Decoders(LIMIT)
    _, own = decoders.decode(None, masked(0x01, b"begins"))
    assert own is not None
    before = len(own.unfinished)
    for _ in range(100):
        _, own = decoders.decode(own, masked(0x00, b"") + masked(0x89, b"ping"))
        assert own is not None
    assert len(own.unfinished) == before
