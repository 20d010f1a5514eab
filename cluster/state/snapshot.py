"""The state as bytes and back, in chunks.  No I/O.

    snapshot = frame(header) frame(chunk) ... frame(trailer)
    frame    = length (4 bytes, little endian), msgpack
    header   = {format, now_ms, applied_index}
    chunk    = [section, [item, ...]]          at most CHUNK_BYTES, or a single item
    trailer  = ["end", [[section, items], ...]]

Sections are written in a fixed order and items in the order of their dictionaries, so a state
that was loaded behaves like the one that was written.  A section that came with a later release
is left out while it is empty: what was written before has none, and an earlier release reads what
it could have written.  The trailer tells a whole snapshot from
one that was cut between two frames, and parts that do not fit are refused.  Damage that fits is
the concern of whoever stores it: a checksum's.

A thread may write a `frozen_copy` while the loop goes on: between two chunks, and between two
items, others get their turn.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from cluster.state import levels
from cluster.state.company import Invitation
from cluster.state.invariants import InvariantViolated, check_loaded
from cluster.state.limits import INTEGER_MAX, NOW_MS_MAX
from cluster.state.model import (
    Account,
    Agent,
    AuditRecord,
    Consent,
    Conversation,
    Cutoff,
    Fault,
    HealNote,
    NodeInfo,
    Offer,
    Remembered,
    RuleSetRecord,
    Session,
)
from cluster.state.proposer import Proposer
from cluster.state.replies import Canned
from cluster.state.routings import Routing
from cluster.state.satisfaction import DayRatings
from cluster.state.staffing import Unstaffed
from cluster.state.state import State

FORMAT = 1
CHUNK_BYTES = 256 * 1024

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
"""Sets and maps in one order: equal states have equal bytes."""


class SnapshotRefused(Exception):
    """The snapshot is damaged, or of a format that this release does not read."""


class _Header(msgspec.Struct, frozen=True, omit_defaults=True):
    format: int
    now_ms: int
    applied_index: int
    cutoff_floor_s: int = 0
    level: int = 1
    origin: str = ""


class _Chunk(msgspec.Struct, frozen=True, array_like=True):
    section: str
    items: list[msgspec.Raw]


_SECTIONS: dict[str, tuple[Any, Callable[[State], Iterable[Any]]]] = {
    "nodes": (NodeInfo, lambda s: s.nodes.values()),
    "proposers": (tuple[str, Proposer], lambda s: s.proposers.items()),
    "sessions": (Session, lambda s: s.sessions.values()),
    "agents": (Agent, lambda s: s.agents.values()),
    "conversations": (Conversation, lambda s: s.conversations.values()),
    "offers": (Offer, lambda s: s.offers.values()),
    "keys": (tuple[str, Remembered], lambda s: s.keys.items()),
    "rule_sets": (RuleSetRecord, lambda s: s.rule_sets),
    "audit": (AuditRecord, lambda s: s.audit),
    "accounts": (Account, lambda s: s.accounts.values()),
    "revoked": (tuple[str, int], lambda s: s.revoked.items()),
    "cutoffs": (Cutoff, lambda s: s.cutoffs.values()),
    "routings": (Routing, lambda s: s.routings),
    "served": (tuple[tuple[str, str], str], lambda s: s.served.items()),
    "tallies": (tuple[str, int], lambda s: s.tallies.items()),
    "ratings": (DayRatings, lambda s: s.ratings.values()),
    "canned": (Canned, lambda s: s.canned.values()),
    "unstaffed": (Unstaffed, lambda s: s.unstaffed.values()),
    "invitations": (Invitation, lambda s: s.invitations.values()),
    "heal_log": (HealNote, lambda s: s.heal_log),
    "consents": (Consent, lambda s: s.consents.values()),
    "faults": (Fault, lambda s: s.faults.values()),
}
"""Section to the type of its items, and where they are."""
_LATER = frozenset(
    {
        "accounts",
        "revoked",
        "cutoffs",
        "routings",
        "served",
        "tallies",
        "ratings",
        "canned",
        "unstaffed",
        "invitations",
        "heal_log",
        "consents",
        "faults",
    }
)
"""Sections that the first releases do not know."""
_END = "end"
_COUNTS = msgspec.msgpack.Decoder(tuple[str, int])


def dump(state: State) -> Iterator[bytes]:
    """Yield the frames of `state`, which must not change meanwhile (see `frozen_copy`)."""
    header = _Header(
        FORMAT,
        state.now_ms,
        state.applied_index,
        state.cutoff_floor_s,
        state.level,
        state.origin,
    )
    yield _frame(_encode(header))
    counts: list[tuple[str, int]] = []
    for section, (_, items_of) in _SECTIONS.items():
        count = size = 0
        items: list[msgspec.Raw] = []
        for item in items_of(state):
            data = _encode(item)
            if items and size + len(data) > CHUNK_BYTES:
                yield _frame(_encode(_Chunk(section, items)))
                size, items = 0, []
            items.append(msgspec.Raw(data))
            size += len(data)
            count += 1
        if items:
            yield _frame(_encode(_Chunk(section, items)))
        if count or section not in _LATER:
            counts.append((section, count))
    yield _frame(_encode(_Chunk(_END, [msgspec.Raw(_encode(pair)) for pair in counts])))


_NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, LookupError, RecursionError)
"""What values of no release make of a load: a key, or the step of a route, that is not there."""


def load(chunks: Iterable[bytes]) -> State:
    """Return the state that `dump` wrote, however its bytes are cut.  Raises `SnapshotRefused`."""
    try:
        return _load(_frames(chunks))
    except _NONSENSE as error:
        raise SnapshotRefused(f"not a snapshot of this release: {error!r}") from None
    except InvariantViolated as violated:
        raise SnapshotRefused(f"its parts do not fit: {violated}") from None


def digest(state: State) -> str:
    """Return a checksum that is equal on nodes with the same state at the same index."""
    sha = hashlib.sha256()
    for frame in dump(state):
        sha.update(frame)
    return sha.hexdigest()


def _load(frames: Iterator[bytes]) -> State:
    state = State()
    first = next(frames, None)
    if first is None:
        raise SnapshotRefused("an empty snapshot")
    header = msgspec.msgpack.decode(first, type=_Header)
    if header.format != FORMAT:
        raise SnapshotRefused(f"format {header.format}; this release reads {FORMAT}")
    if header.level > levels.LEVEL:
        raise SnapshotRefused(levels.beyond(header.level))
    if not (0 <= header.now_ms <= NOW_MS_MAX and 0 <= header.applied_index <= INTEGER_MAX):
        raise SnapshotRefused(f"a header from nowhere: {header}")
    state.now_ms, state.applied_index = header.now_ms, header.applied_index
    state.cutoff_floor_s, state.level = header.cutoff_floor_s, header.level
    state.origin = header.origin
    decoders = {name: msgspec.msgpack.Decoder(kind) for name, (kind, _) in _SECTIONS.items()}
    whole = False
    for frame in frames:
        chunk = msgspec.msgpack.decode(frame, type=_Chunk)
        if whole:
            raise SnapshotRefused("something follows its end")
        if chunk.section == _END:
            _check_counts(state, [_COUNTS.decode(item) for item in chunk.items])
            whole = True
        else:
            decode = decoders[chunk.section].decode
            _take(state, chunk.section, [decode(item) for item in chunk.items])
    if not whole:
        raise SnapshotRefused("it has no end: cut between two frames")
    state.rebuild_indexes()
    check_loaded(state)
    return state


def _check_counts(state: State, counts: list[tuple[str, int]]) -> None:
    found = [(name, sum(1 for _ in items_of(state))) for name, (_, items_of) in _SECTIONS.items()]
    found = [(name, count) for name, count in found if count or name not in _LATER]
    if found != counts:
        raise SnapshotRefused(f"it holds {dict(found)} items, and should {dict(counts)}")


def _take(state: State, section: str, items: list[Any]) -> None:
    match section:
        case "nodes":
            state.nodes.update((item.node, item) for item in items)
        case "proposers" | "keys" | "revoked" | "served" | "tallies":
            getattr(state, section).update(items)
        case "sessions":
            state.sessions.update((item.sid, item) for item in items)
        case "agents":
            state.agents.update((item.agent, item) for item in items)
        case "conversations":
            state.conversations.update((item.cv, item) for item in items)
        case "offers":
            state.offers.update((item.oid, item) for item in items)
        case "accounts":
            state.accounts.update((item.id, item) for item in items)
        case "cutoffs":
            state.cutoffs.update(((item.kind, item.id), item) for item in items)
        case "ratings":
            state.ratings.update(((item.day, item.queue, item.agent), item) for item in items)
        case "canned":
            state.canned.update((item.shortcut, item) for item in items)
        case "unstaffed":
            state.unstaffed.update((item.queue, item) for item in items)
        case "invitations":
            state.invitations.update((item.iid, item) for item in items)
        case "consents":
            state.consents.update((item.node, item) for item in items)
        case "faults":
            state.faults.update((item.fault, item) for item in items)
        case _:  # lists: rule sets, audit, routings, heal log
            getattr(state, section).extend(items)


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
