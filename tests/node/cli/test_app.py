"""`unidesk`: what is asked wrongly is answered in words and an exit code, never a traceback."""

import fcntl
import io
import json
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from node.auth import Verifier
from node.cli.app import run_app
from node.cli.durations import seconds

HEAVY = ("trio", "rich", "msgspec", "cluster", "wal", "structlog", "h11", "jwt")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No demo is near, and no option comes from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "TOKEN", "CONFIG", "DATA"):
        monkeypatch.delenv(f"UNIDESK_{name}", raising=False)


def write(path: str, text: str) -> str:
    Path(path).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("", 2, "Usage"),
        ("bogus", 2, "No such command"),
        ("say", 2, "unidesk demo"),
        ("agent --capacity 0", 2, "capacity"),
        ("say --url desk", 2, "ws://host:port"),
        ("say --url ftp://desk --token t", 2, "no address"),
        ("say --data nowhere", 2, "no cluster here"),
        ("say --tag arpu", 2, "name=value"),
        ("cluster status", 2, "unidesk demo"),
        ("cluster status --url ws://127.0.0.1:1", 1, "no node answers"),
        ("rules show --url ws://127.0.0.1:1", 2, "token"),
        ("rules test nowhere", 2, "no such folder"),
        ("rules test .", 2, "holds no *.toml"),
        ("serve --config nowhere.toml", 2, "nowhere.toml"),
        ("replay nowhere.jsonl", 2, "no such file"),
        ("wal inspect nowhere", 2, "no such folder"),
        ("token --role boss --subject x", 2, "boss"),
        ("token --role visitor --subject x", 2, "unidesk demo"),
        ("token --role visitor --subject x --ttl soon", 2, "8h"),
        ("token --role visitor --subject x --skill a=1", 2, "for agents"),
        ("token --role agent --subject x --skill a=much", 2, "name=level"),
        ("token --role agent --subject x --key-file k --cluster c", 2, "k:"),
        ("token", 2, "--role and --subject"),
        ("token revoke", 2, "name one of"),
        ("token revoke x --kind agent --user y", 2, "name one of"),
        ("token revoke --kind boss --user y", 2, "boss"),
        ("users", 2, "Usage"),
        ("users add ada --kind visitor", 2, "visitor"),
        ("users add ada --no-secret", 2, "unidesk demo"),
        ("users set ada", 2, "nothing to change"),
        ("users set ada --skill a=1 --no-skills", 2, "not both"),
        ("users passwd ada --keep", 2, "for services"),
        ("users list", 2, "unidesk demo"),
        ("login ada", 2, "unidesk demo"),
        ("audit -n 0", 2, "-n"),
    ],
)
def test_a_command_that_cannot_go_on_says_what_to_mend(
    arguments: str, code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app(arguments.split()) == code
    told = capfd.readouterr()

    # Usage errors are wrapped to the terminal's width.
    assert words in " ".join((told.out + told.err).split())
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (b"", "no password"),
        (b"\n", "no password"),
        (b"\xff\xfe\n", "no UTF-8"),
        (b"x" * 5_000, "over 2048"),
        (b"correct horse battery\n", "127.0.0.1:1"),
    ],
)
def test_a_password_that_is_none_is_told_without_a_traceback(
    told: bytes, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(told)))
    assert run_app(["login", "ada", "--url", "ws://127.0.0.1:1"]) in (1, 2)
    said = capfd.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert "correct horse" not in said


def test_a_password_from_an_input_that_is_closed_is_told_without_a_traceback() -> None:
    shell = f"{sys.executable} -m node login ada --url ws://127.0.0.1:1 <&-"
    folder = Path(__file__).parents[3]
    done = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, check=False, timeout=60, cwd=folder
    )
    assert done.returncode in (1, 2)
    assert "no password" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_at_a_password_leaves_a_terminal_that_shows_what_is_typed() -> None:
    """A real terminal: getpass turns its echo off, and dying there would leave it off."""
    ours, theirs = pty.openpty()
    folder = Path(__file__).parents[3]
    command = [sys.executable, "-m", "node", "login", "ada", "--url", "ws://127.0.0.1:1"]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        said = b""
        while b"Password" not in said:
            said += os.read(ours, 1024)
        while termios.tcgetattr(theirs)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(ours, b"\x03")
        assert process.wait(20) == 130
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_a_broken_node_toml_is_named_by_file_and_line(capfd: pytest.CaptureFixture[str]) -> None:
    write("node.toml", "[cluster]\nid = \n")

    assert run_app(["serve", "--config", "node.toml"]) == 2
    assert "node.toml:2" in capfd.readouterr().err


