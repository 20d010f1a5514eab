"""`unidesk heal` on a real cluster."""

import json
from pathlib import Path

import pytest
import trio

from cluster.heal.rules import RULES
from node.cli.app import run_app
from node.cli.heal import _print
from node.local import LocalCluster
from tests.node.local.lasting import lasting

pytestmark = pytest.mark.process


async def wait_known(cluster: LocalCluster) -> str:
    """Wait until every node heard of every other's figures; return their release."""
    with trio.fail_after(60):
        while True:
            pages = (await cluster.status()).values()
            rows = [row["vitals"] for page in pages if page is not None for row in page.nodes]
            if len(rows) == 9 and all(one["known"] for one in rows):
                return str(rows[0]["version"])
            await trio.sleep(0.1)


def test_status_shows_the_table_and_every_node_and_the_log_what_was_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def unidesk(*words: str) -> str:
        code = run_app(["heal", *words, "--data", str(tmp_path)])
        told = capfd.readouterr()
        assert code == 0, told.err
        return told.out

    with lasting(tmp_path) as cluster:
        version = trio.run(wait_known, cluster)
        status = json.loads(unidesk("status", "--json"))
        shown = unidesk("status")
        log = json.loads(unidesk("log", "--json"))
    assert status["mode"] == "act"
    assert [one["rule"] for one in status["rules"]] == list(RULES)
    assert {one["id"] for one in status["nodes"]} == set(cluster.names)
    assert all(one["known"] for one in status["nodes"])
    assert all(one["disk_free_bytes"] > 0 for one in status["nodes"])
    assert "slow disk" in shown
    assert "GiB free" in shown
    assert all(line["name"] == RULES[line["rule"]].name for line in log["lines"])
    assert {one["version"] for one in status["nodes"]} == {version}


@pytest.mark.parametrize("columns", [80, 160])
def test_a_line_of_the_log_fits_the_terminal_and_stays_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    line = {
        "at": 1_795_431_600_000,
        "done_at": 0,
        "node": "n1",
        "rule": 6,
        "name": "damage",
        "outcome": "done",
        "seen": "its data was lost, and the leader vouches that it holds what the others hold",
        "done": "it votes and acknowledges again",
    }
    monkeypatch.setattr(
        "node.cli.output.console", lambda: Console(width=columns, color_system=None)
    )
    _print([line])
    shown = capsys.readouterr().out
    assert max(len(one.rstrip()) for one in shown.splitlines()) <= columns
    assert "6 damage" in shown
    assert "acknowledges" in shown, "no word is cut in two"
