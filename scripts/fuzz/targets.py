"""What each decoder may answer to any bytes at all.  No I/O.

    target      decodes                                           may refuse with
    websocket   frames, in chunks of any size                     `Violation`
    deflate     offers of permessage-deflate, its frames          no extension, `Violation`
    http        heads, bodies and pipelines, in chunks            `RequestRefused`
    json        a client's frame, a server's frame                `BadFrame`, `BadRequest`
    msgpack     the same                                          the same
    place       `Last-Event-ID`                                   `NotAllowed`
    token       who somebody is                                   `BadToken`
    peer        frames of another node: its hello, Raft           `PeerRefused`, `PeerError`
    neighbour   what nodes say of themselves, and of traces       msgspec's errors
    entry       commands, batches, entries, whispers              msgspec's errors
    worker      frames between a core and its workers             `ValueError`
    wal         records, frames, a whole segment                  `TornRecord`, `CorruptRecord`,
                                                                  `CorruptLog`
    snapshot    a snapshot file, and the state that is in it      `CorruptSnapshot`, `ForeignLog`,
                                                                  `SnapshotRefused`
    backup      a backup, and its blocks behind good checksums    `BackupRefused`
    rules       TOML and the CEL in it                            `SourceErrors`
    config      `node.toml`                                       `SourceErrors`

A target returns when the bytes were decoded or refused as the table says.  Anything else that is
raised, an `AssertionError` of the target's own among it, is a finding.  Where two ways lead to
the same answer - bytes at once or in chunks, the quick way or wsproto - the target takes both
and compares.

msgspec raises `RecursionError` for what is nested too deep and `UnicodeDecodeError` for what is
no UTF-8; whoever calls it treats both as its `DecodeError`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import msgspec

from cluster import vitals
from cluster.backup.file import BackupRefused, Header, Reader
from cluster.backup.file import encode as encode_backup
from cluster.backup.restore import load
from cluster.peer.frames import FrameReader, PeerRefused
from cluster.peer.frames import encode as encode_peer
from cluster.peer.handshake import NONCE_BYTES, Acceptor, Self, answer, hello
from cluster.raft.members import Members
from cluster.raft.messages import PeerError, parse
from cluster.routing.ruleset import compile_rules
from cluster.state import commands, entry, snapshot
from cluster.state.state import State
from cluster.toml_source import SourceErrors
from cluster.tracing import Traces
from node import config_file
from node.auth import BadToken, Verifier, mint
from node.desk import ephemeral
from node.desk.event_stream import read_place
from node.desk.plain import NotAllowed
from node.edge.decoder import Decoder, Decoders, Event, Message, PeerClose, Violation
from node.edge.deflate import negotiate
from node.edge.handshake import upgrade_key
from node.edge.head import RequestRefused
from node.edge.http import Request, RequestParser
from node.protocol.codec import JSON, MSGPACK, BadFrame, Codec
from node.workers import messages
from wal.errors import CorruptLog, CorruptRecord, CorruptSnapshot, ForeignLog, TornRecord
from wal.record import (
    Commit,
    Entry,
    HardState,
    decode_frame,
    decode_records,
    encode_frame,
    encode_records,
    find_frame,
)
from wal.recovery import Replay
from wal.segment import HEAD_BYTES, SegmentHead, decode_head, encode_head, segment_name
from wal.snapfile import Prefix, SnapshotMeta, encode_snapshot, read_blocks, read_prefix

TOO_LONG = frozenset({1009})
NOT_INFLATED = TOO_LONG | {1007}
"""What is no deflated data shows before what is no next frame of a message, if both are there."""
MESSAGE_BYTES_MAX = 1_000
HEAD_BYTES_MAX = 2_000
BODY_BYTES_MAX = 1_000
NOT_MSGPACK = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Target(NamedTuple):
    """A decoder, and bytes that it takes, to begin with."""

    survive: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def chunks(data: bytes) -> list[bytes]:
    """Cut all but the first byte into pieces as long as that says; 0 leaves them whole."""
    step, rest = (data[0], data[1:]) if data else (0, b"")
    if not step:
        return [rest] if rest else []
    return [rest[at : at + step] for at in range(0, len(rest), step)]


# WebSocket


def websocket(data: bytes) -> None:
    """The quick way, the shared decoder and decoders of one's own say what wsproto says."""
    pieces = chunks(data)
    cut, whole = events(pieces), events([b"".join(pieces)] if pieces else [])
    assert agree(cut, whole), f"{cut} in pieces, {whole} at once"
    for event in whole:
        if isinstance(event, Message):
            assert len(event.payload) <= MESSAGE_BYTES_MAX


