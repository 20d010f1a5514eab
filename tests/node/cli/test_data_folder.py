"""`node.cli.data_folder`: what is no node's data is not called whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.app import run_app
from node.cli.problem import USAGE, Problem, explain
from wal.disk import FileDisk
from wal.identity import claim


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with much that is no node's data, and with one node's."""
    (tmp_path / "file").write_bytes(b"GIF89a")
    (tmp_path / f"{7:016d}.snap").write_bytes(b"UDSN" + bytes(50))
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "passwd").write_text("root\n")
    (tmp_path / "other" / "identity.json").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "other" / f"{1:016d}.wal")
    (tmp_path / "loop").symlink_to("loop")
    disk = FileDisk(tmp_path / "demo" / "data" / "n1")
    claim(disk, "demo", "n1", now_ms=7)
    disk.close()
    return tmp_path


@pytest.mark.parametrize("command", ["wal verify", "wal inspect", "wal dump"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file", "a file, and no folder; name a node's data folder"),
        ("pipe", "no folder; name a node's data folder"),
        ("nowhere", "no such folder; name a node's data folder"),
        ("file/x", "no such folder; name a node's data folder"),
        ("loop", "no such folder; name a node's data folder"),
        ("0000000000000007.snap", "one snapshot of a node's: name the folder that it is in"),
        ("empty", "it is empty: no node has kept its data in it; name a node's data folder"),
        ("other", "no node's data is in it; name a node's data folder"),
    ],
)
def test_what_is_no_nodes_data_is_refused_with_the_mend(
    here: Path, command: str, name: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app([*command.split(), str(here / name)]) == USAGE
    told = capfd.readouterr()
    assert not told.out
    assert f"unidesk: {here / name}: {said}" in told.err


@pytest.mark.parametrize("name", ["empty", "other", "loop"])
def test_a_snapshot_of_it_is_refused_too(
    here: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["snapshot", "verify", str(here / name)]) == USAGE
    assert f"unidesk: {here / name}: " in capfd.readouterr().err


@pytest.mark.parametrize("name", ["demo", "demo/data"])
def test_a_folder_above_a_nodes_says_which_is_meant(
    here: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["wal", "verify", str(here / name)]) == USAGE
    assert f"did you mean {here / 'demo' / 'data' / 'n1'}?" in capfd.readouterr().err
    assert run_app(["wal", "verify", str(here / "demo" / "data" / "n1")]) == 0


def test_what_may_not_be_read_is_named_without_a_traceback() -> None:
    found = explain(PermissionError(13, "Permission denied", "/var/lib/unidesk/x"))
    assert isinstance(found, Problem)
    assert (str(found), found.code) == (
        "/var/lib/unidesk/x: permission denied; run it as a user that may",
        USAGE,
    )


_PLAIN = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""Also root is then held by permissions."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None and os.getuid() == 0, reason="needs setpriv")
@pytest.mark.parametrize(
    "command",
    ["wal verify {0}", "wal dump {0}/x", "snapshot verify {0}/x", "snapshot save {0}/x {0}/y",
     "backup {0}/x --url ws://127.0.0.1:1 --token t", "restore {0}/x --config {0}/y"],
)  # fmt: skip
def test_a_folder_of_somebody_else_is_a_matter_of_permission(tmp_path: Path, command: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    words = [sys.executable, "-m", "node", *command.format(closed).split()]
    ran = subprocess.run(
        [*_PLAIN * (os.getuid() == 0), *words], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == USAGE
    assert "Traceback" not in ran.stderr
    assert "permission" in ran.stderr.lower() or "not readable" in ran.stderr
