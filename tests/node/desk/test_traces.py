"""Requests that are traced, by every way in: the span of each, and what its log lines bear."""

import json
import subprocess
import sys

import pytest

from cluster.port import Unavailable
from cluster.tracing import CURRENT, Span, Trace
from node.protocol import catalogue as ops
from tests.node.desk.office import Office, office
from tests.node.desk.test_calls import Caller
from tests.node.desk.test_over_sockets import listening

OURS = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
TRACE = str(OURS)


def spans_of(desk: Office) -> list[Span]:
    spans: list[Span] = []
    desk.desks["n1"].watch_spans(spans.append)
    return spans


async def test_a_request_by_websocket_bears_its_trace_as_a_field() -> None:
    async with office() as desk:
        spans = spans_of(desk)
        visitor = await desk.visitor()
        cv = (await visitor.ok(ops.CvOpen(key="k", trace=TRACE)))["cv"]
        await visitor.ok(ops.CvGet(cv=cv, trace=TRACE))
        await visitor.err(ops.StatusSet(status="online", trace=TRACE))
        await visitor.err(ops.MsgSend(cv="nothing", key="k", body="?", trace=TRACE))
        told = [(span.attributes["op"], span.attributes["outcome"]) for span in spans]
        assert told[:2] == [("cv.open", "ok"), ("cv.get", "ok")]
        assert told[-1] == ("msg.send", "not_found")
        assert {(span.at.trace_id, span.parent_id) for span in spans} == {
            (OURS.trace_id, OURS.span_id)
        }
        assert CURRENT.get() is None


async def test_a_request_by_http_bears_it_as_a_header() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        spans = spans_of(desk)
        crm = Caller(port)
        await crm.call("cv.open", {"key": "k"}, traceparent=TRACE)
        await crm.call("cv.get", {"cv": "nothing"}, traceparent=TRACE)
        await crm.call("cv.open", {"key": "l"}, traceparent="nonsense")
        told = [(span.attributes["op"], span.attributes["outcome"]) for span in spans]
        assert told == [("cv.open", "ok"), ("cv.get", "http_404")]


async def test_a_request_without_an_outcome_says_so() -> None:
    async with office() as desk:
        spans = spans_of(desk)
        visitor = await desk.visitor()
        desk.port().unavailable = Unavailable("no_leader", "nobody leads")
        await visitor.err(ops.CvOpen(key="k", trace=TRACE))
        (span,) = spans
        assert span.attributes["outcome"] == "no_leader"


PROGRAM = """
import structlog
from cluster.tracing import Trace, within
from node.logs import configure
configure("json", "info", node="n1")
log = structlog.get_logger()
with within(Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")):
    log.info("served")
log.info("not traced")
"""


def test_lines_that_are_written_meanwhile_bear_the_trace() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    traced, plain = (json.loads(line) for line in ran.stderr.splitlines())
    assert (traced["trace_id"], traced["span_id"]) == (OURS.trace_id, OURS.span_id)
    assert not {"trace_id", "span_id"} & plain.keys()


@pytest.mark.parametrize("trace", ["", "nonsense", "x" * 60_000])
async def test_whatever_the_field_says_the_request_is_served(trace: str) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        await visitor.ok(ops.CvOpen(key="k", trace=trace))
