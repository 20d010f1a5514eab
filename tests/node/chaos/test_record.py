"""The arithmetic of a run, and its record and page."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from node.chaos import record as records
from node.chaos.page import page
from node.chaos.plot import nice_step, standings, timeline
from node.chaos.record import Happened, Injected, NodeRow, Record, decode, encode
from node.replay.checker import KINDS


def run_of(**fields: object) -> Record:
    given: dict[str, object] = {
        "title": 'A <b>"bold"</b> & 中文 title',
        "began_ms": 1_760_000_000_000,
        "seconds": 12.5,
        "nodes": [NodeRow(id="n1", zone="dc1"), NodeRow(id="n2", zone="<dc2>")],
        "visitors": 3,
        "agents": 2,
        "conversations": 4,
        "acknowledged": 120,
        "observers": 30,
        "rate": [10, 11, 0, 0, 12, 9, 8, 10, 10, 10, 10, 10, 20],
        "latency_p50_ms": 20.0,
        "latency_p99_ms": 900.0,
        "reconnects": 2,
        "resends": 1,
        "faults": [
            Injected(
                step="<cut>",
                round=1,
                kind="partition",
                what="no links between n1 / n2",
                began_s=2.0,
                ended_s=4.0,
                stall_s=2.1,
                rate=0.0,
                healed_s=0.5,
            )
        ],
        "events": [
            Happened(at_s=2.4, kind="leader", node="n2", what="n2 leads, term 3"),
            Happened(at_s=2.5, kind="standing", node="n1", what="n1 fenced", standing="fenced"),
            Happened(at_s=4.5, kind="standing", node="n1", what="n1 serving", standing="serving"),
        ],
        "checks": records.checks(dict.fromkeys(KINDS, 0), jumps=0, over_capacity=0, not_one=0),
        "violations": [],
        "unfinished": [],
        "trouble": ["<script>alert(1)</script>"],
        "healed_s": 1.2,
    }
    return Record(**given | fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("acknowledged", "stall_s"),
    [
        ([1.0, 1.9, 2.1, 2.2, 3.0, 9.0], 6.0),
        ([1.9, 2.05, 2.6, 3.0, 3.4, 4.0, 4.9, 5.5, 6.0, 6.5, 7.2], 0.9),
        ([1.0, 7.5], 5.5),
        ([1.0], 10.0),
        ([], 10.0),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.1, 11.9], 1.0),
    ],
)
def test_a_stall_is_the_longest_silence_that_a_fault_began(
    acknowledged: list[float], stall_s: float
) -> None:
    found = records.stall_s(acknowledged, began_s=2.0, ended_s=4.0, end_s=12.0)
    assert found == pytest.approx(stall_s)


def test_messages_are_counted_by_the_second() -> None:
    assert records.per_second([0.0, 0.9, 1.0, 2.5, 9.0], 3.2) == [2, 1, 1, 0]
    assert records.rate_between([0.5, 1.0, 1.5, 4.0], 1.0, 2.0) == 2.0
    assert records.rate_between([0.5], 1.0, 1.0) == 0.0


def test_healing_is_measured_from_the_end_of_a_fault_to_the_next_one() -> None:
    samples = [(1.0, True), (2.0, False), (3.0, False), (4.5, True), (9.0, True)]
    assert records.healed_s(samples, 3.5, 8.0) == 1.0
    assert records.healed_s(samples, 5.0, 8.0) is None
    assert records.healed_s([], 5.0, 8.0) is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_violation_is_without_a_guarantee_that_it_breaks(kind: str) -> None:
    counts = {str(one): int(one == kind) for one in KINDS}
    run = run_of(checks=records.checks(counts, jumps=0, over_capacity=0, not_one=0))
    assert not run.good
    assert sum(check.found for check in run.checks) == 1


def test_a_cluster_that_is_not_one_again_is_a_violation() -> None:
    checks = records.checks(dict.fromkeys(KINDS, 0), jumps=0, over_capacity=0, not_one=1)
    assert [check.id for check in checks if not check.holds] == ["I7"]


def test_a_record_is_read_as_it_was_written() -> None:
    run = run_of()
    assert decode(encode(run)) == run
    with pytest.raises(ValueError, match="format 99"):
        decode(encode(run_of(format=99)))


def test_steps_that_were_not_done_are_kept_and_on_the_page() -> None:
    run = run_of(undone=["step <cut>: forbidden"])
    assert decode(encode(run)).undone == run.undone
    assert "<li>step &lt;cut&gt;: forbidden</li>" in page(run)
    assert "未执行的步骤" in page(run)
    assert "未执行的步骤" not in page(run_of())


def test_the_plot_is_xml_with_all_that_was_seen() -> None:
    run = run_of()
    picture = ET.fromstring(timeline(run))
    titles = [one.text or "" for one in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("1: no links between n1 / n2")
    assert "n2 leads, term 3, at 2.40 s" in titles
    assert "n1 fenced: 2.5 s to 4.5 s" in titles
    widths = [float(one.get("width", "0")) for one in picture.iter() if one.get("width")]
    assert all(width > 0 for width in widths)


def test_a_lane_has_no_hole() -> None:
    spans = standings(run_of(), "n1")
    assert spans == [(0.0, 2.5, "serving"), (2.5, 4.5, "fenced"), (4.5, 12.5, "serving")]


@pytest.mark.parametrize(
    ("most", "step"), [(0, 5e-10), (3, 1), (7, 2), (95, 50), (100, 50), (401, 200), (20_000, 5_000)]
)
def test_steps_of_an_axis_are_round(most: float, step: float) -> None:
    assert nice_step(most, 4) == pytest.approx(step)


def test_the_page_needs_nothing_else_and_lets_nothing_in() -> None:
    text = page(run_of())

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.seen: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}
            if tag != "meta":
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert not {"script", "link", "img", "b"} & set(reader.seen)
    assert "✓ Every guarantee held" in text


def test_a_broken_guarantee_is_what_one_sees_first() -> None:
    counts = {str(kind): 2 * (kind == "lost") for kind in KINDS}
    checks = records.checks(counts, jumps=0, over_capacity=0, not_one=0)
    text = page(run_of(checks=checks, violations=["lost: cv as n1 sees it: <x>"], healed_s=None))
    assert "✗ 1 of 6 guarantees did not hold" in text
    assert "lost: cv as n1 sees it: &lt;x&gt;" in text
