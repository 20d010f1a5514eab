"""Idempotency keys: the same request twice has one effect and one answer.  No I/O.

    key                 remembered    meaning      answer
    never seen          -             -            Done(result), remembered; or Refused, forgotten
    seen                < 24 h ago    the same     Done(the first result, dup)
    seen                < 24 h ago    another      Refused key_reused
    seen                longer ago    -            as before, until it is really forgotten: at
                                                   the end of an entry, `FORGET_MAX` at a time

A key belongs to a principal.  Refusals are not remembered: a retry may succeed.  What the
proposer made up - ids, fences, the salt of a hash, what the sender had seen - does not count as the
meaning, since a retry by way of another node brings others.
"""

import hashlib
from typing import Any

import msgspec

from cluster.state.change import Change, no
from cluster.state.checks import check_by
from cluster.state.commands import (
    SYSTEM,
    AcceptOffer,
    CloseConversation,
    DeleteMessage,
    EditMessage,
    OpenConversation,
    PutAccount,
    PutCanned,
    RateConversation,
    RemoveAccount,
    RemoveCanned,
    ReopenConversation,
    RevokeTokens,
    SendMessage,
    SetSecret,
    StartChaos,
    TakeConversation,
    TransferConversation,
)
from cluster.state.limits import FORGET_MAX, KEY_BYTES_MAX, KEY_RETENTION_MS, KEYS_MAX
from cluster.state.model import Remembered
from cluster.state.state import State

Keyed = (
    OpenConversation
    | SendMessage
    | AcceptOffer
    | TransferConversation
    | CloseConversation
    | PutAccount
    | SetSecret
    | RemoveAccount
    | RevokeTokens
    | TakeConversation
    | RateConversation
    | PutCanned
    | RemoveCanned
    | EditMessage
    | DeleteMessage
    | ReopenConversation
    | StartChaos
)

_MADE_UP: dict[type[Any], dict[str, Any]] = {
    OpenConversation: {"cv": "", "mid": ""},
    SendMessage: {"mid": "", "fence": None, "after": None},
    TransferConversation: {"fence": None, "iid": ""},
    PutAccount: {"secret": ""},
    SetSecret: {"secret": ""},
    StartChaos: {"fault": ""},
}

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def name_of(command: Keyed) -> str:
    """Return the name under which the command's key is remembered; refuse a bad key."""
    by = command.by
    if not 0 < len(command.key.encode()) <= KEY_BYTES_MAX:
        no("bad_request", f"a key has 1 to {KEY_BYTES_MAX} bytes")
    check_by(by)
    return f"{by.kind} {len(by.id)} {by.id} {command.key}"


def digest_of(command: Keyed) -> int:
    """Return a checksum of what the command asks, equal for honest repetitions.

    The command's content is plain (see `checks`), else it has no canonical encoding.
    """
    made_up = _MADE_UP.get(type(command), {})
    meaning = _encode(msgspec.structs.replace(command, by=SYSTEM, **made_up))
    return int.from_bytes(hashlib.blake2b(meaning, digest_size=8).digest(), "big")


def recall(state: State, name: str, digest: int) -> dict[str, Any] | None:
    """Return the result of an earlier copy; refuse another command under the same key."""
    remembered = state.keys.get(name)
    if remembered is None:
        return None
    if remembered.digest != digest:
        no("key_reused", "this key was used for another request")
    return dict(remembered.result)


def remember(change: Change, name: str, digest: int, result: dict[str, Any]) -> None:
    """Remember a result."""
    change.state.put_key(name, Remembered(digest, change.now_ms, dict(result)))


def forget_old(state: State) -> None:
    """Drop keys past their retention, and the oldest of too many: `FORGET_MAX` at most."""
    ages = state.key_ages
    before_ms = state.now_ms - KEY_RETENTION_MS
    for _ in range(FORGET_MAX):
        if not ages or (ages[0][0] >= before_ms and len(ages) <= KEYS_MAX):
            return
        state.drop_oldest_key()
