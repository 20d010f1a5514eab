"""Bounds on values that clients choose freely: bodies, tags, attributes.  No I/O.

    what               shape                                    size
    a text             text                                     `TEXT_BYTES_MAX`
    another body       plain, `BODY_DEPTH_MAX` deep             `BODY_BYTES_MAX`
    tags, attributes   a flat map: scalars, lists of scalars    `TAGS_MAX`, `TAG_VALUE_BYTES_MAX`
    names and reasons  text                                     `NAME_BYTES_MAX`

The sizes are those of the state machine, which refuses the same when it is applied; here it is
refused before it costs a place in the log.

Plain is what JSON and msgpack have in common: null, booleans, integers of 64 bits, finite
numbers, text, lists, maps with text as keys.  Whatever else msgpack can say (bytes, times,
extensions) would not come out of the other encoding as it went in.

What reaches a routing rule passes here first: deep data crashes the evaluator's process.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from cluster.state.limits import (
    BODY_BYTES_MAX,
    BODY_DEPTH_MAX,
    KEY_BYTES_MAX,
    NAME_BYTES_MAX,
    TAG_KEY_BYTES_MAX,
    TAG_VALUE_BYTES_MAX,
    TAGS_MAX,
    TEXT_BYTES_MAX,
)
from node.protocol.codes import ErrorCode
from node.protocol.refusals import Rule
from node.protocol.requests.base import Request

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1


class NotAllowed(Exception):
    """A value that is refused: the reply's `code` and, as message, where and why.

    `rule`: for a refusal of access, which it was.
    """

    def __init__(self, code: ErrorCode, message: str, rule: Rule | None = None) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.data: dict[str, Any] = {"rule": rule} if rule is not None else {}


def check_key(key: str) -> None:
    """Refuse an idempotency key that is empty or too long."""
    if not 1 <= len(key.encode()) <= KEY_BYTES_MAX:
        raise NotAllowed("bad_request", f"key: must be 1 to {KEY_BYTES_MAX} bytes")


def check_name(value: str, what: str) -> None:
    """Refuse a name, an id or a reason that is too long."""
    if len(value.encode()) > NAME_BYTES_MAX:
        raise NotAllowed("too_large", f"{what}: over {NAME_BYTES_MAX} bytes")


def check_text(text: str, what: str) -> None:
    """Refuse a text that is too long."""
    size = len(text.encode())
    if size > TEXT_BYTES_MAX:
        raise NotAllowed("too_large", f"{what}: {size} bytes; at most {TEXT_BYTES_MAX}")


def check_body(body: Any, kind: str) -> None:
    """Refuse the body of a message of type `kind` that is not plain, too deep or too large."""
    if kind == "text":
        if not isinstance(body, str):
            raise NotAllowed("bad_request", "body: of a text must be text")
        check_text(body, "body")
        return
    _check_plain(body, "body", BODY_DEPTH_MAX)
    size = len(msgspec.msgpack.encode(body))
    if size > BODY_BYTES_MAX:
        raise NotAllowed("too_large", f"body: {size} bytes; at most {BODY_BYTES_MAX}")


def check_fields(fields: Mapping[str, Any], what: str) -> None:
    """Refuse tags or attributes that are not a flat, small map."""
    if len(fields) > TAGS_MAX:
        raise NotAllowed("too_large", f"{what}: {len(fields)} keys; at most {TAGS_MAX}")
    for key, value in fields.items():
        where = f"{what}.{key[:TAG_KEY_BYTES_MAX]}"
        if len(key.encode()) > TAG_KEY_BYTES_MAX:
            raise NotAllowed("too_large", f"{where}: a key over {TAG_KEY_BYTES_MAX} bytes")
        if isinstance(value, dict):
            raise NotAllowed("bad_request", f"{where}: must be a scalar or a list of scalars")
        _check_plain(value, where, 1)
        if len(msgspec.msgpack.encode(value)) > TAG_VALUE_BYTES_MAX:
            raise NotAllowed("too_large", f"{where}: over {TAG_VALUE_BYTES_MAX} bytes")


def check_integers(request: Request) -> None:
    """Refuse integers that not every encoding carries, and negative ones that mean nothing."""
    for field in request.__struct_fields__:
        value = getattr(request, field)
        least = INTEGER_MIN if field in request.signed else 0
        if isinstance(value, int) and not least <= value <= INTEGER_MAX:
            name = field.rstrip("_")
            raise NotAllowed("bad_request", f"{name}: must be {least} to {INTEGER_MAX}")


def _check_plain(value: Any, where: str, depth: int) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if not INTEGER_MIN <= value <= INTEGER_MAX:
                raise NotAllowed("bad_request", f"{where}: an integer of more than 64 bits")
        case float():
            if not math.isfinite(value):
                raise NotAllowed("bad_request", f"{where}: not a finite number")
        case list() | dict():
            _check_container(value, where, depth)
        case _:
            raise NotAllowed("bad_request", f"{where}: {type(value).__name__} is not plain data")


def _check_container(value: list[Any] | dict[Any, Any], where: str, depth: int) -> None:
    if depth == 0:
        raise NotAllowed("bad_request", f"{where}: nested too deep")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise NotAllowed("bad_request", f"{where}: keys must be text")
        for key, inner in value.items():
            _check_plain(inner, f"{where}.{key[:32]}", depth - 1)
    else:
        for inner in value:
            _check_plain(inner, where, depth - 1)
