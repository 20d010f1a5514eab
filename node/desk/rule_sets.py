"""Rules in threads: compiled once, tried for some time at a time.  No I/O.

    compiled   a rule set by its files; the last few are kept, since a plan asks again and again
    paced      work in small bursts, with a rest as long as each between them (`Breath`)

The evaluator holds the interpreter's lock while it works, so a thread that never rested would
make the loop wait for every turn (`sys.getswitchinterval`).  One piece of work at a time: that
the loop keeps its core does not depend on how many operators plan.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import trio

from cluster.routing.rules import RuleSet, default_rules
from cluster.routing.ruleset import compile_rules
from cluster.state.model import RuleSetRecord
from cluster.state.rules import digest_of
from cluster.toml_source import SourceErrors
from node.desk.plain import NotAllowed, check_name

RULE_FILES_MAX = 32
"""Files of one rule set; their size is bounded by the frame."""
KEPT_MAX = 4
"""Compiled sets that are kept: those in force, those proposed, and a comparison."""
BURST_S = 0.001
T = TypeVar("T")

Cancelled = Callable[[], bool]


class RuleSets:
    """Compiles rule sets, and runs what tries them."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)
        self._kept: dict[str, RuleSet] = {}

    async def compiled(self, files: Mapping[str, str]) -> RuleSet:
        """Return the rule set of `files`.  Raises `NotAllowed` with every mistake."""
        check_files(files)
        digest = digest_of(dict(files))
        found = self._kept.pop(digest, None)
        if found is None:
            try:
                found = await self.run(lambda _: compile_rules(files))
            except SourceErrors as errors:
                raise NotAllowed("bad_request", str(errors)) from None
        self._kept[digest] = found
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return found

    async def of(self, record: RuleSetRecord | None) -> RuleSet:
        """Return the rule set of a revision; None is the built-in one."""
        return default_rules() if record is None else await self.compiled(record.files)

    async def run(self, work: Callable[[Cancelled], T], gone: Cancelled = lambda: False) -> T:
        """Return what `work` returns in a thread; it is told when nobody waits for it any more."""
        over = threading.Event()
        try:
            return await trio.to_thread.run_sync(
                partial(work, lambda: over.is_set() or gone()),
                limiter=self._limiter,
                abandon_on_cancel=True,
            )
        finally:
            over.set()


def check_files(files: Mapping[str, str]) -> None:
    """Refuse files that are none, too many, or badly named."""
    if not 1 <= len(files) <= RULE_FILES_MAX:
        raise NotAllowed("bad_request", f"files: must be 1 to {RULE_FILES_MAX}")
    for name in files:
        check_name(name, "files: a name")


class Breath:
    """Called between small steps of work: rests as long as it was worked, after each burst."""

    __slots__ = ("_clock", "_rest", "_since")

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._since = clock()

    def __call__(self) -> None:
        worked = self._clock() - self._since
        if worked >= BURST_S:
            self._rest(worked)
            self._since = self._clock()


def paced(
    steps: Iterator[T],
    for_s: float,
    cancelled: Cancelled,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> T | None:
    """Take `steps` for about `for_s` seconds, rests included; return the last that was taken."""
    breath = Breath(clock, rest)
    end = clock() + for_s
    last: T | None = None
    for step in steps:
        last = step
        if clock() >= end or cancelled():
            break
        breath()
    return last
