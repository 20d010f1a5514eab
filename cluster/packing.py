"""Batches of proposals into as few log entries as their limit allows.  No I/O."""

from collections import deque

from cluster.state.entry import VERSION, Batch, Entry, encode

ENTRY_BYTES_MAX = 448 * 1024
"""What one entry holds before the next begins; the engine refuses above 512 KiB."""


def pack(batches: deque[Batch], now_ms: int) -> bytes:
    """Take from the left what fits one entry, one batch at least, and return it encoded."""
    taken: list[Batch] = []
    size = 0
    while batches:
        size += len(encode(batches[0]))
        if taken and size > ENTRY_BYTES_MAX:
            break
        taken.append(batches.popleft())
    return encode(Entry(VERSION, now_ms, tuple(taken)))
