"""A real Prometheus, from the system's packages, that scrapes a real cluster."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from node.local import LocalCluster
from node.local.ports import free_ports

DEPLOY = Path(__file__).parents[2] / "deploy"
REQUIRED = os.environ.get("UNIDESK_PROMETHEUS") == "required"
needs_prometheus = pytest.mark.skipif(
    not REQUIRED and not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no prometheus here: apt-get install prometheus; UNIDESK_PROMETHEUS=required fails then",
)


def rules_of(name: str) -> list[dict[str, Any]]:
    """Return the rules of one file of `deploy/prometheus`."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


class Prometheus:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                answer = json.load(page)
        except urllib.error.HTTPError as refused:
            with refused:
                raise OSError(refused.read().decode()) from None
        assert answer["status"] == "success", answer
        return answer["data"]

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression yields now.  Raises for one that is none."""
        data = await trio.to_thread.run_sync(lambda: self.get("/api/v1/query", query=expression))
        found: list[dict[str, Any]] = data["result"]
        return found

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        data = await trio.to_thread.run_sync(lambda: self.get("/api/v1/alerts"))
        return {one["labels"]["alertname"] for one in data["alerts"] if one["state"] == "firing"}


@asynccontextmanager
async def scraping(cluster: LocalCluster, folder: Path) -> AsyncIterator[Prometheus]:
    """Scrape every second, with the rules of `deploy/`; alerts fire without waiting."""
    command = _configured(cluster, folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 - for its end
    try:
        found = Prometheus(int(command[-1].rpartition(":")[2]))
        with trio.fail_after(30):
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    if len(await found.ask('up{job="unidesk"} == 1')) == len(cluster.names):
                        break
                except OSError:
                    pass
                await trio.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.wait()


def _configured(cluster: LocalCluster, folder: Path) -> list[str]:
    """Write what it is told, and return how it is started."""
    folder.mkdir()
    for name in ("recording.yml", "alerts.yml"):
        read = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
        for group in read["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "alert" in rule:
                    rule["for"] = "0s"
        (folder / name).write_text(yaml.safe_dump(read))
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    targets = [cluster.observe_address(name).authority for name in cluster.names]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    return [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--log.level=warn",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
