"""The garbage collector, set for a process with very many long-lived objects."""

import gc

YOUNG_OBJECTS_MAX = 50_000
YOUNG_PASSES = 20
MIDDLE_PASSES = 100


def tune_gc() -> None:
    """Take what start-up made out of the collector's sight, and let it run less often.

    Called once, when everything is imported and set up.  An idle WebSocket is one tracked object,
    so that a full collection over 15,000 of them stays below a millisecond or so; the default
    threshold of 700 would run it for every burst of handshakes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_PASSES, MIDDLE_PASSES)
