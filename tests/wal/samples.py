"""Small logs that the tests of `wal` share."""

from random import Random

from hypothesis import strategies as st

from tests.sim.disk import SimDisk
from wal.identity import Identity
from wal.log import Log
from wal.record import Base, Commit, Compact, Entry, HardState, Record, Reset, Truncate
from wal.recovery import Recovered

IDENTITY = Identity("shop", "a", 7)

u64 = st.integers(0, 2**64 - 1)
record_values: st.SearchStrategy[Record] = st.one_of(
    st.builds(Entry, u64, u64, st.binary(max_size=40)),
    st.builds(HardState, u64, st.none() | st.text(max_size=20), st.booleans()),
    st.builds(Commit, u64),
    st.builds(Truncate, u64),
    st.builds(Compact, u64),
    st.just(Reset()),
    st.builds(Base, u64, u64, u64),
)


def sim_disk(seed: int = 1) -> SimDisk:
    return SimDisk(Random(seed))


def open_log(disk: SimDisk, *, segment_bytes_max: int = 1 << 20) -> tuple[Log, Recovered]:
    salts = Random(5)
    return Log.open(
        disk,
        identity=IDENTITY,
        segment_bytes_max=segment_bytes_max,
        draw_salt=lambda: salts.getrandbits(32),
    )


def entries(first: int, last: int, *, term: int = 1) -> list[Entry]:
    return [Entry(index, term, b"payload %d" % index) for index in range(first, last + 1)]


def segments_of(disk: SimDisk) -> list[str]:
    return [name for name in disk.names() if name.endswith(".wal")]
