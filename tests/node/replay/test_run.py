"""`unidesk replay` on a real cluster whose leader dies, and how a report judges."""

import json
from pathlib import Path

import pytest

from node.cli.app import run_app
from node.replay.checker import Violation
from node.replay.dialogues import Dialogue, Turn
from node.replay.report import Report
from node.replay.run import Plan, Replay

DIALOGUE = Dialogue(
    "own-1",
    [
        Turn("visitor", "Is the shop open on Sunday?"),
        Turn("agent", "Let me see."),
        Turn("note", "new opening hours are not on the page yet"),
        Turn("agent", "星期天十点到四点营业。"),
        Turn("visitor", "谢谢"),
        Turn("visitor", "Bye"),
    ],
    "en",
    {"vip": True},
)


@pytest.mark.slow
@pytest.mark.process
async def test_nothing_is_lost_while_the_leader_is_killed(tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan([DIALOGUE], 30, concurrency=6, kill_leader_every_s=0.7, pace_s=0.1)
    report = await Replay(plan, tell=told.append, progress=lambda _: None).run(tmp_path)

    assert report.good, report.to_json()
    assert report.conversations == 30
    assert report.messages_acknowledged == 30 * len(DIALOGUE.turns)
    assert report.kills >= 1
    assert report.observers >= 30 * 5  # the visitor, an agent, three nodes
    assert any("killed the leader" in line for line in told)


@pytest.mark.process
def test_the_command_prints_json_and_exits_with_0(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dialogues.jsonl"
    turns = [{"role": turn.role, "text": turn.text} for turn in DIALOGUE.turns]
    file.write_text(json.dumps({"id": "d", "turns": turns}), encoding="utf-8")
    arguments = ["replay", str(file), "--conversations", "4", "--concurrency", "2", "--json"]

    assert run_app(arguments) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["ok"], told["conversations"], told["lost"]) == (True, 4, 0)


def report(*violations: Violation, unfinished: tuple[str, ...] = ()) -> Report:
    return Report(
        conversations=1,
        unfinished=list(unfinished),
        messages_acknowledged=2,
        violations=list(violations),
        jumps=0,
        over_capacity=0,
        kills=2,
        stalls_s=[0.5, 0.25],
        seconds=2.0,
        latency_p50_ms=1.0,
        latency_p99_ms=2.0,
        reconnects=0,
        resends=0,
        handovers=0,
        observers=5,
        nodes=3,
    )


def test_a_report_is_good_only_without_any_violation() -> None:
    assert report().good
    assert not report(Violation("lost", "C", "n1", "gone")).good
    assert not report(unfinished=("d1: no agent",)).good


def test_a_report_says_stalls_and_rates() -> None:
    said = report(Violation("gap", "C", "n1", "2 missing")).to_json()

    assert (said["stall_p50_s"], said["stall_max_s"]) == (0.25, 0.5)
    assert said["messages_per_s"] == 1.0
    assert (said["ok"], said["gaps"]) == (False, 1)
    assert said["violations"][0]["what"] == "2 missing"
