"""Traces between nodes: what is followed, and what comes of it."""

import pytest

from cluster.tracing import CURRENT, TRACED_MAX, Span, Trace, Traces, parse, within

OURS = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Node:
    """One node's traces on a clock that stands."""

    def __init__(self, name: str) -> None:
        self.now_s = 10.0
        self.traces = Traces(name, lambda: self.now_s, lambda: 1_760_000_000_000)
        self.spans: list[Span] = []
        self.traces.on_span.add(self.spans.append)

    def apply(self, *named: tuple[str, str, int]) -> None:
        self.traces.applied(7, named, 12.0, 12.5, 13.0)


def test_a_traceparent_is_read_as_it_was_written() -> None:
    assert parse(str(OURS)) == OURS
    unsampled = Trace(OURS.trace_id, OURS.span_id, sampled=False)
    assert parse(str(unsampled)) == unsampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "x" * 10_000,
    ],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert parse(text) is None


def test_one_proposal_is_one_trace_at_all_nodes() -> None:
    first, leader, third = Node("n1"), Node("n2"), Node("n3")
    told = first.traces.begin("boot", 5, OURS)
    assert leader.traces.hear("n1", told)
    assert third.traces.hear("n1", told)
    leader.now_s = 11.0
    leader.traces.appended([("n1", "boot", 5), ("n3", "boot", 9)])
    for node in (first, leader, third):
        node.apply(("n1", "boot", 5), ("n3", "boot", 9))
    propose = first.spans[0]
    assert (propose.name, propose.parent_id) == ("propose", OURS.span_id)
    names = [[span.name for span in node.spans] for node in (first, leader, third)]
    assert names == [
        ["propose", "apply", "fan_out"],
        ["replicate", "apply", "fan_out"],
        ["apply", "fan_out"],
    ]
    everything = [*first.spans, *leader.spans, *third.spans]
    assert {span.at.trace_id for span in everything} == {OURS.trace_id}
    assert len({span.at.span_id for span in everything}) == len(everything)
    assert {span.parent_id for span in everything[1:]} == {propose.at.span_id}
    replicate = leader.spans[0]
    assert replicate.end_ns - replicate.start_ns == 1_000_000_000
    assert not any((first.traces, leader.traces, third.traces)), "nothing is kept"


def test_it_is_told_once_however_often_the_entry_comes() -> None:
    node = Node("n1")
    node.traces.begin("boot", 5, OURS)
    node.apply(("n1", "boot", 5))
    told = len(node.spans)
    node.apply(("n1", "boot", 5))
    assert len(node.spans) == told


def test_what_never_comes_gives_way() -> None:
    node = Node("n1")
    for number in range(TRACED_MAX + 1):
        node.traces.begin("boot", number, OURS)
    node.apply(("n1", "boot", 0))
    assert not node.spans
    node.apply(("n1", "boot", 1))
    assert node.spans


@pytest.mark.parametrize(
    "told", [None, [], ["boot", 5], ["boot", "5", str(OURS)], ["boot", 5, "00-x"], {"boot": 5}]
)
def test_what_no_node_says_is_refused(told: object) -> None:
    node = Node("n1")
    assert not node.traces.hear("n2", told)
    assert not node.traces


def test_a_trace_holds_where_it_was_said_and_no_longer() -> None:
    with within(OURS):
        assert CURRENT.get() == OURS
        with within(None):
            assert CURRENT.get() == OURS
    assert CURRENT.get() is None
