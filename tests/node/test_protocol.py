"""`node.protocol`: both encodings say the same, and garbage is refused by name."""

from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.commands import By
from node.protocol import catalogue as ops
from node.protocol.codec import BY_SUBPROTOCOL, JSON, MSGPACK, BadFrame, BadRequest, Codec
from node.protocol.codes import CLOSES, ERRORS, Close
from tests.node.golden import samples

CODECS = [JSON, MSGPACK]
TEXT = st.text(max_size=20)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a catalogue field's type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return PLAIN
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is list:
        return st.lists(of_type(inner[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*(of_type(part) for part in inner))
    if origin is dict:
        return st.dictionaries(TEXT, of_type(inner[1]), max_size=3)
    if inner:  # a union with None
        return st.one_of(*(of_type(part) for part in inner))
    if hint is By:
        return st.builds(By, st.sampled_from(["visitor", "agent"]), TEXT, TEXT)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    return {str: TEXT, int: INTEGERS, bool: st.booleans(), type(None): st.none()}[hint]


def structs(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(struct)
    return st.builds(struct, **{name: of_type(hints[name]) for name in struct.__struct_fields__})


REQUESTS = st.one_of([structs(request) for request in get_args(ops.AnyRequest)])
ANSWERS = st.one_of([structs(kind) for kind in (ops.Ok, ops.Err, *get_args(ops.AnyPush))])


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(data=st.data())
def test_every_request_comes_out_as_it_went_in(codec: Codec, data: st.DataObject) -> None:
    requests = data.draw(st.lists(REQUESTS, min_size=1, max_size=4))
    assert codec.requests(codec.encode(requests)) == requests
    assert codec.requests(codec.encode(requests[0])) == requests[:1]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(data=st.data())
def test_every_reply_and_push_comes_out_as_it_went_in(codec: Codec, data: st.DataObject) -> None:
    answers = data.draw(st.lists(ANSWERS, min_size=1, max_size=4))
    assert list(codec.server_messages(codec.encode(answers))) == answers


@given(request=REQUESTS)
def test_both_encodings_mean_the_same(request: ops.Request) -> None:
    assert JSON.requests(JSON.encode(request)) == MSGPACK.requests(MSGPACK.encode(request))


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(payload=st.binary(max_size=60))
def test_garbage_is_a_bad_frame_or_bad_requests_and_never_anything_else(
    codec: Codec, payload: bytes
) -> None:
    try:
        found = codec.requests(payload)
    except BadFrame:
        return
    assert all(isinstance(one, BadRequest | ops.Request) for one in found)


@given(data=st.data(), request=REQUESTS)
def test_a_changed_byte_never_crashes_the_decoder(data: st.DataObject, request: Any) -> None:
    payload = bytearray(MSGPACK.encode(request))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        MSGPACK.requests(bytes(payload))
    except BadFrame:
        pass


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_unknown_fields_are_ignored(codec: Codec) -> None:
    payload = codec.encode({"op": "cv.get", "id": 1, "cv": samples.CV, "new": {"a": [1]}})
    assert codec.requests(payload) == [ops.CvGet(id=1, cv=samples.CV)]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_an_unknown_operation_and_a_wrong_field_are_told_apart_and_keep_their_number(
    codec: Codec,
) -> None:
    frame = [{"op": "cv.fly", "id": 7}, {"op": "ack", "id": 8, "cv": 1, "seq": 2}, {"op": "pong"}]
    unknown, wrong, good = codec.requests(codec.encode(frame))
    assert isinstance(unknown, BadRequest)
    assert (unknown.id, unknown.code) == (7, "unknown_op")
    assert isinstance(wrong, BadRequest)
    assert (wrong.id, wrong.code) == (8, "bad_request")
    assert "cv" in wrong.message
    assert good == ops.Pong()


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_frame_of_65_maps_is_refused_and_one_of_64_is_not(codec: Codec) -> None:
    assert len(codec.requests(codec.encode([ops.Pong()] * 64))) == 64
    with pytest.raises(BadFrame, match="65 maps"):
        codec.requests(codec.encode([ops.Pong()] * 65))


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_nesting_without_end_is_a_bad_frame(codec: Codec) -> None:
    deep = (b"[" * 30_000) if codec.text else (b"\x91" * 30_000)
    head = b'{"op":"msg.send","id":1,"body":' if codec.text else b"\x83\xa2op\xa8msg.send\xa4body"
    with pytest.raises(BadFrame):
        codec.requests(head + deep)


def test_a_client_ignores_pushes_that_it_does_not_know() -> None:
    frame = JSON.encode([{"op": "weather", "sun": True}, ops.Ping()])
    assert list(JSON.server_messages(frame)) == [ops.Ping()]


def test_every_operation_and_push_is_in_the_corpus() -> None:
    sampled = {type(sample) for sample in (*samples.REQUESTS, *samples.ANSWERS)}
    assert sampled == {ops.Ok, ops.Err, *get_args(ops.AnyRequest), *get_args(ops.AnyPush)}


def test_the_frozen_frames_still_decode() -> None:
    frozen = samples.FILE.read_text().splitlines()
    count = len(samples.REQUESTS)
    for line, packed, sample in zip(frozen[::2], frozen[1::2], samples.REQUESTS, strict=False):
        assert JSON.requests(line.encode()) == [sample]
        assert MSGPACK.requests(bytes.fromhex(packed)) == [sample]
    for line, packed, answer in zip(
        frozen[2 * count :: 2], frozen[2 * count + 1 :: 2], samples.ANSWERS, strict=True
    ):
        assert list(JSON.server_messages(line.encode())) == [answer]
        assert list(MSGPACK.server_messages(bytes.fromhex(packed))) == [answer]


def test_close_codes_say_by_their_range_whether_to_come_back() -> None:
    for code in Close:
        assert code.resume == (4000 <= code <= 4099)
        assert ("econnect" in CLOSES[code].advice) == (code.resume or code is Close.TOKEN_EXPIRED)
    assert set(BY_SUBPROTOCOL) == {"unidesk.v1+json", "unidesk.v1+msgpack"}
    assert "msg.send" in ops.BY_NAME


def test_every_code_says_in_whole_sentences_what_it_means_and_what_to_do() -> None:
    for closing in CLOSES.values():
        assert closing.meaning.endswith(".")
        assert closing.advice.endswith(".")
    for error in ERRORS.values():
        assert error.meaning.endswith(".")
        assert error.advice.endswith(".")
        assert error.retry == ("etry with the same key" in error.advice)
        assert error.retry == (error.http >= 500 or error.http == 429)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("op", [[], {}, None, 7, {"op": "hello"}])
def test_an_op_that_is_no_name_is_an_unknown_one(codec: Codec, op: Any) -> None:
    [request] = codec.requests(codec.encode({"op": op, "id": 3}))
    assert isinstance(request, BadRequest)
    assert (request.id, request.code) == (3, "unknown_op")
