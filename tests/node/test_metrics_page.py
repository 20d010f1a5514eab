"""The page of figures: its formats, its bounds, and the reference that lists them."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec.structs import replace as with_fields
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from cluster.figures import PeerVitals
from cluster.heal.journal import Journal
from cluster.heal.rules import RULES
from cluster.state.routings import Counts
from node.metrics import Metrics, Sources
from node.metrics.certificates import Certificates, of_certificates
from node.metrics.page import NodeCollector
from node.processes import ProcessFigures, this_process
from scripts.metrics_page import PAGE, idle_sources, page
from tests.deploy.prometheus import needs_prometheus
from wal.histogram import REQUEST_BOUNDS_S, Example, Histogram

ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus sends."""
SERIES_MAX = 2_000
"""Of one node, whatever people and programs do to it."""


def test_prometheus_gets_openmetrics_and_others_the_text_format() -> None:
    metrics = Metrics(idle_sources())
    body, content_type = metrics.page(ACCEPT)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    parse: Any = openmetrics
    assert list(parse(body.decode()))
    for accept in ("", "*/*", "text/html", "application/openmetrics-text;version=x", "\xff;;=,"):
        body, content_type = metrics.page(accept)
        if "openmetrics" not in content_type:
            assert content_type == "text/plain; version=0.0.4; charset=utf-8"
            assert b"# EOF" not in body
        assert b"unidesk_commit_seconds_bucket" in body


def test_the_reference_lists_what_there_is() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "python -m scripts.metrics_page"


def test_a_bucket_names_a_trace_that_fell_into_it_in_openmetrics_alone() -> None:
    histogram = Histogram(REQUEST_BOUNDS_S)
    histogram.observe(0.3)
    histogram.show(Example(0.3, "4bf92f3577b34da6a3ce929d0e0e4736", 1_760_000_000.0))
    sources = idle_sources()
    desk = replace(sources.desk(), durable=histogram.buckets())
    sources.desk = lambda: desk
    body = Metrics(sources).page(ACCEPT)[0].decode()
    assert (
        'unidesk_desk_durable_seconds_bucket{le="0.5"} 1.0'
        ' # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.3 1760000000.0'
    ) in body
    assert "trace_id" not in Metrics(sources).page()[0].decode()


@needs_prometheus
@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here")
def test_names_and_words_please_promtool() -> None:
    body, _ = Metrics(idle_sources()).page()
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, b"")


def series(sources: Sources) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    metric: Metric
    for metric in NodeCollector(sources).collect():
        for sample in metric.samples:
            yield sample.name, tuple(sample.labels.items())


def test_whatever_people_and_programs_do_the_number_of_series_is_bounded() -> None:
    """Everything that others choose the number of, a hundred thousand of each."""
    many = {f"q{number}": number for number in range(100_000)}
    sources = idle_sources()
    assert sources.figures is not None
    state = replace(
        sources.state(),
        waiting=many,
        unstaffed=list(many),
        tallies=many,
        rules=Counts(Counter(many), Counter(many), Counter(many)),
    )
    heal = {rule.name: {"done": 1} for rule in RULES.values()} | {"no rule of ours": {"done": 1}}
    figures: Any = with_fields(sources.figures(), heal=heal)  # type: ignore[type-var]
    busy = replace(sources, state=lambda: state, figures=lambda: figures)
    found = list(series(busy))
    assert len(found) == len(set(found)) < SERIES_MAX
    values = {label: value for _, labels in found for label, value in labels}
    assert "no rule of ours" not in values.values()


def test_a_healing_is_counted_by_rule_and_outcome_from_the_beginning() -> None:
    journal = Journal(lambda: 0)
    journal.note(1, "no majority", "fenced")
    sources = idle_sources()
    assert sources.figures is not None
    figures: Any = sources.figures()
    sources.figures = lambda: with_fields(
        figures, heal={name: {outcome: n} for (name, outcome), n in journal.counts.items()}
    )
    body = Metrics(sources).page()[0].decode()
    assert 'unidesk_heal_actions_total{outcome="done",rule="minority"} 1.0' in body
    assert 'unidesk_heal_actions_total{outcome="failed",rule="slow disk"} 0.0' in body


def test_other_nodes_are_named_by_what_they_say() -> None:
    sources = idle_sources()
    assert sources.figures is not None
    told = {"n2": PeerVitals(0.1, -0.25, 2, "0.2", "dc2", "serving")}
    figures: Any = with_fields(sources.figures(), vitals=told)  # type: ignore[type-var]
    sources.figures = lambda: figures
    body = Metrics(sources).page()[0].decode()
    assert 'unidesk_peer_clock_ahead_seconds{peer="n2"} -0.25' in body
    assert 'unidesk_peer_info{peer="n2",version="0.2",zone="dc2"} 1.0' in body


def test_every_process_of_the_node_is_there() -> None:
    sources = idle_sources()
    here = this_process()
    gone = ProcessFigures(2**22 + 1, (1, 1, 1), (0, 0, 0), (0, 0, 0))
    sources.processes = lambda: {"core": here, "worker-1": here, "worker-2": gone}
    body = Metrics(sources).page()[0].decode()
    assert 'process_resident_memory_bytes{process="worker-1"}' in body
    assert 'process_resident_memory_bytes{process="worker-2"}' not in body, "it has just ended"
    assert 'python_gc_collections_total{generation="2",process="core"}' in body


def test_a_certificate_says_when_it_ends_and_a_new_one_is_found(tmp_path: Path) -> None:
    authority, path = trustme.CA(), tmp_path / "node.pem"
    certificates = Certificates({"client": path, "peer": tmp_path / "missing.pem"})
    assert certificates.not_after_s() == {}
    path.write_bytes(authority.issue_cert("a.example").cert_chain_pems[0].bytes())
    (first,) = certificates.not_after_s().values()
    assert first > 1_700_000_000
    assert certificates.not_after_s() == {"client": first}
    path.write_text("no certificate")
    assert certificates.not_after_s() == {}
    assert list(of_certificates(certificates))
