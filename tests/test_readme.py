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
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from node.cli.app import run_app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DIALOGUES = ROOT.parent / "shared" / "data" / "dialogues.jsonl"
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.process


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str = README) -> list[list[str]]:
    """Every command line of the README, or of a part of it, without its comment."""
    lines = [line for block in blocks("console", text) for line in block.splitlines()]
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
    environment = {"PATH": os.environ["PATH"]}  # nothing that a `make` was told which runs this
    for target, words in (("run", "unidesk demo"), ("test", "bin/pytest")):
        said = subprocess.run(
            ["make", "-n", target],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert words in said


@pytest.mark.parametrize("words", [c for c in commands() if "unidesk" in c[0]], ids=" ".join)
def test_every_command_of_the_readme_exists(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    names = [word for word in words[1:3] if word.isalpha()][: 2 if words[1] in _GROUPS else 1]
    options = [word for word in words if word.startswith("--")]
    assert run_app([*names, "--help"]) == 0
    said = capfd.readouterr().out
    for option in options:
        assert option in said


_GROUPS = ("chaos", "cluster", "conversations", "heal", "rules", "wal")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `make run` runs, on a folder of its own, until the tests are over."""
    data = tmp_path_factory.mktemp("readme") / "desk"
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
        assert process.wait(60) == 0, "Ctrl-C stops the demo cleanly"
        assert run("cluster", "status", data=data).returncode != 0


def wait_until_serving(data: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        said = run("cluster", "status", "--json", data=data)
        if said.returncode == 0:
            nodes = json.loads(said.stdout)
            if len(nodes) == 3 and all(node.get("standing") == "serving" for node in nodes):
                return
        time.sleep(0.3)
    raise AssertionError("the demo is not serving after a minute")


def section(title: str) -> str:
    return README.split(f"## {title}")[1].split("\n## ")[0]


@contextmanager
def seat(words: list[str], data: Path, screen: Path) -> Iterator[IO[str]]:
    """Somebody at a terminal of their own; yields what they type into."""
    with screen.open("w") as shown:
        process = subprocess.Popen(
            [str(BIN / "unidesk"), *words],
            env=dict(os.environ, UNIDESK_DATA=str(data), LANG="C.UTF-8"),
            stdin=subprocess.PIPE,
            stdout=shown,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert process.stdin is not None
    try:
        yield process.stdin
        assert process.wait(60) == 0, screen.read_text()
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


def type_in(keyboard: IO[str], line: str) -> None:
    keyboard.write(f"{line}\n")
    keyboard.flush()


def wait_for(line: str, screen: Path) -> None:
    deadline = time.monotonic() + 60
    while line not in screen.read_text():
        assert time.monotonic() < deadline, f"{line!r} is not shown:\n{screen.read_text()}"
        time.sleep(0.05)


def check_that_a_mistake_in_the_rule_is_named(demo: Path, tmp_path: Path) -> None:
    rule = blocks("toml")[0].replace('"general"', '"genral"')
    (tmp_path / "main.toml").write_text(rule)
    refused = run("rules", "apply", str(tmp_path), data=demo)
    assert refused.returncode == 2
    place = rule[: rule.index("genral")].count("\n") + 1
    assert f"main.toml:{place}: no queue 'genral'; did you mean 'general'?" in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout


@pytest.mark.slow
def test_the_walk_of_the_readme_names_a_mistake_and_brings_ada_to_the_screen_of_ann(
    demo: Path, tmp_path: Path
) -> None:
    check_that_a_mistake_in_the_rule_is_named(demo, tmp_path)
    walk = section("A routing rule")
    typed = [words[1:] for words in commands(walk)]
    plan, apply, agent, say, listed, explain, rollback = typed
    ann_shows, explained = (block.splitlines() for block in blocks("text", walk))
    (tmp_path / "routing").mkdir()
    (tmp_path / "routing" / "main.toml").write_text(blocks("toml")[0])
    for words in (plan, apply):
        said = run(*words, data=demo, cwd=tmp_path)
        assert said.returncode == 0, said.stderr + said.stdout
    ann, ada = tmp_path / "ann", tmp_path / "ada"
    with seat(agent, demo, ann) as anns_keys, seat(say, demo, ada) as adas_keys:
        wait_for("You are online", ann)
        type_in(adas_keys, "My contract ends soon")
        for line in ann_shows:
            if line.startswith("/"):
                type_in(anns_keys, line)
            else:
                wait_for(line, ann)
        wait_for("Ann is with you.", ada)
        offers = [line for line in ann.read_text().splitlines() if line.startswith("Offer:")]
        assert offers == [line for line in ann_shows if line.startswith("Offer:")]
        for keyboard in (adas_keys, anns_keys):
            type_in(keyboard, "/quit")
    (found,) = json.loads(run(*listed, "--json", data=demo).stdout)["items"]
    said = run(*(found["cv"] if word == "CV" else word for word in explain), data=demo)
    lines = iter(said.stdout.splitlines())
    for wanted in explained:
        # Which of the three is named first depends on what they had before.
        whoever = re.sub("over: [a-z]+,", "over: [a-z]+,", re.escape(wanted).replace("\\ ", " "))
        assert any(re.match(whoever, line) for line in lines), f"{wanted!r}\n{said.stdout}"
    assert run(*rollback, data=demo).returncode == 0
    assert "tags.arpu > 3000" in run("rules", "show", data=demo).stdout


@pytest.mark.slow
@pytest.mark.skipif(not DIALOGUES.exists(), reason="the dialogues are not beside the checkout")
def test_the_proof_of_the_readme_holds_on_real_dialogues() -> None:
    said = run(
        *["replay", str(DIALOGUES), "--conversations", "60", "--concurrency", "20"],
        *["--kill-leader-every", "2s", "--pace", "100ms", "--json"],
    )
    assert said.returncode == 0, said.stderr + said.stdout
    report = json.loads(said.stdout)
    assert report["messages_acknowledged"] > 0
