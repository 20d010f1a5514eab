"""What nodes say to each other about the log: plain dicts from a peer to typed messages.  No I/O.

    leader -> follower   append_entries    snapshot_chunk    read_probe    timeout_now  memory_lost
    follower -> leader   append_ack        snapshot_ack      read_ack      newer_term
    anyone -> anyone     pre_vote_request  pre_vote          vote_request  vote
    any node -> leader   read_request      read_answer (back)

A peer is foreign: its message has exactly the stated fields, types and ranges, or it is
refused with `PeerError`.  An entry is a no-op, one opaque command or the members; the
membership, version and pickled command types that PySyncObj knows have no name here and so
cannot arrive.  `term` is the sender's term; `request` numbers what a leader sends within its
term and comes back in the answer, so that an answer proves *when* it was given.

Indices count from 1; index 1 is empty and everybody's, so the first real entry is 2.

Source: Raft thesis (Ongaro 2014), figure 3.1, sections 3.10, 6.4, 7, 9.6.
"""

from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from cluster.raft.members import Members

PAYLOAD_BYTES_MAX = 512 * 1024
"""Half of `BATCH_BYTES_MAX`: PySyncObj's own way of splitting a larger entry is broken."""
BATCH_BYTES_MAX = 1024 * 1024
"""PySyncObj fills a message until it holds this much, so one entry more may be in it."""
ENTRIES_MAX = 4_096
CHUNK_BYTES_MAX = 256 * 1024
COUNT_MAX = 2**62
REASON_CHARS_MAX = 200
"""Of what msgspec says about a message: it may quote the peer's own words."""

NO_OP = b"\x01"
"""PySyncObj's no-op, which a new leader appends."""
COMMAND = b"\x40"
"""Not a type PySyncObj knows: it replicates such an entry and never looks into it."""
MEMBERS = b"\x41"
"""Another: who takes part from here on (`cluster.raft.members`)."""


class PeerError(Exception):
    """What a peer sent does not fit the language or what it said before; names the field."""


Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
NextIndex = Annotated[int, Meta(ge=2, le=COUNT_MAX)]
Index = Annotated[int, Meta(ge=1, le=COUNT_MAX)]


class LogEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`command` starts with its type: `NO_OP`, `COMMAND` or `MEMBERS`."""

    command: Annotated[bytes, Meta(min_length=1, max_length=PAYLOAD_BYTES_MAX + 1)]
    index: NextIndex
    term: Count


class _Message(Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    term: Count


class AppendEntries(_Message, frozen=True, tag="append_entries"):
    """`quiet`: only says what is committed; whoever holds what comes before need not answer.

    `vouched` is the life of a follower that need not abstain any more, once what comes before
    matches.
    """

    request: Count
    prev_index: Index
    prev_term: Count
    commit_index: Count
    entries: Annotated[tuple[LogEntry, ...], Meta(max_length=ENTRIES_MAX)] = ()
    quiet: bool = False
    vouched: Count = 0


class AppendAck(_Message, frozen=True, tag="append_ack"):
    """`success`: the log matches below `next_index`; otherwise: send from there on.

    `life`, here and in the other answers to a leader, is that of a follower that abstains,
    else 0: the answer says what it holds and is counted for nothing.
    """

    request: Count
    success: bool
    next_index: NextIndex
    life: Count = 0


class SnapshotChunk(_Message, frozen=True, tag="snapshot_chunk"):
    """Bytes of the snapshot file from `offset`; none, and not `done`: only asks how far."""

    request: Count
    index: Index
    index_term: Count
    offset: Count
    data: Annotated[bytes, Meta(max_length=CHUNK_BYTES_MAX)]
    done: bool


class SnapshotAck(_Message, frozen=True, tag="snapshot_ack"):
    """`offset` is what the follower expects next; `index` 1: it takes no snapshot now."""

    request: Count
    index: Index
    offset: Count
    life: Count = 0


class ReadProbe(_Message, frozen=True, tag="read_probe"):
    request: Count


class ReadAck(_Message, frozen=True, tag="read_ack"):
    request: Count
    life: Count = 0


class ReadRequest(_Message, frozen=True, tag="read_request"):
    number: Count


class ReadAnswer(_Message, frozen=True, tag="read_answer"):
    number: Count
    index: Index | None


class PreVoteRequest(_Message, frozen=True, tag="pre_vote_request"):
    """`term` is the one the sender would campaign in, `round` counts how often it asked.

    `voters` is a checksum of theirs: only those who agree on it begin a cluster.
    """

    last_index: Index
    last_term: Count
    round: Count = 0
    voters: Count = 0


class PreVote(_Message, frozen=True, tag="pre_vote"):
    """`term` and `round` are the asked ones, `current_term` is the voter's own.

    `empty`: the voter's log is; `life` as in an answer to a leader; `knows`: the asker is a
    member as far as the voter knows.
    """

    granted: bool
    current_term: Count
    round: Count = 0
    empty: bool = False
    life: Count = 0
    knows: bool = True


class VoteRequest(_Message, frozen=True, tag="vote_request"):
    """`transfer`: the leader itself asked for this election, so its lease does not count.

    `begins` is the voter's life, when all voters' logs are empty and the cluster begins.
    """

    last_index: Index
    last_term: Count
    transfer: bool = False
    begins: Count = 0


class Vote(_Message, frozen=True, tag="vote"):
    """A vote for the receiver; a refusal is silence."""


class NewerTerm(_Message, frozen=True, tag="newer_term"):
    """The receiver spoke in a term that is over."""


class TimeoutNow(_Message, frozen=True, tag="timeout_now"):
    """Campaign at once: the leader hands over."""


class MemoryLost(_Message, frozen=True, tag="memory_lost"):
    """The receiver proved to hold this entry, and does no more (`cluster.raft.doubting`).

    Earlier releases refuse it, and go on as before.
    """

    index: Index
    index_term: Count


Message = (
    AppendEntries
    | AppendAck
    | SnapshotChunk
    | SnapshotAck
    | ReadProbe
    | ReadAck
    | ReadRequest
    | ReadAnswer
    | PreVoteRequest
    | PreVote
    | VoteRequest
    | Vote
    | NewerTerm
    | TimeoutNow
    | MemoryLost
)

_KINDS: dict[str, type[Message]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Message)
}


def to_wire(message: Message) -> dict[str, Any]:
    """Return the message as plain values that msgpack can carry."""
    wire: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    return wire


def parse(wire: object) -> Message:
    """Return the typed message.  Raises `PeerError` naming the field that does not fit."""
    kind = wire.get("type") if isinstance(wire, dict) else None
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        said = repr(kind[:40]) if isinstance(kind, str) else type(kind).__name__
        raise PeerError(f"a message of unknown kind - at `$.type`: {said}")
    try:
        # One struct at a time: for a union msgspec would put its tables together each time.
        message: Message = msgspec.convert(wire, known, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise PeerError(str(error)[:REASON_CHARS_MAX]) from None
    if isinstance(message, AppendEntries):
        _check_entries(message)
    elif isinstance(message, SnapshotChunk) and message.index_term > message.term:
        raise PeerError(f"index_term {message.index_term} is above term {message.term}")
    return message


def _check_entries(message: AppendEntries) -> None:
    """Refuse entries that no log can hold: gaps, falling terms, types that are not ours."""
    if message.prev_term > message.term:
        raise PeerError(f"prev_term {message.prev_term} is above term {message.term}")
    index, term = message.prev_index, message.prev_term
    for entry in message.entries:
        if entry.index != index + 1:
            raise PeerError(f"entries: index {entry.index} follows {index}")
        if not term <= entry.term <= message.term:
            raise PeerError(f"entries[index {entry.index}].term: {entry.term} after {term}")
        check_command(entry.command, entry.index)
        index, term = entry.index, entry.term


def check_command(command: bytes, index: int) -> None:
    """Raise `PeerError` when `command` is not a no-op, an opaque command or members."""
    if command == NO_OP or command.startswith(COMMAND):
        return
    if not command.startswith(MEMBERS):
        raise PeerError(f"entries[index {index}].command: type {command[:1].hex()} is not allowed")
    try:
        Members.decode(command[1:])
    except ValueError as error:
        said = str(error)[:REASON_CHARS_MAX]
        raise PeerError(f"entries[index {index}].command: no members: {said}") from None
