"""One message's way through three real nodes is one trace, at the collector and in the logs."""

import json
from pathlib import Path

import pytest
import trio

from cluster.tracing import Trace
from node.client import open_client
from node.local import LocalCluster
from node.local.folder import Sections
from node.protocol.catalogue import CvGet, CvOpen, MsgSend
from tests.node.tracing.collector import Collector, Taken, collector

pytestmark = pytest.mark.process
OURS = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
ALSO = Trace("4bf92f3577b34da6a3ce929d0e0e4737", "00f067aa0ba902b7")


async def spans_of(found: Collector, trace: Trace, wanted: int) -> list[Taken]:
    spans: list[Taken] = []
    with trio.move_on_after(40):
        while len(spans) < wanted:
            await trio.sleep(0.05)
            spans = [span for span in found.spans if span.trace_id == trace.trace_id]
    return spans


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "workers"), [(3, 0), (1, 1)])
async def test_a_message_leaves_one_trace_over_all_nodes(
    tmp_path: Path, nodes: int, workers: int
) -> None:
    with collector() as found:
        sections: Sections = {
            "trace": {"endpoint": found.endpoint, "sample": 0},
            "log": {"level": "debug"},
            "node": {"workers": workers},
        }
        async with LocalCluster(tmp_path, nodes=nodes, sections=sections) as cluster:
            leader = await cluster.wait_leader()
            first = next((name for name in cluster.names if name != leader), leader)
            token = cluster.mint("visitor", "ada")
            async with open_client([cluster.url(first)], token) as client:
                cv = (await client.request(CvOpen(key="open")))["cv"]
                await client.request(MsgSend(cv=cv, key="k", body="hi", trace=str(OURS)))
                await client.request(CvGet(cv=cv, trace=str(ALSO)))
            everywhere = 2 * len(cluster.names)
            spans = await spans_of(found, OURS, everywhere + 3)
            assert len(await spans_of(found, ALSO, 1)) == 1, "a read has no way through the log"
        by_name = {
            name: [one for one in spans if one.name == name]
            for name in ("request", "propose", "replicate", "apply", "fan_out")
        }
        here = first if not workers else f"{first}/worker-1"
        core = "/core" if workers else ""
        (request,), (propose,), (replicate,) = (
            by_name[name] for name in ("request", "propose", "replicate")
        )
        assert (request.node, request.parent_id) == (here, OURS.span_id)
        assert request.attributes["unidesk.op"] == "msg.send"
        assert request.attributes["unidesk.outcome"] == "ok"
        assert (propose.node, propose.parent_id) == (first + core, request.span_id)
        assert (replicate.node, replicate.parent_id) == (leader + core, propose.span_id)
        for name in ("apply", "fan_out"):
            told_by = {one.node for one in by_name[name]}
            assert told_by == {one + core for one in cluster.names}, name
            assert {one.parent_id for one in by_name[name]} == {propose.span_id}
        assert request.start_ns <= request.end_ns
        assert len({span.span_id for span in spans}) == len(spans)
        assert {span.trace_id for span in found.spans} == {OURS.trace_id, ALSO.trace_id}
    for name in cluster.names:
        lines = [
            json.loads(line)
            for line in cluster.folder.log(name).read_text().splitlines()
            if line.startswith("{")
        ]
        told = {one["name"] for one in lines if one.get("trace_id") == OURS.trace_id}
        assert {"apply", "fan_out"} <= told, name
