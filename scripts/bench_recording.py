"""What a node pays to record its figures, and to look whether a message is traced.

    python -m scripts.bench_recording

In nanoseconds of processor time, without what the loop around it costs; the last line is what one
message makes of it at the node where it is said, alone in its entry: the worst case.
"""

import time
import timeit
from collections.abc import Callable

from cluster.tracing import CURRENT, Traces
from node.tracing.requests import RequestTraces
from wal.histogram import REQUEST_BOUNDS_S, Histogram

NUMBER = 200_000
REPEAT = 7


def cost_ns(function: Callable[[], object]) -> float:
    """Return the best of several runs."""
    runs = timeit.repeat(function, number=NUMBER, repeat=REPEAT, timer=time.thread_time)
    return min(runs) / NUMBER * 1e9


def main() -> None:
    """Measure, and print the table."""
    histogram = Histogram(REQUEST_BOUNDS_S)
    traces = Traces("n1", time.monotonic, lambda: 0)
    requests, sampling = RequestTraces(0.0), RequestTraces(0.01)
    parts: dict[str, tuple[int, Callable[[], object]]] = {
        "observe": (3, lambda: histogram.observe(0.004)),  # commit, apply, fan-out
        "clock": (6, time.monotonic),
        "nothing is traced": (3, CURRENT.get),
        "nothing is followed": (2, lambda: bool(traces)),
        "request, nobody asks": (1, lambda: requests.begin("msg.send", "visitor")),
    }
    loop_ns = cost_ns(lambda: None)
    total_ns = 0.0
    for name, (times, function) in parts.items():
        one_ns = max(0.0, cost_ns(function) - loop_ns)
        total_ns += times * one_ns
        print(f"{name:24} {one_ns:8.0f} ns  x{times}")
    shared_ns = cost_ns(lambda: sampling.begin("msg.send", "visitor")) - loop_ns
    print(f"{'request, 1 % sampled':24} {shared_ns:8.0f} ns  instead")
    print(f"{'a message':24} {total_ns:8.0f} ns")


if __name__ == "__main__":
    main()
