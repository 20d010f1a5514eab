"""What the README tells a newcomer to type, typed."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DIALOGUES = ROOT.parent / "shared" / "data" / "dialogues.jsonl"
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.process


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """Every command line of the README, without its comment."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def run(
    *words: str, data: Path | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, NO_COLOR="1", **({"UNIDESK_DATA": str(data)} if data else {}))
    return subprocess.run(
        [str(BIN / "unidesk"), *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_readme_begins_with_two_commands() -> None:
    assert commands()[:2] == [["make", "run"], ["make", "test"]]


def test_make_run_starts_the_demo_and_make_test_the_suite() -> None:
    for target, words in (("run", "unidesk demo"), ("test", "pytest")):
        said = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert words in said


@pytest.mark.parametrize("words", [c for c in commands() if "unidesk" in c[0]], ids=" ".join)
def test_every_command_of_the_readme_exists(words: list[str]) -> None:
    names = [word for word in words[1:3] if word.isalpha()][: 2 if words[1] in _GROUPS else 1]
    options = [word for word in words if word.startswith("--")]
    said = run(*names, "--help")
    assert said.returncode == 0, said.stderr
    for option in options:
        assert option in said.stdout


_GROUPS = ("cluster", "rules", "wal")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Path]:
    """What `make run` runs, on a folder of its own, until the test is over."""
    data = tmp_path / "desk"
    process = subprocess.Popen(
        [str(BIN / "unidesk"), "demo", "--data", str(data)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_serving(data)
        yield data
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, "Ctrl-C stops the demo cleanly"
        assert run("cluster", "status", data=data).returncode != 0


def wait_until_serving(data: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = run("cluster", "status", "--json", data=data)
        if said.returncode == 0:
            nodes = json.loads(said.stdout)
            if len(nodes) == 3 and all(node.get("standing") == "serving" for node in nodes):
                return
        time.sleep(0.3)
    raise AssertionError("the demo is not serving after a minute")


def test_the_rule_of_the_readme_is_applied_to_a_running_cluster(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "routing"
    folder.mkdir()
    rule = blocks("toml")[0]
    (folder / "main.toml").write_text(rule)
    said = run("rules", "apply", str(folder), data=demo)
    assert said.returncode == 0, said.stderr + said.stdout
    shown = run("rules", "show", data=demo)
    assert "tags.arpu > 5000" in shown.stdout
    (folder / "main.toml").write_text(rule.replace("tags.arpu > 5000", "tagz.arpu > 5000"))
    refused = run("rules", "apply", str(folder), data=demo)
    assert refused.returncode != 0
    assert "main.toml:3" in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout


@pytest.mark.skipif(not DIALOGUES.exists(), reason="the dialogues are not beside the checkout")
def test_the_proof_of_the_readme_holds_on_real_dialogues() -> None:
    said = run(
        *["replay", str(DIALOGUES), "--conversations", "60", "--concurrency", "20"],
        *["--kill-leader-every", "2s", "--pace", "100ms", "--json"],
    )
    assert said.returncode == 0, said.stderr + said.stdout
    report = json.loads(said.stdout)
    assert report["messages_acknowledged"] > 0
