"""What an input costs: calls and memory, counted, not timed.  No I/O.

`calls` are those of Python and C functions, as the interpreter reports them to a profiler;
`peak_bytes` what Python's allocator held at once, beyond what was there before.  Both are the
same on a slow machine and on a fast one.  Work inside one C call does not show; what it holds
does.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Of one input."""

    calls: int
    peak_bytes: int


def cost(survive: Callable[[bytes], None], data: bytes) -> Cost:
    """Return what `data` costs a target that has been run before."""
    survive(data)  # whatever is made once has been made
    return Cost(_calls(survive, data), _peak_bytes(survive, data))


def _calls(survive: Callable[[bytes], None], data: bytes) -> int:
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # what it runs is not the target's
    sys.setprofile(note)
    try:
        survive(data)
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def _peak_bytes(survive: Callable[[bytes], None], data: bytes) -> int:
    tracemalloc.start()
    try:
        survive(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
