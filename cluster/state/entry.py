"""One log entry: the commands of one moment, and when it was.  No I/O.

    entry  = [version, now_ms, [batch, ...]]
    batch  = [node, boot, settled, [[number, command], ...]]

A batch is what one node proposed; `(node, boot, number)` names a proposal.  `settled` is
the lowest number that the node still waits for: everything below it has an outcome or was
given up, so a copy that arrives late is skipped.  That bounds what the state machine must
remember to apply a proposal once, however often it was sent.

`now_ms` is the leader's clock; the state machine takes the larger of it and what it had,
so cluster time never runs backwards over a change of leader.
"""

import msgspec

VERSION = 1


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """One command on its way, still encoded: the leader need not understand it."""

    number: int
    command: msgspec.Raw


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What `boot` of `node` proposes at once, numbers rising."""

    node: str
    boot: str
    settled: int
    proposals: tuple[Proposal, ...]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """The payload of one log entry."""

    version: int
    now_ms: int
    batches: tuple[Batch, ...]


_encoder = msgspec.msgpack.Encoder()
_entry_decoder = msgspec.msgpack.Decoder(Entry)
_batch_decoder = msgspec.msgpack.Decoder(Batch)


def encode(value: Entry | Batch) -> bytes:
    """Return `value` as msgpack."""
    return _encoder.encode(value)


def decode_entry(data: bytes) -> Entry:
    """Return the entry in `data`; raise `msgspec.DecodeError` where it is none."""
    return _entry_decoder.decode(data)


def decode_batch(data: bytes) -> Batch:
    """Return the batch in `data`; raise `msgspec.DecodeError` where it is none."""
    return _batch_decoder.decode(data)
