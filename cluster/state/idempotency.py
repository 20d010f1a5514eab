"""Idempotency keys: the same request twice has one effect and one answer.  No I/O.

A key belongs to a principal.  Its first successful command is remembered with a checksum of
what it asked; the same again gets the same result, something else under the same key is
refused.  Refusals are not remembered: a retry may succeed.  What the proposer made up - ids,
fences, what the sender had seen - does not count as the meaning.
"""

import zlib
from typing import Any

import msgspec

from cluster.state.change import Change, no
from cluster.state.commands import (
    SYSTEM,
    AcceptOffer,
    CloseConversation,
    OpenConversation,
    SendMessage,
    TransferConversation,
)
from cluster.state.limits import KEY_BYTES_MAX, KEY_RETENTION_MS, KEYS_MAX
from cluster.state.model import Remembered
from cluster.state.state import State

Keyed = OpenConversation | SendMessage | AcceptOffer | TransferConversation | CloseConversation

_MADE_UP: dict[type[Any], dict[str, Any]] = {
    OpenConversation: {"cv": "", "mid": ""},
    SendMessage: {"mid": "", "fence": None, "after": None},
    TransferConversation: {"fence": None},
}

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def name_of(command: Keyed) -> str:
    """Return the name under which the command's key is remembered; refuse a bad key."""
    if not 0 < len(command.key.encode()) <= KEY_BYTES_MAX:
        no("bad_request", f"a key has 1 to {KEY_BYTES_MAX} bytes")
    return f"{command.by.kind}\0{command.by.id}\0{command.key}"


def digest_of(command: Keyed) -> int:
    """Return a checksum of what the command asks, equal for honest repetitions."""
    made_up = _MADE_UP.get(type(command), {})
    plain = msgspec.structs.replace(command, by=SYSTEM, **made_up)
    return zlib.crc32(_encode(plain))


def recall(change: Change, name: str, digest: int) -> dict[str, Any] | None:
    """Return the result of an earlier copy; refuse another command under the same key."""
    remembered = change.state.keys.get(name)
    if remembered is None:
        return None
    if remembered.digest != digest:
        no("key_reused", "this key was used for another request")
    return remembered.result


def remember(change: Change, name: str, digest: int, result: dict[str, Any]) -> None:
    """Remember a result."""
    change.state.keys[name] = Remembered(digest, change.now_ms, result)


def forget_old(state: State) -> None:
    """Drop keys past their retention, and the oldest of too many."""
    keys = state.keys
    before_ms = state.now_ms - KEY_RETENTION_MS
    while keys:
        name = next(iter(keys))
        if keys[name].at_ms >= before_ms and len(keys) <= KEYS_MAX:
            return
        del keys[name]