def events(pieces: list[bytes], *, deflate: bool = False) -> list[Event]:
    """Return what a connection hears, up to its end."""
    decoders = Decoders(MESSAGE_BYTES_MAX)
    own: Decoder | None = None
    heard: list[Event] = []
    for piece in pieces:
        quick = decoders.quick(piece) if own is None else None
        if quick is not None:
            heard += [Message(*one) for one in quick]
            continue
        new, own = decoders.decode(own, piece, deflate=deflate)
        heard += new
        if new and isinstance(new[-1], PeerClose | Violation):
            break
    return heard


def agree(cut: list[Event], whole: list[Event], *, excused: frozenset[int] = TOO_LONG) -> bool:
    """Whether two ways heard the same, and ended alike.

    A frame that breaks two rules is refused for the one that shows first: its length in pieces,
    before what is in it can be judged.  So either end of the two may be one of `excused`.
    """
    ends = [one[-1] if one and isinstance(one[-1], Violation) else None for one in (cut, whole)]
    if None in ends:
        return cut == whole
    codes = {end.code for end in ends if end is not None}
    return cut[:-1] == whole[:-1] and (len(codes) == 1 or not codes.isdisjoint(excused))


def masked(first: int, payload: bytes) -> bytes:
    """Return a client's frame of at most 125 bytes, masked with zeros."""
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


def deflate(data: bytes) -> None:
    """Deflated or not, cut or whole; and what is offered is agreed on or declined."""
    negotiate([data])
    pieces = chunks(data)
    cut = events(pieces, deflate=True)
    whole = events([b"".join(pieces)] if pieces else [], deflate=True)
    assert agree(cut, whole, excused=NOT_INFLATED), f"{cut} in pieces, {whole} at once"
    for event in whole:
        if isinstance(event, Message):
            assert len(event.payload) <= MESSAGE_BYTES_MAX


# HTTP


def http(data: bytes) -> None:
    """Requests, and whether one is refused, do not depend on how the bytes are cut."""
    pieces = chunks(data)
    cut, whole = requests(pieces), requests([b"".join(pieces)])
    assert cut == whole, f"{cut} in pieces, {whole} at once"
    for request in whole[0]:
        assert len(request.body) <= BODY_BYTES_MAX
        assert request.path
        assert request.keep_alive in (True, False)
        with suppress(RequestRefused):
            upgrade_key(request)


def requests(pieces: list[bytes]) -> tuple[list[Request], bool]:
    """Return the requests in the pieces, and whether something else was refused."""
    parser = RequestParser("peer:1", head_bytes_max=HEAD_BYTES_MAX, body_bytes_max=BODY_BYTES_MAX)
    found = []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (request := parser.next_request()) is not None:
                found.append(request)
        except RequestRefused as refused:
            refusal = refused
            break
    else:
        return found, False
    assert 400 <= refusal.status < 600
    assert refusal.reason.isascii()
    return found, True


# The client protocol


def frames_of(codec: Codec) -> Callable[[bytes], None]:
    """Return the target of one encoding."""

    def survive(data: bytes) -> None:
        with suppress(BadFrame):
            for request in codec.requests(data):
                codec.encode(msgspec.to_builtins(getattr(request, "message", "")))
        with suppress(BadFrame):
            list(codec.server_messages(data))

    return survive


def place(data: bytes) -> None:
    """A place is read, or refused with words."""
    with suppress(NotAllowed):
        read_place(data)


_KEY = b"k" * 32
_VERIFIER = Verifier(_KEY, "demo")


def token(data: bytes) -> None:
    """No bytes but a signed token are a principal."""
    with suppress(BadToken):
        _VERIFIER.verify(data.decode("latin-1"))


# Between nodes


def peer(data: bytes) -> None:
    """Frames come out alike however they are cut, and what is in them is Raft or refused."""
    pieces = chunks(data)
    cut, whole = peer_frames(pieces), peer_frames([b"".join(pieces)])
    assert repr(cut) == repr(whole), f"{cut} in pieces, {whole} at once"  # NaN is not itself
    for kind, body in whole[0]:
        with suppress(PeerError):
            parse(body)
        with suppress(PeerRefused):
            Acceptor(_ME, _NONCE).on_hello(kind, body)
        with suppress(PeerRefused):
            answer(_ME, "n2", _NONCE, kind, body)


_NONCE = bytes(NONCE_BYTES)
_ME = Self("demo", "n1", "boot", bytes(32), "h:1")


def peer_frames(pieces: list[bytes]) -> tuple[list[tuple[str, object]], bool]:
    """Return the frames in the pieces, and whether something else was refused."""
    reader, found = FrameReader(frame_bytes_max=10_000), []
    try:
        for piece in pieces:
            found += reader.feed(piece)
    except PeerRefused:
        # A reader gives all or nothing of one chunk: the rest is not comparable.
        return [], True
    return found, False


