"""`unidesk wal verify`, `wal dump`, `snapshot save`: on whole and on damaged folders."""

import json
from pathlib import Path

import pytest

from cluster.raft.members import Members
from cluster.raft.messages import COMMAND, MEMBERS, NO_OP
from cluster.reading import read_entry
from cluster.state import commands as c
from cluster.state.commands import By
from node.cli.app import run_app
from tests.cluster.state.desk import entry
from wal.disk import FileDisk
from wal.identity import claim
from wal.log import Log
from wal.record import Commit, Entry, Record, Truncate

HASH = "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA"
OPS = By("operator", "ops")


def payloads() -> list[bytes]:
    commands = entry(
        5_000,
        (1, c.PutAccount(OPS, "k1", "ada", kind="agent", secret=HASH)),
        (2, c.SetSecret(OPS, "k2", "ada", HASH)),
        (3, c.SendMessage("cv1", "m1", By("visitor", "ann"), "k3", "text", "hello")),
    )
    return [NO_OP, MEMBERS + Members.of(["n1"]).encode(), COMMAND + commands, COMMAND + b"\xc1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node's folder with four entries, of which two were overwritten."""
    disk = FileDisk(tmp_path / "n1")
    identity = claim(disk, "demo", "n1", now_ms=7)
    log, _ = Log.open(disk, identity=identity)
    made = [Entry(n, 1, payload) for n, payload in enumerate(payloads(), start=1)]
    again = [Entry(one.index, 2, one.payload) for one in made[2:]]
    records: list[Record] = [*made, Truncate(3), *again, Commit(4)]
    for one in records:
        log.append(one)
        log.sync()
    log.close()
    disk.close()
    return tmp_path / "n1"


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = run_app([str(word) for word in words])
    told = capfd.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("words", [("save", "{folder}", "{folder}.backup"), ("verify", "{folder}")])
def test_a_snapshot_of_a_folder_that_a_node_runs_on_names_the_command_for_it(
    words: tuple[str, ...], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = FileDisk(folder)
    code, _, said = run(capfd, "snapshot", *(word.format(folder=folder) for word in words))
    disk.close()
    assert (code, "`unidesk snapshot save --config" in said) == (1, True), said


def test_a_whole_folder_is_verified(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "wal", "verify", folder, "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["log"]) == (0, True, "clean")


def test_a_torn_tail_is_no_damage_and_a_flipped_bit_before_it_is(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    segment = next(folder.glob("*.wal"))
    whole = segment.read_bytes().rstrip(b"\0")
    segment.write_bytes(whole[:-3])
    code, out, _ = run(capfd, "wal", "verify", folder)
    assert (code, "log torn" in out, "cut the last, unfinished write off" in out) == (0, True, True)
    middle = len(whole) // 2
    segment.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    code, out, _ = run(capfd, "wal", "verify", folder)
    assert (code, "DAMAGED" in out, "neither votes nor is counted" in out) == (1, True, True)
    code, _, err = run(capfd, "wal", "dump", folder)
    assert (code, "wal verify" in err) == (1, True)


def test_a_dump_has_every_record_in_the_order_of_writing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capfd, "wal", "dump", folder)
    lines = [json.loads(line) for line in out.splitlines()]
    entries = [(line["index"], line["term"]) for line in lines if line["record"] == "entry"]
    assert (code, entries) == (0, [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (4, 2)])
    assert {"record": "truncate", "from_index": 3}.items() <= lines[-4].items()


def test_a_range_of_entries(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd, "wal", "dump", folder, "--from", 2, "--to", 3)
    assert [json.loads(line)["index"] for line in out.splitlines()] == [2, 3, 3]
    code, _, err = run(capfd, "wal", "dump", folder, "--from", 3, "--to", 2)
    assert (code, "before --from" in err) == (2, True)


def test_no_secret_is_in_a_dump_and_what_was_said_is(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capfd, "wal", "dump", folder)
    assert "argon2" not in out
    assert out.count("(redacted)") == 4
    assert "hello" in out


def test_what_each_kind_of_entry_says() -> None:
    no_op, members, commands, broken = map(read_entry, payloads())
    assert no_op == {"kind": "no_op"}
    assert members["members"] == {"n1": {"role": "voter", "address": ""}}
    assert [one["op"] for one in commands["commands"]] == ["user.put", "user.secret", "msg.send"]
    assert broken["kind"] == "unknown"


def test_only_a_folder_can_be_looked_at(capfd: pytest.CaptureFixture[str]) -> None:
    for what in ("verify", "dump"):
        code, _, err = run(capfd, "wal", what, "nowhere")
        assert (code, "no such folder" in err) == (2, True)
