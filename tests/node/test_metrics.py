"""`/metrics`: figures of every part, with names and units that Prometheus expects."""

import re
from typing import Any

from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from cluster.state.commands import SYSTEM, ApplyRules, RouteConversation
from cluster.state.missed import REASONS
from cluster.state.route import Queue, Route, Step
from node.config import LimitsConfig
from node.edge.http import Request, Response
from node.edge.pressure import Level
from node.edge.statistics import EdgeStatistics
from node.protocol import catalogue as ops
from tests.node.desk.office import Office, office
from wal.histogram import DISK_BOUNDS_S, Histogram
from wal.log import LogStatistics

EDGE = EdgeStatistics(
    connections=2,
    handshaking=0,
    requests_running=0,
    accepted_total=3,
    opened_total=2,
    closed_total=0,
    requests_total=1,
    messages_in_total=9,
    messages_out_total=8,
    bytes_in_total=700,
    bytes_out_total=800,
    slow_consumers_total=0,
    ephemeral_dropped_total=0,
    application_errors_total=0,
    refused_total={"431": 1, "ws_1002": 2},
    loop_lag_s=0.001,
    level=Level.HIGH,
    memory_bytes=1_000_000,
    addresses=3,
    loop_lag_s_max=0.01,
)


def wal_statistics() -> LogStatistics:
    names = LogStatistics.__dataclass_fields__
    figures: dict[str, Any] = dict.fromkeys(names, 1)
    return LogStatistics(**{**figures, "sync_buckets": Histogram(DISK_BOUNDS_S).buckets()})


def scrape(desk: Office) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = desk.desks["n1"].pages.answer(Request("GET", "/metrics", "", (), b"", "x:1"))
    assert isinstance(answer, Response)
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(answer.body.decode())
        for sample in family.samples
    }


async def test_what_happened_is_in_the_figures() -> None:
    async with office() as desk:
        desk.desks["n1"].sources.edge = lambda: EDGE
        desk.desks["n1"].sources.wal = wal_statistics
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        await visitor.err(ops.StatusSet(status="online"))
        desk.routed(await desk.opened(visitor), "vip")
        found = scrape(desk)
        expected = {
            ("unidesk_node_standing", (("standing", "serving"),)): 1,
            ("unidesk_node_standing", (("standing", "fenced"),)): 0,
            ("unidesk_raft_leader", ()): 1,
            ("unidesk_peer_connected", (("peer", "n2"),)): 1,
            ("unidesk_conversations", (("state", "assigned"),)): 1,
            ("unidesk_waiting", (("queue", "vip"),)): 1,
            ("unidesk_agents", (("status", "online"),)): 1,
            ("unidesk_desk_sessions", (("role", "visitor"),)): 1,
            ("unidesk_desk_requests_total", (("op", "cv.open"),)): 2,
            ("unidesk_desk_errors_total", (("code", "forbidden"),)): 1,
            ("unidesk_edge_sent_bytes_total", ()): 800,
            ("unidesk_edge_refused_total", (("reason", "ws_1002"),)): 2,
            ("unidesk_wal_syncs_total", ()): 1,
        }
        for key, value in expected.items():
            assert found[key] == value, key
        durable = found["unidesk_desk_durable_seconds_count", ()]
        assert durable == found["unidesk_desk_durable_seconds_bucket", (("le", "+Inf"),)] >= 3


async def test_parts_that_are_not_there_yet_are_left_out() -> None:
    async with office() as desk:
        names = {name for name, _ in scrape(desk)}
        assert not any(name.startswith(("unidesk_edge", "unidesk_wal")) for name in names)
        assert "unidesk_raft_term" in names


async def test_names_and_units_are_in_order() -> None:
    async with office() as desk:
        sources = desk.desks["n1"].sources
        sources.edge, sources.wal = lambda: EDGE, wal_statistics
        answer = desk.desks["n1"].pages.answer(Request("GET", "/metrics", "", (), b"", "x:1"))
        assert isinstance(answer, Response)
        for family in families(answer.body.decode()):
            assert re.fullmatch(r"(unidesk|process|python_gc)_[a-z][a-z_]*", family.name), (
                family.name
            )
            assert family.documentation, family.name
            assert not family.name.endswith(("_ms", "_s", "_kb", "_count"))
            for sample in family.samples:
                assert len(sample.labels) <= 3
        registry = desk.desks["n1"].pages._metrics._registry
        exposed: Any = openmetrics
        assert exposed(registry).endswith(b"# EOF\n")


async def test_no_label_names_a_person_or_a_conversation() -> None:
    async with office() as desk:
        visitor = await desk.visitor("somebody-in-particular")
        cv = await desk.opened(visitor)
        text = str(scrape(desk).keys())
        assert cv not in text
        assert "somebody" not in text


OF_THE_DAY = {
    "unidesk_sla_warnings_total": {"clock": {"first_response", "next_response", "resolution"}},
    "unidesk_sla_breaches_total": {"clock": {"first_response", "next_response", "resolution"}},
    "unidesk_missed_total": {"why": set(REASONS)},
    "unidesk_ratings_total": {"score": {"1", "2", "3", "4", "5"}},
    "unidesk_unserved": {"list": {"missed", "offline", "callback"}},
    "unidesk_queue_alerts_total": {},
    "unidesk_lists_conversations": {},
    "unidesk_lists_missing": {},
    "unidesk_queue_watchers": {},
    "unidesk_queue_places": {},
    "unidesk_search_texts": {},
    "unidesk_search_to_read": {},
    "unidesk_search_told": {},
    "unidesk_search_failures_total": {},
    "unidesk_search_questions_total": {},
    "unidesk_search_seconds_total": {},
}
"""Name, and the values that each label has from the first scrape on."""


async def test_what_a_day_brings_has_its_figures_from_the_beginning() -> None:
    async with office("n1") as desk:
        found = scrape(desk)
        for name, labels in OF_THE_DAY.items():
            (told,) = [{label for label, _ in pairs} for one, pairs in found if one == name][:1]
            assert told == set(labels), name
            for label, values in labels.items():
                assert {dict(pairs)[label] for one, pairs in found if one == name} == values
        assert all(found[name, ()] == 0 for name, labels in OF_THE_DAY.items() if not labels)


async def test_however_many_queues_and_rules_there_are_the_labels_are_bounded() -> None:
    async with office("n1", limits=LimitsConfig(visitor_requests_per_s=0)) as desk:
        names = ["other", "none", *(f"q{number}" for number in range(148))]
        visitor, queues = await desk.visitor(), dict.fromkeys(names, Queue())
        desk.cluster.do(ApplyRules(SYSTEM, {"main.toml": ""}, queues))
        for queue in queues:
            cv = (await visitor.ok(ops.CvOpen(key=queue, text="?")))["cv"]
            route = Route((Step(queue),), queue, 1)
            desk.cluster.do(RouteConversation(cv, route))
        found = scrape(desk)
        for name, label in (("unidesk_waiting", "queue"), ("unidesk_rule_matched", "rule")):
            told = {
                dict(pairs)[label]: value for (one, pairs), value in found.items() if one == name
            }
            assert len(told) == 100, name
            assert (told["other"], sum(told.values())) == (51, 150), name
