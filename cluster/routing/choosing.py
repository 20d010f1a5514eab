"""The agent for one conversation, and why that one.  No I/O.

    named line    that agent alone, if here with room; one transferred by name may take nothing else
    other lines   the first, by the queue's order, of every bucket that fits; of those the first
    sticky        before all, whoever served the visitor last, if they fit

The choice says what told the chosen from the next in line, who else was looked at and why they
were not chosen, and how many were passed over for which reason.  It costs what the choice itself
cost: no agent is looked at for its sake.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from cluster.routing.pool import Bucket, Kind, Pool, Rank
from cluster.state.limits import CHOICE_PASSED_MAX, NAME_BYTES_MAX
from cluster.state.lines import Line
from cluster.state.model import Agent, Conversation
from cluster.state.route import Choice, Queue
from cluster.state.state import State

PASSED_PAUSE_MS = 3_000
"""Before an agent who passed on a conversation is asked for it again."""
LOOKS_MAX = 10_000
"""Buckets, agents and lines looked at in one plan, some milliseconds; the next plan goes on from
there."""
JUDGE_LOOKS = 10
"""What the judgement of a need counts."""
JUDGED_BYTES_MAX = 32 << 20
"""What is remembered of which kinds of agents fit what, about; of more all is forgotten."""
JUDGED_BYTES = 200
"""Of one judgement, but for the need's text."""

_Requirement = tuple[str, tuple[tuple[str, int], ...]]
_NOTHING: dict[_Requirement, bool] = {}

_BY_PERSON = re.compile(r"\b(id|name)\b")
"""In a need: it may tell agents of one kind apart."""


class Judge(Protocol):
    """What judges needs; see `needs.Needs`."""

    def fits(self, need: str, agent: Agent) -> bool: ...
    def why_not(self, need: str, agent: Agent) -> str: ...


class Chosen(NamedTuple):
    agent: str
    choice: Choice


class _Candidate(NamedTuple):
    rank: Rank
    bucket: Bucket


