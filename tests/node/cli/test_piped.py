"""Backups through pipes: passed on as they come, checked, and read as often as it takes."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.backup.file import BackupRefused, Header, encode
from cluster.state import snapshot
from cluster.state.state import State
from node.cli.app import run_app
from node.cli.piped import Backup, pass_on, reading
from node.cli.problem import USAGE, Problem
from tests.node.cli.answering import Quiet, answering

WHOLE = b"".join(
    encode(Header("desk", "n1", 0, 1, 0, 0, "1.0", 1), snapshot.dump(State().frozen_copy()))
)


def cut(data: bytes, size: int) -> Callable[[], bytes]:
    pieces: Iterator[bytes] = (data[at : at + size] for at in range(0, len(data), size))
    return lambda: next(pieces, b"")


@given(st.integers(1, len(WHOLE) + 1))
def test_what_comes_is_passed_on_byte_for_byte_however_it_is_cut(size: int) -> None:
    out = io.BytesIO()
    header, end = pass_on(cut(WHOLE, size), out)
    assert out.getvalue() == WHOLE
    assert (header.cluster, end.bytes > 0) == ("desk", True)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 64))
def test_what_breaks_off_is_no_backup(length: int, size: int) -> None:
    with pytest.raises(BackupRefused, match="at byte"):
        pass_on(cut(WHOLE[:length], size), io.BytesIO())


def test_whoever_reads_may_go_away() -> None:
    class Gone(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        pass_on(cut(WHOLE, 100), Gone())


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_a_pipe_is_read_again_from_its_beginning(sizes: list[int]) -> None:
    backup = Backup("standard input", io.BytesIO(WHOLE))
    for size in sizes:
        read, data = backup.read(), b""
        while piece := read(size):
            data += piece
        assert data == WHOLE


def test_a_pipe_with_a_name_is_one_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, WHOLE)
    os.close(writer)
    with reading(Path(f"/dev/fd/{reader}")) as backup:
        assert backup.read()(1 << 20) == backup.read()(1 << 20) == WHOLE
    os.close(reader)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [None, Terminal()])
def test_no_backup_goes_to_or_comes_from_a_terminal(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(Problem, match="standard input is") as refused, reading(Path("-")):
        pass
    assert refused.value.code == USAGE


def test_a_backup_on_standard_input_is_verified(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for data, code, words in (
        (WHOLE, 0, "-: whole; cluster desk"),
        (WHOLE[:-1], 1, "standard input: at byte"),
        (b"GIF89a" * 9, 1, "standard input: at byte 0: this is no backup"),
        (b"", 1, "standard input: at byte 0: nothing is in it"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert run_app(["snapshot", "verify", "-"]) == code
        assert words in "".join(capfd.readouterr())


# -- a node that dies while it sends


@contextmanager
def sending(*pieces: bytes, dies: bool = False) -> Iterator[str]:
    """A node that sends these pieces of its backup, and is gone then if it `dies`."""

    class Node(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._say(200, b'{"backup": "b1"}')

        def do_GET(self) -> None:
            number = int(self.path.rpartition("=")[2])
            if number < len(pieces):
                self._say(200, pieces[number])
            elif dies:
                self.close_connection = True
            else:
                self._say(204, b"")

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with answering(Node) as url:
        yield url


def test_what_a_node_began_is_not_continued_with_another_one_s(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with sending(WHOLE[:40], dies=True) as dying, sending(WHOLE) as living:
        code = run_app(["backup", "-", "--token", "t", "--url", dying, "--url", living])
    written, said = capfdbinary.readouterr()
    assert (code, written) == (1, WHOLE[:40])
    assert b"is no backup: begin again" in said


def test_a_node_that_dies_before_it_sent_anything_is_passed_over(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with sending(dies=True) as dying, sending(WHOLE) as living:
        code = run_app(["backup", "-", "--token", "t", "--url", dying, "--url", living])
    assert (code, capfdbinary.readouterr().out) == (0, WHOLE)


def test_a_file_begins_anew_with_what_another_node_sends(tmp_path: Path) -> None:
    out = tmp_path / "desk"
    with sending(WHOLE[:40], dies=True) as dying, sending(WHOLE) as living:
        code = run_app(["backup", str(out), "--token", "t", "--url", dying, "--url", living])
    assert (code, out.read_bytes()) == (0, WHOLE)
