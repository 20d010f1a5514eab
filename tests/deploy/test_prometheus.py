"""Alerts and dashboard against a real scrape of a real cluster, and each alert against a story."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import yaml

from node.client import RequestFailed, open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend, StatusSet
from tests.deploy.prometheus import DEPLOY, Prometheus, needs_prometheus, rules_of, scraping
from tests.deploy.stories import STORIES

DASHBOARD = json.loads((DEPLOY / "grafana" / "unidesk.json").read_text())
RULES = (*rules_of("recording.yml"), *rules_of("alerts.yml"))
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
_WORDS = re.compile(r"\b((?:unidesk|process|python)_\w+)")


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    """Yield (title of the panel, expression), with the dashboard's variables put in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], expression.replace("$instance", ".*")
    for one in DASHBOARD["annotations"]["list"]:
        yield one["name"], one["expr"]


async def a_day(cluster: LocalCluster) -> None:
    """Let somebody be answered, somebody wait, and somebody be refused."""
    visitor, agent = cluster.mint("visitor", "ada"), cluster.mint("agent", "ann", capacity=1)
    async with open_client(cluster.urls, agent) as ann, open_client(cluster.urls, visitor) as ada:
        await ann.request(StatusSet(status="online"))
        for number in range(3):
            cv = (await ada.request(CvOpen(key=f"k{number}", text="?")))["cv"]
            await ada.request(MsgSend(cv=cv, key=f"m{number}", body="hello"))
            await trio.sleep(1.2)
        with pytest.raises(RequestFailed):
            await ada.request(StatusSet(status="online"))
        await trio.sleep(1.2)


def names_on_the_page(cluster: LocalCluster) -> set[str]:
    with urllib.request.urlopen(
        f"http://{cluster.observe_address('n1').authority}/metrics"
    ) as page:
        lines = page.read().decode().splitlines()
    families = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    histograms = {name for name, kind in families.items() if kind == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return families.keys() | parts


async def until_firing(prometheus: Prometheus, *wanted: str) -> None:
    firing: set[str] = set()
    with trio.move_on_after(30):
        while not set(wanted) <= firing:
            await trio.sleep(0.5)
            firing = await prometheus.firing()
    assert set(wanted) <= firing


@pytest.mark.slow
@pytest.mark.process
@needs_prometheus
async def test_what_is_drawn_is_there_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    async with (
        LocalCluster(tmp_path / "cluster", observe=True) as cluster,
        scraping(cluster, tmp_path / "prometheus") as prometheus,
    ):
        await a_day(cluster)
        for title, expression in dashboard_expressions():
            if title != "Leaders":  # nobody else has led since
                assert await prometheus.ask(expression), (title, expression)
        names = names_on_the_page(cluster)
        for rule in RULES:
            await prometheus.ask(rule["expr"])
            assert set(_WORDS.findall(rule["expr"])) <= names, rule
            if "record" in rule and "ratio_5m" not in rule["record"]:
                assert await prometheus.ask(rule["record"]), rule["record"]
        await trio.sleep(2)
        down = {"UnideskNodeDown", "UnideskPeerDisconnected", "UnideskQuorumAtRisk"}
        lost = {"UnideskNoLeader", "UnideskNodeNotServing"}
        assert not await prometheus.firing() & (down | lost)

        leader = await cluster.wait_leader()
        first, second = [name for name in cluster.names if name != leader]
        await cluster.kill(first)
        await until_firing(prometheus, *down)
        await cluster.kill(second)
        await until_firing(prometheus, *lost)
        for name in (first, second):
            cluster.restart(name)
        await cluster.wait_ready()
        with trio.fail_after(60):
            while await prometheus.firing() & (down | lost):
                await trio.sleep(0.5)


@needs_prometheus
@pytest.mark.slow
def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    """`promtool test rules`, on made-up series, with the windows and waits of `deploy/`."""
    assert STORIES.keys() == ALERTS.keys(), "every alert has a story"
    cases = []
    for name, story in STORIES.items():
        for series, fires in ((story.bad, True), (story.good, False)):
            cases.append(
                {
                    "interval": "15s",
                    "input_series": [
                        {"series": key, "values": value} for key, value in series.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                            "eval_time": story.after,
                            "exp_samples": [{"labels": "{}", "value": story.times}]
                            if fires
                            else [],
                        }
                    ],
                }
            )
    tests = {
        "rule_files": [
            str(DEPLOY / "prometheus" / name) for name in ("recording.yml", "alerts.yml")
        ],
        "evaluation_interval": "15s",
        "tests": cases,
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(tests))
    ran = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_prometheus
@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_rule_files_are_what_prometheus_reads(name: str) -> None:
    path = DEPLOY / "prometheus" / name
    subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, check=True)


def test_every_alert_says_what_to_do() -> None:
    for name, rule in ALERTS.items():
        assert name.startswith("Unidesk")
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}


def test_every_panel_has_a_place_a_unit_and_a_question() -> None:
    shown = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Cluster", "Consensus", "Disk", "Desk", "Edge", "Healing"]
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(places)
    for panel in shown:
        assert panel["targets"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
