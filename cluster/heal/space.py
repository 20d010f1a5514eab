"""How much room a disk has, and how much is too little.  No I/O.

    free                           the disk is
    < 10 %, and < 1 GiB            short: a warning, a snapshot, and no candidate for leading
    < 5 %, and < 256 MiB           full: no more entries
    > 7.5 %, or > 384 MiB          no longer full
    > 12 %, or > 1.2 GiB           no longer short

Percent and bytes must both say so: a terabyte with 5 % left has room for days, and a test's few
megabytes must not be full from the start.
"""

from cluster.vitals import Storage

SHORT_PERCENT, SHORT_BYTES = 10, 1024**3
FULL_PERCENT, FULL_BYTES = 5, 256 * 1024**2


def short_below(total_bytes: int) -> int:
    """Return below how many free bytes the disk is short."""
    return min(total_bytes * SHORT_PERCENT // 100, SHORT_BYTES)


def full_below(total_bytes: int) -> int:
    """Return below how many free bytes the disk is as good as full."""
    return min(total_bytes * FULL_PERCENT // 100, FULL_BYTES)


def is_known(storage: Storage) -> bool:
    return storage.total_bytes > 0 and storage.free_bytes >= 0


def is_short(storage: Storage) -> bool:
    """Whether there is too little room to be given leadership; not where that is unknown."""
    return is_known(storage) and storage.free_bytes < short_below(storage.total_bytes)


def in_words(size: int) -> str:
    """Return bytes for people."""
    for unit, one in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} bytes"
