"""From SIGKILL of the leader to the next acknowledged write through another node.

A write begins every 10 ms at a surviving node, whether or not earlier ones were answered.  What
counts is the first that was begun after the kill and acknowledged.  Beside it, etcd as shipped
(heartbeat 100 ms, election timeout 1 s), killed and asked in the same way.
"""

import json
import random
import time
from statistics import median

from scripts.bench_consensus import etcd
from scripts.bench_consensus.nodes import NoAnswer, Nodes, three_nodes

PROBE_S = 3.0
ETCD_PROBE_S = 6.0
BEFORE_S = (0.8, 1.2)
CAUGHT_UP_S = 1.0


def ours(trials: int, folder: str) -> dict[str, float]:
    """Return the figures of so many kills."""
    with three_nodes(folder) as nodes:
        return _figures([_kill(nodes, PROBE_S) for _ in range(trials)])


def beside(trials: int, folder: str) -> dict[str, float]:
    """Return the same of etcd."""
    with etcd.three_etcds(folder) as servers:
        return _figures([_kill_etcd(servers, ETCD_PROBE_S) for _ in range(trials)])


def _kill(nodes: Nodes, seconds: float) -> float:
    leader = nodes.wait_serving()
    survivor = nodes.follower(leader)
    nodes.tell(survivor, "probe", seconds=seconds)
    time.sleep(random.uniform(*BEFORE_S))
    killed = nodes.kill(leader)
    acknowledged = nodes.hear(survivor)["acknowledged"]
    nodes.start(leader)
    nodes.wait_serving()
    time.sleep(CAUGHT_UP_S)
    return _gap(acknowledged, killed)


def _kill_etcd(servers: etcd.Etcd, seconds: float) -> float:
    leader = servers.wait_leader()
    survivor = random.choice(sorted(servers.processes.keys() - {leader}))
    client = servers.client(survivor, "--times", "--seconds", str(seconds))
    time.sleep(random.uniform(*BEFORE_S))
    killed = servers.kill(leader)
    said, _ = client.communicate(timeout=seconds + 30)
    servers.start(leader)
    servers.wait_leader()
    time.sleep(CAUGHT_UP_S)
    return _gap(json.loads(said)["acknowledged"], killed)


def _gap(acknowledged: list[tuple[float, float]], killed: float) -> float:
    after = [ended for began, ended in acknowledged if began >= killed]
    if not after:
        raise NoAnswer("no write was acknowledged after the kill")
    return 1e3 * (min(after) - killed)


def _figures(gaps: list[float]) -> dict[str, float]:
    return {
        "trials": len(gaps),
        "min_ms": min(gaps),
        "median_ms": median(gaps),
        "max_ms": max(gaps),
    }
