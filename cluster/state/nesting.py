"""How deep msgpack is nested, found without recursion.  No I/O.

msgspec decodes by recursion, and where it gives up depends on how deep the *caller's* stack is
at that moment.  Two nodes could then disagree about the same bytes - one applies an entry, the
other calls it none - and a client that nests a message 900 lists deep could bring it about.  So
depth is judged here, the same on every stack:

    an entry     decoded as usual; where that runs out of stack, `split_entry` takes it apart
    a command    refused when `is_deeper` than `NESTING_MAX`, before it is decoded

Most commands never meet the loop: every level of nesting begins with one byte of `_OPENERS`,
and a command with fewer of those than levels allowed cannot be too deep.

Source: the msgpack specification, "Formats".
"""

import msgspec

from cluster.state.entry import Batch, Entry, Proposal

_OPENERS = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
"""First bytes of arrays and maps; other bytes of the same value only make the guess higher."""

_FIXED_BYTES = {
    0xC0: 1, 0xC2: 1, 0xC3: 1,                    # nil, false, true
    0xCA: 5, 0xCB: 9,                             # floats
    0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9,           # unsigned
    0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,           # signed
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18,  # fixext: kind and data
}  # fmt: skip
_LENGTH_BYTES = {
    0xC4: 1, 0xC5: 2, 0xC6: 4,                    # bin
    0xC7: 1, 0xC8: 2, 0xC9: 4,                    # ext, whose kind is one byte more
    0xD9: 1, 0xDA: 2, 0xDB: 4,                    # str
}  # fmt: skip
_COUNT_BYTES = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
"""Arrays and maps with a count of their own."""
_EXT = (0xC7, 0xC8, 0xC9)
_MAPS = (0xDE, 0xDF)


def is_deeper(data: bytes, depth_max: int) -> bool:
    """Whether the value in `data` holds more than `depth_max` lists and maps in one another.

    Bytes that are no msgpack are not deep: decoding them says what is wrong.
    """
    if len(data) - len(data.translate(None, _OPENERS)) <= depth_max:
        return False
    try:
        return _skip(data, 0, depth_max) is None
    except msgspec.DecodeError:
        return False


def split_entry(data: bytes) -> Entry:
    """Return what `decode_entry` returns, on any stack; raise `msgspec.DecodeError` alike."""
    version, now_ms, batches = _elements(data, 3)
    return Entry(_integer(version), _integer(now_ms), tuple(map(_batch, _elements(batches, 0))))


def _batch(data: bytes) -> Batch:
    node, boot, settled, proposals = _elements(data, 4)
    return Batch(
        _string(node),
        _string(boot),
        _integer(settled),
        tuple(map(_proposal, _elements(proposals, 0))),
    )


def _proposal(data: bytes) -> Proposal:
    number, command = _elements(data, 2)
    return Proposal(_integer(number), msgspec.Raw(command))


def _integer(data: bytes) -> int:
    return msgspec.msgpack.decode(data, type=int)


def _string(data: bytes) -> str:
    return msgspec.msgpack.decode(data, type=str)


def _elements(data: bytes, fields: int) -> list[bytes]:
    """Return the elements of the array `data`: all, or the first `fields` of at least as many."""
    at, count = _step(data, 0)
    if not (0x90 <= data[0] <= 0x9F or data[0] in (0xDC, 0xDD)) or count < fields:
        raise msgspec.DecodeError("not an array of enough elements")
    elements = []
    for _ in range(count):
        end = _skip(data, at, len(data))
        assert end is not None, "no value is deeper than its bytes are many"
        elements.append(data[at:end])
        at = end
    if at != len(data):
        raise msgspec.DecodeError("more than one value")
    return elements[:fields] if fields else elements


def _skip(data: bytes, at: int, depth_max: int) -> int | None:
    """Return where the value that begins at `at` ends; None when it is too deep."""
    to_come: list[int] = []
    while True:
        at, children = _step(data, at)
        if children:
            to_come.append(children)
            if len(to_come) > depth_max:
                return None
            continue
        while to_come:
            to_come[-1] -= 1
            if to_come[-1]:
                break
            to_come.pop()
        if not to_come:
            return at


def _step(data: bytes, at: int) -> tuple[int, int]:
    """Return where the head at `at` and its own bytes end, and how many values belong to it."""
    if at >= len(data):
        raise msgspec.DecodeError("cut short")
    head = data[at]
    children = 0
    if head <= 0x7F or head >= 0xE0:
        end = at + 1
    elif head <= 0x8F:
        end, children = at + 1, 2 * (head & 0x0F)
    elif head <= 0x9F:
        end, children = at + 1, head & 0x0F
    elif head <= 0xBF:
        end = at + 1 + (head & 0x1F)
    elif head in _FIXED_BYTES:
        end = at + _FIXED_BYTES[head]
    elif head in _LENGTH_BYTES:
        body = at + 1 + _LENGTH_BYTES[head]
        end = body + int.from_bytes(data[at + 1 : body], "big") + (head in _EXT)
    elif head in _COUNT_BYTES:
        end = at + 1 + _COUNT_BYTES[head]
        count = int.from_bytes(data[at + 1 : end], "big")
        children = 2 * count if head in _MAPS else count
    else:
        raise msgspec.DecodeError("0xc1 begins no value")
    if end > len(data):
        raise msgspec.DecodeError("cut short")
    return end, children