class Chooser:
    """Chooses from `pool`, which the caller keeps as `state` is at `now_ms`."""

    def __init__(self, pool: Pool, judge: Judge) -> None:
        self._pool = pool
        self._judge = judge
        self.state = State()
        self.now_ms = 0
        self.looks = 0
        """What was looked at, as `LOOKS_MAX` counts."""
        self._fits: dict[Kind, dict[_Requirement, bool]] = {}
        self._fits_bytes = 0

    def choose(
        self, conversation: Conversation, line: Line, settings: Queue | None
    ) -> Chosen | int:
        """Return who is to be offered `conversation`.

        For nobody return when to try again although nothing changes, in milliseconds; 0 for never.
        """
        order = settings.agent_order if settings is not None else "longest_idle"
        if line.named:
            return self._named(conversation, line, order)
        if order == "sticky":
            last = self._last(conversation, line)
            if last is not None:
                return self._chosen(conversation, line, order, last, None, "served them last")
            order = "longest_idle"
        first, second = self._first_two(line, order)
        if first is None:
            return self._rested(conversation, line, order)
        return self._chosen(conversation, line, order, first, second, "")

    def fits(self, line: Line, bucket: Bucket) -> bool:
        """Whether agents of a bucket may be offered `line`, as far as their kind tells."""
        if bucket.room < line.weight:
            return False
        found = self._fits.get(bucket.kind, _NOTHING).get((line.need, line.skills))
        return found if found is not None else self._judge_kind(line, bucket)

    def fitting(self, lines: list[Line], buckets: list[Bucket]) -> Iterator[Line | None]:
        """Yield those lines, but for the named ones, of which a bucket may be offered something.

        None where `LOOKS_MAX` is reached: goes on when `looks` begins anew.
        """
        for bucket in buckets:
            for line in lines:
                while self.looks >= LOOKS_MAX:
                    yield None
                if not bucket.names:  # all of them changed meanwhile, and were told of again
                    break
                self.looks += 1
                if not line.named and self.fits(line, bucket):
                    yield line

    def _judge_kind(self, line: Line, bucket: Bucket) -> bool:
        fits = not bucket.kind.lacks(line.skills)
        if fits and line.need and not _BY_PERSON.search(line.need):
            self.looks += JUDGE_LOOKS
            fits = self._judge.fits(line.need, self.state.agents[next(iter(bucket.names))])
        self._fits_bytes += JUDGED_BYTES + len(line.need)
        if self._fits_bytes > JUDGED_BYTES_MAX:
            self._fits.clear()
            self._fits_bytes = 0
        self._fits.setdefault(bucket.kind, {})[line.need, line.skills] = fits
        return fits

    def _first_two(self, line: Line, order: str) -> tuple[_Candidate | None, _Candidate | None]:
        """Return who is first in order, and who would be without them."""
        first = second = None
        for bucket in self._pool.buckets.values():
            self.looks += 1
            if not self.fits(line, bucket):
                continue
            for rank in self._ranks(line, bucket, order):
                one = _Candidate(rank, bucket)
                if first is None or rank < first.rank:
                    first, second = one, first
                elif second is None or rank < second.rank:
                    second = one
        return first, second

    def _ranks(self, line: Line, bucket: Bucket, order: str) -> list[Rank]:
        """Return the first two of a bucket who did not pass on it."""
        found: list[Rank] = []
        by_person = bool(line.need) and _BY_PERSON.search(line.need) is not None
        for rank in bucket.line(order):
            self.looks += 1
            if rank[2] in line.passed:
                continue
            if by_person and not self._judge.fits(line.need, self.state.agents[rank[2]]):
                continue
            found.append(rank)
            if len(found) == 2:
                break
        return found

    def _named(self, conversation: Conversation, line: Line, order: str) -> Chosen | int:
        agent = self.state.agents.get(line.named)
        self.looks += 1
        if agent is None or not self.state.may_be_offered(agent, by_name=line.by_name):
            return 0
        if self._pool.room(agent) < line.weight or not self._is_able(line, agent):
            return 0
        if agent.agent in line.passed and self._rests_until_ms(agent) > self.now_ms:
            return self._rests_until_ms(agent)
        tie = "transferred to them" if line.by_name else "served them last"
        choice = Choice(self.now_ms, agent.agent, conversation.step, order, tie)
        return Chosen(agent.agent, choice)

    def _last(self, conversation: Conversation, line: Line) -> _Candidate | None:
        name = self.state.served.get((conversation.visitor_kind, conversation.visitor), "")
        bucket = self._pool.bucket(name)
        if bucket is None or name in line.passed or not self.fits(line, bucket):
            return None
        if not self._is_able(line, self.state.agents[name]):
            return None
        return _Candidate(self._pool.rank("longest_idle", name), bucket)

    def _rested(self, conversation: Conversation, line: Line, order: str) -> Chosen | int:
        """Choose one who passed on it and has rested; else return when somebody will have."""
        rested: list[_Candidate] = []
        wake_ms = 0
        for name in line.passed:
            self.looks += 1
            bucket = self._pool.bucket(name)
            if bucket is None or not self.fits(line, bucket):
                continue
            agent = self.state.agents[name]
            if not self._is_able(line, agent):
                continue
            until_ms = self._rests_until_ms(agent)
            if until_ms <= self.now_ms:
                rested.append(_Candidate(self._pool.rank(order, name), bucket))
            else:
                wake_ms = min(wake_ms, until_ms) if wake_ms else until_ms
        if not rested:
            return wake_ms
        first, *others = sorted(rested, key=lambda one: one.rank)
        second = others[0] if others else None
        return self._chosen(conversation, line, order, first, second, "all others passed on it too")

    def _is_able(self, line: Line, agent: Agent) -> bool:
        return not agent.lacks(dict(line.skills)) and self._judge.fits(line.need, agent)

    @staticmethod
    def _rests_until_ms(agent: Agent) -> int:
        return agent.idle_since_ms + PASSED_PAUSE_MS

    # -- why

    def _chosen(
        self,
        conversation: Conversation,
        line: Line,
        order: str,
        first: _Candidate,
        second: _Candidate | None,
        tie: str,
    ) -> Chosen:
        name = first.rank[2]
        passed: dict[str, str] = {}
        if second is not None:
            passed[second.rank[2]] = "later in line"
        counts = {reason: count for reason, count in self._pool.why_not.items() if count}
        later = unfit = 0
        for bucket in self._pool.buckets.values():
            if self.fits(line, bucket):
                later += len(bucket.names)
            else:
                unfit += len(bucket.names)
                if len(passed) < CHOICE_PASSED_MAX:
                    one = next(iter(bucket.names))
                    passed[one] = self._why_unfit(line, bucket, one)
        for one in line.passed:
            if len(passed) < CHOICE_PASSED_MAX and one != name:
                passed[one] = "passed on it"
        counts |= {what: n for what, n in (("later", later - 1), ("unfit", unfit)) if n > 0}
        choice = Choice(
            self.now_ms,
            name,
            conversation.step,
            order,
            (tie or self._tie(order, first, second))[:NAME_BYTES_MAX],
            tuple(passed.items()),
            counts,
        )
        return Chosen(name, choice)

    def _tie(self, order: str, first: _Candidate, second: _Candidate | None) -> str:
        if second is None:
            return "nobody else fits"
        if first.rank[:2] == second.rank[:2]:
            return "equal, and first by id"
        if order.startswith("proficiency:") and first.rank[0] != second.rank[0]:
            return f"level {-first.rank[0]}, the next {-second.rank[0]}"
        if order == "least_loaded" and first.rank[0] != second.rank[0]:
            return f"{first.rank[0] // 10_000} % of capacity, the next {second.rank[0] // 10_000} %"
        if order == "round_robin":
            return "offered something longest ago"
        return "idle for longest"

    def _why_unfit(self, line: Line, bucket: Bucket, name: str) -> str:
        if bucket.room < line.weight:
            return f"room for {bucket.room}, and it weighs {line.weight}"
        lacks = bucket.kind.lacks(line.skills)
        if lacks:
            level = dict(bucket.kind.skills).get(lacks)
            least = dict(line.skills)[lacks]
            if level is None:
                return _short(f"lacks {lacks}")
            return _short(f"{lacks} is {level}, at least {least} is asked for")
        return _short(self._judge.why_not(line.need, self.state.agents[name]))


def _short(reason: str) -> str:
    return reason.encode()[:NAME_BYTES_MAX].decode(errors="ignore")
