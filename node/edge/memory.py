"""Memory: what there is, what is used, and a garbage collector for very many long-lived objects.

Reads /proc and cgroup files; calls the C library.

Source: proc_pid_statm(5); malloc_trim(3); cgroup v2, "memory.max".
"""

import ctypes
import gc
import os
from pathlib import Path

YOUNG_OBJECTS_MAX = 50_000
YOUNG_PASSES = 20
MIDDLE_PASSES = 100


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_STATM = Path("/proc/self/statm")
_SHARE_OF_ALL = 0.8
"""The kernel's part of a socket is about as large as ours, and is not counted with it."""


def used_bytes() -> int:
    """Return what this process alone holds in memory; 0 where the system does not say."""
    try:
        fields = _STATM.read_bytes().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


def ceiling_bytes() -> int:
    """Return how much a process may well use where nobody said: most of what there is."""
    there = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    try:
        allowed = int(_CGROUP.read_text())
    except (OSError, ValueError):  # no cgroup, or "max"
        allowed = there
    return int(min(there, allowed) * _SHARE_OF_ALL)


_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not


def give_back() -> None:
    """Return to the system what is free within the heap.

    By itself only its end is: a burst of outboxes leaves the process as large as it was at its
    worst, and measured by that it would stay full for ever.  Up to 100 ms for a heap of 600 MB.
    """
    if _malloc_trim is not None:
        _malloc_trim(0)


def tune_gc() -> None:
    """Take what start-up made out of the collector's sight, and let it run less often.

    Called once, when everything is imported and set up.  An idle WebSocket is one tracked object,
    so that a full collection over 15,000 of them stays below a millisecond or so; the default
    threshold of 700 would run it for every burst of handshakes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_PASSES, MIDDLE_PASSES)
