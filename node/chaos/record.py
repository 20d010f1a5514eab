"""What came of a scenario: the record that is kept as JSON, and its arithmetic.  No I/O.

    acknowledged   ||||||||||      | |||||||||||||
                        ▲ fault ▲  ▲
                        │   stall  │   the longest silence that begins in it, or just behind it

Times are seconds since the run began.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from node.replay.checker import KINDS

FORMAT = 1
SETTLE_S = 3.0
"""Silence that begins so soon after a fault's end is still its doing."""
EXAMPLES_MAX = 20

EventKind = Literal["leader", "standing", "heal", "process", "chaos"]


class Injected(msgspec.Struct, kw_only=True):
    """A fault as it was."""

    step: str
    round: int
    kind: str
    what: str
    began_s: float
    ended_s: float
    stall_s: float = 0.0
    """The longest time without any acknowledged message."""
    rate: float = 0.0
    """Messages acknowledged a second while it lasted."""
    healed_s: float | None = None
    """From its end until every node served again; None when that was not seen."""


class Happened(msgspec.Struct, kw_only=True):
    """Something that the cluster did by itself, as seen from outside."""

    at_s: float
    kind: EventKind
    node: str
    what: str
    standing: str = ""
    """Of an event of that kind: what the node is from here on."""


class Check(msgspec.Struct, kw_only=True):
    """A guarantee, and how often it did not hold."""

    id: str
    what: str
    what_zh: str
    found: int

    @property
    def holds(self) -> bool:
        return not self.found


class NodeRow(msgspec.Struct, kw_only=True):
    id: str
    zone: str
    version: str = ""


class Record(msgspec.Struct, kw_only=True):
    """A run, whole."""

    format: int = FORMAT
    title: str
    began_ms: int
    seconds: float
    nodes: list[NodeRow]
    visitors: int
    agents: int
    conversations: int
    acknowledged: int
    observers: int
    rate: list[int]
    """Messages acknowledged in each second."""
    latency_p50_ms: float
    latency_p99_ms: float
    reconnects: int
    resends: int
    faults: list[Injected]
    events: list[Happened]
    checks: list[Check]
    violations: list[str]
    unfinished: list[str]
    """Conversations that took too long, each with the reason."""
    trouble: list[str]
    undone: list[str] = []
    """Steps that were refused, each with the reason."""
    healed_s: float | None = None
    """From the end of the last fault until all nodes had one state."""

    @property
    def good(self) -> bool:
        """Whether every guarantee held."""
        return all(check.holds for check in self.checks)

    @property
    def stall_max_s(self) -> float:
        """The longest stall of any fault."""
        return max((fault.stall_s for fault in self.faults), default=0.0)


def encode(record: Record) -> bytes:
    """Return the record as JSON, with the verdict as `ok`."""
    plain = {"ok": record.good, **msgspec.to_builtins(record)}
    return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"


def decode(data: bytes) -> Record:
    """Return what `encode` made.  Raises `ValueError`."""
    record = msgspec.json.decode(data, type=Record)
    if record.format != FORMAT:
        raise ValueError(f"format {record.format}; this release reads {FORMAT}")
    return record


def per_second(at_s: Iterable[float], seconds: float) -> list[int]:
    """Return how many there are in each second, from the first to the last."""
    counts = [0] * max(1, math.ceil(seconds))
    for one in at_s:
        if 0 <= one < len(counts):
            counts[int(one)] += 1
    return counts


def stall_s(at_s: Sequence[float], began_s: float, ended_s: float, end_s: float) -> float:
    """Return the longest silence that begins in a fault, or within SETTLE_S of its end.

    `at_s` rises; `end_s` is when the load ended, which ends the last silence.
    """
    last_s = min(ended_s + SETTLE_S, end_s)
    first, past = bisect_right(at_s, began_s), bisect_right(at_s, last_s)
    marks = [began_s, *at_s[first : past + 1]]
    if past >= len(at_s):
        marks.append(max(end_s, marks[-1]))
    return max((after - before for before, after in pairwise(marks)), default=0.0)


def rate_between(at_s: Sequence[float], began_s: float, ended_s: float) -> float:
    """Return how many there are a second."""
    if ended_s <= began_s:
        return 0.0
    return (bisect_right(at_s, ended_s) - bisect_left(at_s, began_s)) / (ended_s - began_s)


def healed_s(samples: Sequence[tuple[float, bool]], ended_s: float, next_s: float) -> float | None:
    """Return how long after `ended_s` all nodes served, before the next fault began.

    `samples` are (when, whether every node said that it serves), in their order.
    """
    for at_s, whole in samples:
        if at_s >= next_s:
            return None
        if at_s >= ended_s and whole:
            return at_s - ended_s
    return None


def checks(counts: dict[str, int], *, jumps: int, over_capacity: int, not_one: int) -> list[Check]:
    """Return the guarantees; `counts` are violations by the checker's kind.

    `not_one`: 0 if all nodes had one state in time, else how many had another.
    """
    assert counts.keys() <= set(KINDS)

    def of(*kinds: str) -> int:
        return sum(counts.get(kind, 0) for kind in kinds)

    return [
        Check(
            id="I1",
            what="nothing acknowledged is lost, doubled or changed",
            what_zh="已确认的内容不丢失、不重复、不改变",
            found=of("lost", "doubled", "text", "unsaid"),
        ),
        Check(
            id="I2",
            what="every observer sees 1, 2, 3 … in order, without a gap",
            what_zh="每位观察者看到的序号连续有序、没有缺口",
            found=of("out_of_order", "gap") + jumps,
        ),
        Check(
            id="I3",
            what="a conversation has one owner at a time",
            what_zh="一个会话同一时间只有一位负责人",
            found=of("owner"),
        ),
        Check(
            id="I4",
            what="no agent has more than they may",
            what_zh="客服的会话数不超过上限",
            found=of("capacity") + over_capacity,
        ),
        Check(
            id="I6",
            what="one side of a split decides: all nodes tell one history",
            what_zh="分区时只有一方作决定：所有节点的历史一致",
            found=of("differs"),
        ),
        Check(
            id="I7",
            what="after the last fault all nodes have one state, by themselves, in time",
            what_zh="最后一个故障之后，所有节点自行及时恢复到同一状态",
            found=not_one,
        ),
    ]