def neighbour(data: bytes) -> None:
    """Vitals have only what can be written down again; a trace is one, or none."""
    with suppress(*NOT_MSGPACK):
        said = vitals.decode(data)
        assert vitals.decode(vitals.encode(said)) == said
        circle = vitals.Circle(lambda: 0.0, lambda: 0)
        circle.take("n2", said)
        figures = {"ahead_ms": circle.all()["n2"].ahead_ms}
        commands.encode(commands.NoteHeal(14, "", "", "done", 0, figures))
    with suppress(*NOT_MSGPACK):
        Traces("n1", lambda: 0.0, lambda: 0).hear("n2", msgspec.msgpack.decode(data))


def log_entry(data: bytes) -> None:
    """Commands, batches, entries, members, whispers: decoded, or refused by msgspec."""
    decoders = (commands.decode, entry.decode_batch, entry.decode_entry, ephemeral.decode)
    for decode in decoders:
        with suppress(*NOT_MSGPACK):
            decode(data)
    with suppress(ValueError):
        Members.decode(data)


def worker(data: bytes) -> None:
    """What a core and a worker tell each other."""
    frames = messages.Frames()
    with suppress(ValueError):
        for piece in chunks(data):
            for frame in frames.feed(piece):
                for decoder in (messages.from_core, messages.from_worker):
                    with suppress(*NOT_MSGPACK):
                        decoder.decode(frame)


# On disk


_HEAD = SegmentHead(
    number=1,
    oldest=1,
    sequence=1,
    previous=0,
    salt=7,
    cluster_id="demo",
    node_id="n1",
    incarnation=1,
)


def wal(data: bytes) -> None:
    """Bytes as a frame, as records, and as records behind checksums that vouch for them."""
    with suppress(TornRecord, CorruptRecord):
        decode_frame(data, 0, segment=1, salt=7)
    with suppress(CorruptRecord):
        decode_records(data)
    with suppress(TornRecord, CorruptRecord):
        decode_head(data)
    find_frame(data, 0, segment=1, salt=7, sequence_min=1)
    base, link = encode_frame(b"", sequence=1, segment=1, previous=0, salt=7, head=True)
    vouched, _ = encode_frame(data, sequence=2, segment=1, previous=link, salt=7)
    for rest in (vouched, data):
        replay = Replay()
        with suppress(CorruptLog, ForeignLog):
            replay.segment(segment_name(1), encode_head(_HEAD) + base + rest, number=1, last=True)
            replay.finish()


_META = SnapshotMeta(index=9, term=2, prev_index=8, prev_term=2, members="{}")


def snapshot_file(data: bytes) -> None:
    """Bytes as a file, as blocks behind checksums that vouch for them, and as a state."""
    _read_snapshot(data)
    whole = b"".join(encode_snapshot(_META, "demo", [data]))
    assert b"".join(_read_snapshot(whole)) == data
    with suppress(snapshot.SnapshotRefused):
        snapshot.load([data])


def backup_file(data: bytes) -> None:
    """Bytes as a backup, and as a state in one whose checksums are right."""
    with suppress(BackupRefused):
        for _ in Reader("it", BytesIO(data).read).blocks():
            pass
    whole = b"".join(encode_backup(_HEADER, [data] if data else []))
    assert b"".join(Reader("it", BytesIO(whole).read).blocks()) == data
    with suppress(BackupRefused):
        load(Reader("it", BytesIO(whole).read))


_HEADER = Header("demo", "n1", 7, 3, 1_000, 2_000, "0.1.0", 1)


def _read_snapshot(data: bytes) -> list[bytes]:
    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    try:
        prefix: Prefix = read_prefix("a.snap", read)
        return list(read_blocks("a.snap", read, prefix))
    except (CorruptSnapshot, ForeignLog):
        return []


# Files that people write


def rules(data: bytes) -> None:
    """Rules are compiled, or every mistake has its place."""
    with suppress(SourceErrors):
        compile_rules({"main.toml": data.decode("utf-8", "surrogateescape")})


def node_toml(data: bytes) -> None:
    """A configuration, or every mistake has its place."""
    with suppress(SourceErrors):
        config_file.parse(data.decode("utf-8", "replace"), Path("/nowhere/node.toml"))


