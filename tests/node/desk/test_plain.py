"""`node.desk.plain`: what clients choose freely is bounded before it goes anywhere."""

import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.limits import BODY_DEPTH_MAX
from node.desk.plain import (
    NotAllowed,
    check_body,
    check_fields,
    check_integers,
    check_key,
    check_text,
)
from node.protocol.catalogue import ChaosStart
from node.protocol.codec import JSON, MSGPACK
from tests.node.test_protocol import PLAIN

EXTENSION = msgspec.msgpack.decode(b"\xd4\x05x")


@given(body=PLAIN)
def test_what_passes_comes_out_of_both_encodings_as_it_went_in(body: Any) -> None:
    try:
        check_body(body, "card")
    except NotAllowed:
        return
    for module in (msgspec.json, msgspec.msgpack):
        assert module.decode(module.encode(body)) == body


@pytest.mark.parametrize(
    "body",
    [
        b"bytes",
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        EXTENSION,
        {1: 2},
        {b"x": 1},
        float("inf"),
        float("nan"),
        2**63,
        -(2**63) - 1,
        [2**400],
        (1, 2),
    ],
)
def test_what_only_one_encoding_can_say_is_refused(body: Any) -> None:
    with pytest.raises(NotAllowed) as refusal:
        check_body({"title": "x", "more": body}, "card")
    assert refusal.value.code == "bad_request"
    assert str(refusal.value).startswith("body.more")


def test_bounds_are_where_they_say() -> None:
    check_body("ä" * 8192, "text")
    check_body("\n" * 16_384, "text")
    check_text("x" * 16_384, "text")
    check_key("k" * 64)
    check_fields({"list": ["a", 1, None], "n": 1.5}, "tags")
    with pytest.raises(NotAllowed, match="16386 bytes") as refusal:
        check_body("ä" * 8193, "text")
    assert refusal.value.code == "too_large"
    with pytest.raises(NotAllowed, match="16385 bytes") as refusal:
        check_text("x" * 16_385, "text")
    assert refusal.value.code == "too_large"


@given(depth=st.integers(0, 2 * BODY_DEPTH_MAX))
def test_a_body_may_be_only_so_deep(depth: int) -> None:
    body: Any = "x"
    for _ in range(depth):
        body = [body]
    if depth <= BODY_DEPTH_MAX:
        check_body(body, "card")
    else:
        with pytest.raises(NotAllowed):
            check_body(body, "card")


def test_a_message_from_the_wire_keeps_its_body_in_both_encodings() -> None:
    for codec in (JSON, MSGPACK):
        (request,) = codec.requests(
            codec.encode({"op": "msg.send", "cv": "c", "key": "k", "body": {"text": "a", "n": [1]}})
        )
        assert getattr(request, "body") == {"text": "a", "n": [1]}  # noqa: B009


def test_an_integer_is_negative_only_where_that_means_something() -> None:
    check_integers(ChaosStart(key="k", kind="clock_skew", groups=["n1"], amount=-5_000))
    for field in ("for_ms", "jitter_ms", "id"):
        with pytest.raises(NotAllowed, match=f"{field}: must be 0 to"):
            check_integers(ChaosStart(key="k", kind="delay", **{field: -1}))  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match=f"amount: must be -{2**63} to {2**63 - 1}"):
        check_integers(ChaosStart(key="k", kind="clock_skew", amount=2**63))
