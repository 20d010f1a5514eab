"""The file that a backup becomes: this user's alone, and nobody else's is written through."""

import errno
import os
from pathlib import Path

import pytest

from cluster.backup.file import Header, encode
from cluster.state.snapshot import dump
from cluster.state.state import State
from node.cli.backup import finish, writing
from node.cli.problem import USAGE, Problem


def test_it_is_readable_by_its_owner_alone_whatever_was_left_there(tmp_path: Path) -> None:
    left = tmp_path / "desk.tmp"
    left.write_bytes(b"left over")
    left.chmod(0o666)
    with writing(tmp_path / "desk") as file:
        assert left.stat().st_mode & 0o777 == 0o600
        assert file.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / "desk.tmp").symlink_to(precious)
    with pytest.raises(Problem, match=r"desk\.tmp"), writing(tmp_path / "desk"):
        pass
    assert precious.read_bytes() == b"mine"


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "desk.tmp")
    with pytest.raises(Problem, match=r"desk\.tmp"), writing(tmp_path / "desk"):
        pass


def test_what_another_backup_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path / "desk"):
        (tmp_path / "desk.tmp").rename(tmp_path / "desk")
        (tmp_path / "desk.tmp").write_bytes(b"another's")
    assert (tmp_path / "desk.tmp").read_bytes() == b"another's"


def test_a_disk_that_is_full_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match=r"desk\.tmp: No space left on device; nothing is kept"),
        writing(tmp_path / "desk"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_where_a_file_is_needed_no_file_is_called_like_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="name a file") as refused, writing(Path("-")):
        pass
    assert refused.value.code == USAGE
    assert list(tmp_path.iterdir()) == []


def test_what_came_there_while_it_was_written_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "desk"
    with writing(out) as file:
        for part in encode(Header("d", "n1", 0, 1, 0, 0, "1", 1), dump(State().frozen_copy())):
            file.write(part)
        out.write_bytes(b"mine")
        with pytest.raises(Problem, match="exists by now"):
            finish(file, out)
    assert (out.read_bytes(), [one.name for one in tmp_path.iterdir()]) == (b"mine", ["desk"])
