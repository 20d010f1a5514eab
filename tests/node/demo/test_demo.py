"""`unidesk demo`: it lives, it stops with Ctrl-C, and a second start finds its data."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.routing.ruleset import compile_rules
from node.demo.board import CONVERSATIONS_KEPT_MAX, Board
from node.demo.cast import answers
from node.demo.script import ANSWERS, CAST, RULES, SCENES
from node.protocol.catalogue import Ev


def test_both_sides_speak_in_every_scene_and_the_visitor_begins() -> None:
    for scene in SCENES:
        assert scene.lines[0][0] == "visitor"
        assert {side for side, _ in scene.lines} == {"visitor", "agent"}
    assert {scene.lang for scene in SCENES} == set(ANSWERS) == {"en", "zh"}
    assert len({agent for agent, _ in CAST}) == len(CAST)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.visitor)
def test_the_agents_answers_together_are_all_the_lines_of_the_agent(scene) -> None:  # type: ignore[no-untyped-def]
    heard = sum(side == "visitor" for side, _ in scene.lines)
    given = [line for number in range(1, heard + 1) for line in answers(scene, number, scene.lang)]

    assert given == [line for side, line in scene.lines if side == "agent"]


def test_somebody_unknown_gets_an_answer_in_their_language_every_time() -> None:
    assert [answers(None, heard, "zh_CN") for heard in (1, 3, 9)] == [
        [ANSWERS["zh"][0]],
        [ANSWERS["zh"][2]],
        [ANSWERS["zh"][2]],
    ]


def test_the_rules_of_the_demo_are_well() -> None:
    assert compile_rules(RULES).fallback == "general"


def test_the_board_takes_each_event_once_and_keeps_a_bounded_number() -> None:
    told: list[str] = []
    board = Board(told.append)
    event = Ev(cv="C", seq=1, type="msg", ts=0, data={"body": "hi"})
    board.take(event)
    board.take(event)
    for number in range(CONVERSATIONS_KEPT_MAX + 5):
        board.take(Ev(cv=f"C{number}", seq=1, type="opened", ts=0))

    assert len(told) == 1
    assert len(board.rows) == CONVERSATIONS_KEPT_MAX


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "node", "demo", "--data", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], pattern: str, *, timeout_s: float) -> str:
    assert process.stdout is not None
    seen, deadline = "", time.monotonic() + timeout_s
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return seen


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=40)
    assert process.returncode == 0, rest
    return rest


@pytest.mark.slow
@pytest.mark.process
def test_a_demo_lives_restarts_who_is_killed_stops_and_finds_its_data_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "desk"
    with start(folder) as demo:
        try:
            seen = read_until(demo, r"leads in term \d+ \(pid (\d+)\)", timeout_s=60)
            assert "python -m node say" in seen
            assert "new" in seen
            read_until(demo, r"assigned.*\w", timeout_s=60)
            found = re.search(r"pid (\d+)", seen)
            assert found is not None
            os.kill(int(found[1]), signal.SIGKILL)
            read_until(demo, r"starts again in 3 s(?s:.*)starts again \(pid", timeout_s=60)
            assert "Traceback" not in stop(demo)
        finally:
            demo.kill()

    with start(folder) as demo:
        try:
            read_until(demo, r"data kept(?s:.*)leads in term [2-9]", timeout_s=60)
            stop(demo)
        finally:
            demo.kill()
