"""What a process of the node says of itself.  Talks to the garbage collector."""

import gc
import os

import msgspec


class ProcessFigures(msgspec.Struct, frozen=True):
    """One process; what the system knows of it is found by its pid."""

    pid: int
    gc_collections: tuple[int, ...]
    """Runs of the collector, by generation."""
    gc_collected: tuple[int, ...]
    gc_uncollectable: tuple[int, ...]


def this_process() -> ProcessFigures:
    """Return the figures of this moment."""
    generations = gc.get_stats()
    counts = (
        tuple(one[name] for one in generations)
        for name in ("collections", "collected", "uncollectable")
    )
    return ProcessFigures(os.getpid(), *counts)
