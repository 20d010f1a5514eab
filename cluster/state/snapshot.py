"""The state as bytes and back, in chunks.  No I/O.

    snapshot = header, then one msgpack array per chunk: [section, [item, ...]]

Sections are written in a fixed order and items in the order of their dictionaries, so a state
that was loaded behaves like the one that was written.  A chunk holds `CHUNK_ITEMS` items: a
thread that writes gives the loop a chance between two of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from cluster.state.model import (
    Agent,
    AuditRecord,
    Conversation,
    NodeInfo,
    Offer,
    Remembered,
    RuleSetRecord,
    Session,
)
from cluster.state.state import State, Window

FORMAT = 1
CHUNK_ITEMS = 200

_encode = msgspec.msgpack.Encoder().encode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


class SnapshotRefused(Exception):
    """The snapshot is of a format that this release does not read."""


class _Header(msgspec.Struct, frozen=True):
    format: int
    now_ms: int
    applied_index: int


class _Chunk(msgspec.Struct, frozen=True, array_like=True):
    section: str
    items: list[msgspec.Raw]


_SECTIONS: dict[str, tuple[Any, Callable[[State], Iterable[Any]]]] = {
    "nodes": (NodeInfo, lambda s: s.nodes.values()),
    "windows": (tuple[str, Window], lambda s: s.windows.items()),
    "sessions": (Session, lambda s: s.sessions.values()),
    "agents": (Agent, lambda s: s.agents.values()),
    "conversations": (Conversation, lambda s: s.conversations.values()),
    "offers": (Offer, lambda s: s.offers.values()),
    "keys": (tuple[str, Remembered], lambda s: s.keys.items()),
    "rule_sets": (RuleSetRecord, lambda s: s.rule_sets),
    "audit": (AuditRecord, lambda s: s.audit),
}
"""Section to the type of its items, and where they are."""


def dump(state: State) -> Iterator[bytes]:
    """Yield the chunks of `state`, which must not change meanwhile (see `frozen_copy`)."""
    yield _frame(_encode(_Header(FORMAT, state.now_ms, state.applied_index)))
    for section, (_, items_of) in _SECTIONS.items():
        items = iter(items_of(state))
        while chunk := list(islice(items, CHUNK_ITEMS)):
            yield _frame(_encode([section, chunk]))


def load(chunks: Iterable[bytes]) -> State:
    """Return the state that `dump` wrote, however its bytes are cut.  Raises `SnapshotRefused`."""
    frames = _frames(chunks)
    state = State()
    try:
        header = msgspec.msgpack.decode(next(frames), type=_Header)
        if header.format != FORMAT:
            raise SnapshotRefused(f"format {header.format}; this release reads {FORMAT}")
        state.now_ms, state.applied_index = header.now_ms, header.applied_index
        decoders = {name: msgspec.msgpack.Decoder(kind) for name, (kind, _) in _SECTIONS.items()}
        for frame in frames:
            chunk = msgspec.msgpack.decode(frame, type=_Chunk)
            decode = decoders[chunk.section].decode
            _take(state, chunk.section, [decode(bytes(item)) for item in chunk.items])
    except (msgspec.DecodeError, StopIteration, KeyError) as error:
        raise SnapshotRefused(f"not a snapshot of this release: {error!r}") from None
    state.rebuild_indexes()
    return state


def digest(state: State) -> str:
    """Return a checksum that is equal on nodes with the same state at the same index."""
    sha = hashlib.sha256(_encode([state.now_ms, state.applied_index]))
    for section, (_, items_of) in _SECTIONS.items():
        sha.update(section.encode())
        for item in items_of(state):
            sha.update(_canonical(item))
    return sha.hexdigest()


def _take(state: State, section: str, items: list[Any]) -> None:
    match section:
        case "nodes":
            state.nodes.update((item.node, item) for item in items)
        case "windows":
            state.windows.update(items)
        case "sessions":
            state.sessions.update((item.sid, item) for item in items)
        case "agents":
            state.agents.update((item.agent, item) for item in items)
        case "conversations":
            state.conversations.update((item.cv, item) for item in items)
        case "offers":
            state.offers.update((item.oid, item) for item in items)
        case "keys":
            state.keys.update(items)
        case "rule_sets":
            state.rule_sets += items
        case "audit":
            state.audit.extend(items)


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames of a byte stream that is cut anywhere."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        start = 0
        while len(buffer) - start >= 4:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "little")
            if len(buffer) < end:
                break
            yield bytes(buffer[start + 4 : end])
            start = end
        del buffer[:start]
    if buffer:
        raise SnapshotRefused(f"{len(buffer)} bytes at its end are no whole frame")