def test_a_broken_rule_is_named_by_file_line_and_mend(capfd: pytest.CaptureFixture[str]) -> None:
    write("main.toml", "[rule.vip]\nwhen = 'tags.arpu >'\nroute = \"vip\"\nprioirty = 3\n")

    assert run_app(["rules", "test", "."]) == 2
    told = capfd.readouterr().err
    assert "main.toml:2" in told
    assert "main.toml:4" in told
    assert "'priority'" in told


def test_rules_that_are_well_are_said_to_be(capfd: pytest.CaptureFixture[str]) -> None:
    write(
        "main.toml",
        '[vars]\ntags.arpu = "number"\n[rule.vip]\nwhen = \'tags.arpu > 5000\'\nroute = "vip"\n'
        'test = [{ in = { tags = { arpu = 6000 } }, queue = "vip" }]\n',
    )

    assert run_app(["rules", "test", "main.toml"]) == 0
    assert capfd.readouterr().out.endswith("1 rule, 2 queues, 1 test: all well\n")
    assert run_app(["rules", "test", "main.toml", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "rules": 1,
        "queues": ["general", "vip"],
        "tests": 1,
        "warnings": [],
    }


def test_rules_that_are_hardly_meant_are_well_with_a_warning(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("main.toml", "[rule.a]\nroute = 'q'\n[rule.b]\nroute = 'q'\n")

    assert run_app(["rules", "test", "main.toml"]) == 0
    *_, warning, well = capfd.readouterr().out.splitlines()
    assert warning.startswith("warning: main.toml:3: rule 'b' is never tried: 'a' before it")
    assert well == "2 rules, 2 queues, 0 tests: all well"


def test_a_token_proves_what_was_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    write("cluster.key", "0123456789abcdef0123456789abcdef\n")
    arguments = "token --role agent --subject ada --name Ada --skill refund=3 --skill zh"
    arguments += " --capacity 4 --ttl 30m --key-file cluster.key --cluster demo"

    assert run_app(arguments.split()) == 0
    token = capfd.readouterr().out.strip()
    principal = Verifier(b"0123456789abcdef0123456789abcdef", "demo").verify(token)
    assert (principal.role, principal.id, principal.name) == ("agent", "ada", "Ada")
    assert (principal.skills, principal.capacity) == ({"refund": 3, "zh": 1}, 4)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 0.5), ("5s", 5.0), ("20m", 1200.0), ("8h", 28_800.0), ("2d", 172_800.0), ("3", 3.0)],
)
def test_durations_are_read_as_people_write_them(text: str, value: float) -> None:
    assert seconds(text) == value


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from node.cli.app import run_app; code = run_app(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20
    )

    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


COMMANDS = (
    "serve,upgrade,demo,say,agent,token,replay,cluster status,rules apply,rules show,rules test,"
    "rules diff,rules plan,rules history,rules rollback,rules export,rules simulate,rules stats,"
    "rules explain,"
    "wal inspect,token revoke,login,audit,users add,users set,users passwd,users disable,"
    "users enable,users remove,users show,users list,"
    "missed,ratings,canned list,canned find,canned put,canned remove,canned import,canned export,"
    "queues,agents,conversations list,"
    "conversations search,conversations show,conversations export,"
    "chaos isolate-zone,chaos partition,chaos one-way,chaos delay,chaos loss,chaos reset,"
    "chaos pause,chaos kill,chaos slow-disk,chaos full-disk,chaos fsync-error,chaos clock-skew,"
    "chaos status,chaos stop,chaos run,chaos report"
)


@pytest.mark.parametrize("command", COMMANDS.split(","))
def test_every_command_has_help_with_an_example(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app([*command.split(), "--help"]) == 0
    assert f"Example:  unidesk {command}" in capfd.readouterr().out


@pytest.mark.parametrize("command", COMMANDS.split(","))
def test_every_command_is_in_the_reference(command: str) -> None:
    reference = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"

    assert f"### `unidesk {command}" in reference.read_text(encoding="utf-8")
