"""What somebody meets who is here for the first time: no silence, and an error says the mend."""

from pathlib import Path

import pytest

from node.cli.app import run_app
from node.cli.problem import FAILED, USAGE, Problem, explain
from node.cli.queues import check_known
from node.client import RequestFailed
from node.client.http import Unreachable
from tests.node.cli.test_piped import WHOLE
from wal.disk import FileDisk
from wal.identity import claim


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"GIF89a" * 20)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "good").write_bytes(WHOLE)
    (tmp_path / f"{7:016d}.snap").write_bytes(b"UDSN" + bytes(50))
    disk = FileDisk(tmp_path / "n1")
    claim(disk, "demo", "n1", now_ms=7)
    disk.close()
    (tmp_path / "folder").mkdir()
    assert run_app(["cert", "init", "--dir", str(tmp_path / "certs")]) == 0
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("snapshot save {0}/file {0}/out", USAGE, "no folder; DIR is a stopped node's data"),
        ("snapshot save {0}/nowhere {0}/out", USAGE, "no folder; DIR is a stopped node's data"),
        ("snapshot save {0}/n1", USAGE, "and which file?"),
        ("snapshot verify {0}/0000000000000007.snap", FAILED, "name the folder that it is in"),
        ("snapshot verify {0}/empty", FAILED, "nothing is in it"),
        ("restore {0}/nowhere --config {0}/file", USAGE, "file:1:"),
        ("backup {0}/nowhere/out --url ws://127.0.0.1:1 --token t", USAGE, "no such folder"),
        ("cert rotate --dir {0}/folder", FAILED, "unidesk cert issue"),
        ("cert rotate --dir {0}/nowhere", FAILED, "unidesk cert issue"),
        ("cert show --dir {0}/folder", FAILED, "unidesk cert init"),
        ("wal dump {0}/folder", USAGE, "it is empty"),
        ("wal dump {0}/n1 --from 7 --to 9", 0, "no record"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(
    here: Path, command: str, code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert run_app(command.format(here).split()) == code
    assert said in capfd.readouterr().err


def test_a_queue_that_is_none_is_named_beside_those_that_are() -> None:
    rows = [{"queue": "general"}, {"queue": "vip"}]
    check_known(["vip"], rows)
    with pytest.raises(Problem, match="no queue nope; there are general, vip"):
        check_known(["general", "nope"], rows)


@pytest.mark.parametrize("host", ["bad host", "a..b", "-x", "x" * 300, "", "a/b", "ümlaut.de"])
def test_a_certificate_is_for_hosts_that_there_can_be(
    here: Path, host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["cert", "issue", "n1", "--dir", str(here / "certs"), "--host", host]
    assert run_app(words) == USAGE
    assert "is no name or address of a machine" in capfd.readouterr().err
    for good in ("10.0.0.1", "::1", "n1.desk.example", "localhost", "n1_a"):
        assert run_app([*words[:-1], good, "--force"]) == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("timeout", "timeout: nobody; are the nodes started? `unidesk doctor` asks all of them"),
        (
            "unauthorized",
            "unauthorized: nobody; name its own --config or --data, or a good --token",
        ),
        ("not_found", "nobody"),
        ("conflict", "nobody"),
        ("minority", "minority: nobody"),
    ],
)
def test_a_refusal_is_told_in_words_and_with_what_helps(code: str, words: str) -> None:
    assert str(explain(RequestFailed(code, "nobody"))) == words


def test_a_node_that_cannot_be_reached_is_to_be_started() -> None:
    assert "is the node started?" in str(explain(Unreachable("127.0.0.1:1: connection refused")))
