"""Figures of the desk: sessions, requests, fan-out, lists.  No I/O."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from node.desk.statistics import DeskStatistics, OverviewStatistics
from node.metrics.families import counter, counters, floats, gauge, gauges, histogram


def of_desk(desk: DeskStatistics) -> Iterator[Metric]:
    """Yield what clients ask and are told."""
    yield gauge("desk_connections", "WebSockets, also without hello", desk.connections)
    yield gauges("desk_sessions", "Live sessions by role", "role", floats(desk.sessions))
    yield gauge("desk_subscriptions", "Conversations followed, by session", desk.subscriptions)
    yield gauge("desk_in_flight", "Requests that wait for the log", desk.in_flight)
    yield counters("desk_requests", "Requests by operation", "op", floats(desk.requests_total))
    yield counters("desk_errors", "Requests refused, by code", "code", floats(desk.errors_total))
    byes = {str(code): float(count) for code, count in desk.byes_total.items()}
    yield counters("desk_byes", "Connections closed from here, by close code", "code", byes)
    yield counter("desk_events_sent", "Durable events sent", desk.events_sent_total)
    yield counter("desk_encoded", "Pushes encoded for fan-out", desk.encoded_total)
    yield counter("desk_resumes", "Subscriptions that were brought up to date", desk.resumes_total)
    yield counter("desk_gaps", "Resumes that could not be complete", desk.gaps_total)
    yield counter("desk_ephemeral", "Typing and receipts from here", desk.ephemeral_total)
    yield histogram("desk_durable_seconds", "From a durable request to its answer", desk.durable)
    yield histogram(
        "fan_out_seconds", "From an applied entry to its frames at the sockets", desk.fan_out
    )
    yield from _lists(desk)


def _lists(desk: OverviewStatistics) -> Iterator[Metric]:
    yield gauge("lists_conversations", "Conversations that lists know", desk.lists_known)
    yield gauge("lists_missing", "Conversations that they do not know yet", desk.lists_missing)
    yield gauge("queue_watchers", "Sessions that watch queues", desk.queue_watchers)
    yield gauge("queue_places", "Visitors who are told their place in a queue", desk.places)
    yield gauge("search_texts", "Texts that can be found", desk.search_texts)
    yield gauge("search_to_read", "Conversations still to be read", desk.search_to_read)
    yield gauge("search_told", "Texts that wait to be taken in", desk.search_told)
    yield counter(
        "search_failures", "Times that the index was made anew", desk.search_failures_total
    )
    yield counter("search_questions", "Questions asked", desk.search_questions_total)
    yield counter("search_seconds", "Time that questions took", desk.search_seconds_total)