_GET = b"GET /a?b HTTP/1.1\r\nHost: desk\r\n\r\n"
_POST = b"POST /b HTTP/1.1\r\nHost: desk\r\nContent-Length: 2\r\n\r\nok"
_CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"
)
_RULES = b"""[rule.vip]
when = 'tags.arpu > 5000 && "x" in tags.list'
route = "general"
[vars]
tags.arpu = "number"
tags.list = "list"
[hours.h]
tz = "UTC"
week = { mon-fri = "09:00-18:00" }
holidays = ["2026-10-01..2026-10-07"]
[queue.general]
accept = "20s"
hours = "h"
closed = { do = "message" }
[rule.steps]
mode = "canary:10"
when = 'glob(lang, "z*") && hour("UTC") < 9 && open("h")'
steps = [
  { queue = "general", require = 'lang in agent.langs', for = "9s", skip_if = 'queue.waiting > 1' },
  { queue = "general", skills = { refund = 4 } },
]
test = [{ in = { lang = "de" }, at = "2026-10-02 10:00", queue = "general" }]
[fallback]
route = "general"
"""
_NODE = b"""[cluster]
id = "demo"
key = "sixteen bytes ok"
[node]
id = "n1"
data = "data/n1"
[client]
listen = "127.0.0.1:7101"
[peer]
listen = "127.0.0.1:7201"
[nodes.n1]
peer = "127.0.0.1:7201"
url = "ws://127.0.0.1:7101/v1/ws"
"""


def _state() -> bytes:
    return b"".join(snapshot.dump(State()))


def _records() -> Iterator[bytes]:
    yield encode_records([HardState(2, "n1"), Entry(2, 1, b"x"), Commit(2)])
    yield encode_head(_HEAD)[:HEAD_BYTES]


_APPEND = {"type": "append_entries", "term": 3, "request": 1, "prev_index": 4}
_APPEND |= {"prev_term": 2, "commit_index": 4, "entries": [[b"\x40x", 5, 3]]}
_CALL = {"op": "msg.send", "id": 1, "cv": "c", "key": "k", "body": "hello"}

TARGETS: dict[str, Target] = {
    "websocket": Target(
        websocket,
        (
            b"\x00" + masked(0x81, b"hello") + masked(0x89, b"") + masked(0x88, b"\x03\xe8bye"),
            b"\x03" + masked(0x01, b"\xc3") + masked(0x80, b"\xa9") + masked(0x82, b"x" * 99),
        ),
    ),
    "deflate": Target(
        deflate,
        (
            b"\x00" + masked(0xC1, b"\xf2H\xcd\xc9\xc9\x07\x00") + masked(0x81, b"hello"),
            b"\x01" + masked(0x41, b"\xf2H\xcd") + masked(0x80, b"\xc9\xc9\x07\x00"),
            b"permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
        ),
    ),
    "http": Target(http, (b"\x00" + _GET + _POST + _CHUNKED, b"\x05" + _CHUNKED + _GET)),
    "json": Target(frames_of(JSON), (JSON.encode(_CALL), JSON.encode([_CALL, {"op": "ok"}]))),
    "msgpack": Target(frames_of(MSGPACK), (MSGPACK.encode(_CALL), MSGPACK.encode([_CALL]))),
    "place": Target(place, (b"01J00000000000000000000000.cv-1:12.cv-2:3",)),
    "token": Target(
        token, (mint(_KEY, "demo", role="agent", subject="ann", ttl_s=10**9).encode(),)
    ),
    "peer": Target(
        peer,
        (
            b"\x00" + encode_peer("raft", _APPEND),
            b"\x02" + encode_peer("hello", hello(replace(_ME, node="n2"), "n1", _NONCE)),
        ),
    ),
    "neighbour": Target(
        neighbour,
        (
            vitals.encode(vitals.Vitals("b", 2, hears=("n2",), digest=(64, "2.2:ab"), wall_ms=7)),
            msgspec.msgpack.encode(["b", 1, f"00-{'a' * 32}-{'b' * 16}-01"]),
        ),
    ),
    "entry": Target(
        log_entry,
        (
            commands.encode(commands.BootNode(node="n1", boot="b", url="u")),
            entry.encode(entry.Entry(1, 1, (entry.Batch("n1", "b", 1, ()),))),
            b'{"n1": ["voter", "h:1"]}',
        ),
    ),
    "worker": Target(worker, (b"\x00" + messages.encode(messages.Heard("n1", b"x")),)),
    "wal": Target(wal, tuple(_records())),
    "snapshot": Target(
        snapshot_file, (_state(), b"".join(encode_snapshot(_META, "demo", [_state()])))
    ),
    "backup": Target(backup_file, (_state(), b"".join(encode_backup(_HEADER, [_state()])))),
    "rules": Target(rules, (_RULES,)),
    "config": Target(node_toml, (_NODE,)),
}
