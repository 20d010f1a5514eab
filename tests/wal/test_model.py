"""The log against a plain list: any order of calls, crashes at any call, ends the same."""

from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sim.disk import SimCrash, SimDisk
from tests.wal.samples import open_log
from wal.errors import StorageFailed
from wal.log import Log
from wal.record import Commit, Compact, Entry, HardState, Reset, Truncate

SEGMENT_BYTES_MAX = 1500


class Model:
    """What the log should hold."""

    def __init__(self) -> None:
        self.held: list[Entry] = []
        self.next: int | None = None
        self.hard = HardState(0, None, abstains=True)
        self.commit = 0

    def copy(self) -> "Model":
        made = Model()
        made.held, made.next, made.hard, made.commit = self.held, self.next, self.hard, self.commit
        return made

    def state(self) -> tuple[list[Entry], int, HardState, int]:
        return self.held, self.next or 0, self.hard, self.commit


class LogAgainstList(RuleBasedStateMachine):
    """`now` is what was appended; `durable` is what the last finished sync promised."""

    log: Log

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.rng = Random(seed)
        self.disk = SimDisk(self.rng)
        self.now = Model()
        self.durable = Model()
        self.term = 1
        self.log, _ = open_log(self.disk, segment_bytes_max=SEGMENT_BYTES_MAX)

    @rule(count=st.integers(1, 30), size=st.integers(0, 200), later=st.integers(0, 1))
    def append_entries(self, count: int, size: int, later: int) -> None:
        self.term += later
        model = self.now
        for _ in range(count):
            index = self.rng.randrange(1, 500) if model.next is None else model.next
            entry = Entry(index, self.term, self.rng.randbytes(size))
            model.held = [*model.held, entry]
            model.next = index + 1
            self.log.append(entry)

    @rule(vote=st.sampled_from([None, "a", "b"]), later=st.integers(0, 2), abstains=st.booleans())
    def vote(self, vote: str | None, later: int, abstains: bool) -> None:
        self.term += later
        self.now.hard = HardState(self.term, vote, abstains)
        self.log.append(self.now.hard)

    @rule(data=st.data())
    @precondition(lambda self: self.now.held)
    def commit(self, data: st.DataObject) -> None:
        held = self.now.held
        index = data.draw(st.integers(held[0].index, held[-1].index + 3))
        self.now.commit = min(index, held[-1].index)
        self.log.append(Commit(index))

    @rule(data=st.data())
    @precondition(lambda self: self.now.held)
    def truncate(self, data: st.DataObject) -> None:
        held = self.now.held
        index = data.draw(st.integers(held[0].index, held[-1].index + 2))
        self.now.held = [entry for entry in held if entry.index < index]
        if index <= held[-1].index:
            self.now.next = index
            self.now.commit = min(self.now.commit, index - 1)
        self.log.append(Truncate(index))

    @rule(data=st.data())
    @precondition(lambda self: self.now.held)
    def compact(self, data: st.DataObject) -> None:
        held = self.now.held
        index = data.draw(st.integers(held[0].index, held[-1].index + 1))
        self.now.held = [entry for entry in held if entry.index >= index]
        self.log.append(Compact(index))

    @rule()
    def reset(self) -> None:
        self.now.held, self.now.next, self.now.commit = [], None, 0
        self.log.append(Reset())

    @rule()
    def sync(self) -> None:
        self.log.sync()
        self.durable = self.now.copy()

    @rule(calls=st.integers(0, 8), done=st.booleans(), power=st.booleans())
    def crash_in_a_sync(self, calls: int, done: bool, power: bool) -> None:
        left = calls

        def on_call(op: str, _name: str) -> None:
            nonlocal left
            if op.endswith(".done") == done:
                left -= 1
                if left < 0:
                    raise SimCrash

        self.disk.on_call = on_call
        try:
            self.log.sync()
        except SimCrash:
            pass
        else:
            self.durable = self.now.copy()
        self.reopen(power=power)

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        self.reopen(power=power)

    @rule(power=st.booleans(), full=st.none() | st.integers(0, 700))
    @precondition(lambda self: self.log.dirty)
    def fail(self, power: bool, full: int | None) -> None:
        if full is None:
            self.disk.fail_sync_once()
        else:
            self.disk.full_after(full)
        try:
            self.log.sync()
        except StorageFailed:
            assert self.log.statistics().poisoned
        else:
            self.durable = self.now.copy()
        self.disk.full_after(None)
        self.reopen(power=power)

    def reopen(self, *, power: bool) -> None:
        """The next life holds what was promised, or that and the one batch in flight."""
        self.disk.crash(power=power)
        self.log, found = open_log(self.disk, segment_bytes_max=SEGMENT_BYTES_MAX)
        next_index = found.ledger.next_index
        state = (found.entries, next_index, found.hard_state, found.commit_index)
        if state == self.durable.state():
            self.now = self.durable.copy()
        else:
            assert state == self.now.state()
            self.durable = self.now.copy()

    @invariant()
    def the_figures_agree(self) -> None:
        figures = self.log.statistics()
        if self.now.held:
            assert figures.first_index == self.now.held[0].index
            assert figures.last_index == self.now.held[-1].index
        assert figures.commit_index == self.now.commit


TestLogAgainstList = LogAgainstList.TestCase
TestLogAgainstList.settings = settings(
    max_examples=120, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
