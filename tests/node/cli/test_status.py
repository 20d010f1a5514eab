"""What `unidesk cluster status` shows: the table, and what it says below."""

from typing import Any

import pytest

from node.cli.status_view import level_waits, remarks, view
from node.client.status import NodeStatus


def status(name: str, **more: Any) -> NodeStatus:
    known: dict[str, Any] = {
        "cluster": "demo",
        "node": name,
        "zone": f"dc{name[1:]}",
        "standing": "serving",
        "role": "leader" if name == "n1" else "follower",
        "term": 3,
        "commit_index": 90,
        "applied_index": 90,
        "level": 2,
        "level_used": 2,
        "heal_mode": "act",
        "storage": {"free_bytes": 30, "total_bytes": 100, "sync_p99_ms": 2.5},
        "nodes": [
            {"id": one, "url": f"ws://{one}:7100/v1/ws", "vitals": vitals}
            for one, vitals in (
                ("n1", {"fresh": True, "clock_ahead_ms": 0}),
                ("n2", {"fresh": True, "clock_ahead_ms": -1_250}),
                ("n3", {"fresh": False, "clock_ahead_ms": 9}),
            )
        ],
    }
    return NodeStatus(**known | more)


def found(*said: NodeStatus) -> dict[str, NodeStatus | None]:
    return {f"ws://{one.node}:7100/v1/ws": one for one in said}


def shown(statuses: dict[str, NodeStatus | None], columns: int, monkeypatch: Any) -> str:
    from rich.console import Console

    monkeypatch.setattr("node.cli.output.console", lambda: Console(width=columns))
    console = Console(width=columns, no_color=True)
    with console.capture() as capture:
        console.print(view(statuses))
    return capture.get()


@pytest.mark.parametrize("columns", [80, 130, 200])
def test_zone_disk_and_clock_are_there_and_no_line_is_too_long(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(found(status("n1"), status("n2"), status("n3")), columns, monkeypatch)
    rows = [line.split() for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= columns
    assert next(row for row in rows if row[:1] == ["n2"])[1] == "dc2"
    for wanted in (
        "30%",
        "-1250 ms",
        "serving",
        "demo: epoch 0, commands of level 2, healing: act",
    ):
        assert wanted in text, wanted


def test_a_wide_terminal_shows_addresses_and_a_node_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statuses = found(status("n1"), status("n2")) | {"ws://n3:7100/v1/ws": None}
    text = shown(statuses, 200, monkeypatch)
    assert "no answer" in text
    assert "n3" in text
    assert "ws://n3:7100/v1/ws" in text


def test_what_was_heard_too_long_ago_is_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(found(status("n1"), status("n3")), 200, monkeypatch)
    assert "+9 ms" not in text


def test_why_a_node_does_not_serve_and_what_is_broken_on_purpose_is_said_below() -> None:
    fault = {"kind": "pause", "groups": ["n3"], "by": "eve"}
    said = list(
        remarks(
            found(
                status("n1", chaos={"faults": [fault]}, epoch=2, heal_mode="observe"),
                status("n2", standing="fenced", why="nobody is heard"),
                status("n3", abstains=True),
            )
        )
    )
    assert said == [
        "n2 is fenced: nobody is heard",
        "n3 abstains: it lost its data, and does not vote until it is filled",
        "demo: epoch 2, commands of level 2, healing: n1 observe, n2 act, n3 act",
        "chaos: n3 stopped, by eve; `unidesk chaos stop` ends it",
    ]


def test_a_level_says_for_whom_it_waits() -> None:
    old, new = status("n1", level=1, level_used=1), status("n2", level_used=1)
    assert level_waits([old, new]) == "level 2 waits for n1"
    assert level_waits([new]) == "level 2 waits for nodes that do not answer"
    assert level_waits([status("n1"), status("n2")]) == ""


def test_nobody_there_has_nothing_to_say() -> None:
    assert list(remarks({"ws://n1:7100/v1/ws": None})) == []
