"""What `unidesk cluster top` makes of what nodes said at two moments, and how it looks."""

from typing import Any

import pytest
from rich.console import Console

from node.cli.top_figures import Picture, Tick, picture
from node.cli.top_view import view
from node.client.status import NodeStatus

URLS = ("ws://n1/v1/ws", "ws://n2/v1/ws")


def status(name: str, **more: Any) -> NodeStatus:
    known: dict[str, Any] = {
        "cluster": "demo",
        "node": name,
        "boot": f"b-{name}",
        "version": "1.0",
        "standing": "serving",
        "role": "leader" if name == "n1" else "follower",
        "term": 3,
        "commit_index": 100,
        "applied_index": 100,
        "nodes": [{"id": f"n{n}", "url": url} for n, url in enumerate(URLS, start=1)],
        "counts": {"connections": 7, "waiting": 2},
        "totals": {"messages": 10},
        "storage": {"free_bytes": 5e9, "total_bytes": 1e10, "syncs": 10, "sync_seconds_total": 0.1},
    }
    return NodeStatus(**known | more)


def tick(at_s: float, *found: NodeStatus | None) -> Tick:
    return Tick(at_s, dict(zip(URLS, found, strict=True)))


def later(**of_second: Any) -> Picture:
    before = tick(10.0, status("n1"), status("n2"))
    first = status(
        "n1",
        commit_index=300,
        applied_index=300,
        totals={"messages": 50},
        storage={"syncs": 20, "sync_seconds_total": 0.2},
    )
    return picture(before, tick(12.0, first, status("n2", **of_second)))


def test_rates_are_what_came_between_the_two_moments() -> None:
    shown = later()
    assert shown.commits_per_s == 100.0
    assert shown.messages_per_s == 20.0
    assert shown.nodes[0].messages_per_s == 20.0
    assert shown.nodes[0].sync_ms == pytest.approx(10.0)
    assert [row.lag for row in shown.nodes] == [0, 200]


def test_one_look_has_no_rates_and_unknown_figures_are_no_zeros() -> None:
    shown = picture(None, tick(10.0, status("n1", storage={}), None))
    assert (shown.commits_per_s, shown.messages_per_s) == (None, None)
    assert (shown.nodes[0].free_bytes, shown.nodes[0].sync_ms) == (None, None)


def test_a_node_that_began_anew_has_no_rate_and_no_negative_one() -> None:
    assert later(boot="another", totals={"messages": 0}).nodes[1].messages_per_s is None


def test_the_nodes_own_percentile_goes_before_the_mean() -> None:
    shown = later(storage={"sync_p99_ms": 80.0, "syncs": 1, "sync_seconds_total": 9.0})
    assert shown.nodes[1].sync_ms == 80.0


def test_a_node_that_is_down_has_its_name_and_a_line_and_the_rest_goes_on() -> None:
    shown = picture(None, tick(10.0, status("n1"), None))
    assert [(row.node, row.standing) for row in shown.nodes] == [
        ("n1", "serving"),
        ("n2", "no answer"),
    ]
    assert shown.alerts == ["n2: no answer"]
    assert shown.leader == "n1"


def test_what_to_look_at_is_said_the_worst_first() -> None:
    shown = picture(
        None,
        tick(
            10.0,
            status("n1", role="follower", unstaffed=["vip"], violations=2),
            status("n2", standing="fenced", why="alone", commit_index=90_000),
        ),
    )
    assert shown.alerts[0].startswith("nobody leads")
    assert shown.alerts[1] == "n1: 2 violations of an invariant: report this"
    assert shown.alerts[2] == "n2: fenced: alone"
    assert shown.alerts[-1] == "queue vip: nobody serves it"
    assert any("89900 entries behind" in alert for alert in shown.alerts)


def test_nobody_answers() -> None:
    shown = picture(None, tick(10.0, None, None))
    assert (shown.leader, shown.alerts[0]) == ("", "no node answers")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.output.PIPE_COLUMNS", width)
    console = Console(width=width, record=True)
    shown = later()
    with console.capture() as said:
        console.print(view(shown))
    lines = said.get().splitlines()
    assert all(len(line) <= width for line in lines)
    assert ("version" in said.get()) == (width >= 200)
    assert any(line.strip().startswith("n2") for line in lines)
