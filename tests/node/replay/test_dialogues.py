"""`node.replay.dialogues`: a file is read, or refused by line."""

import json
from pathlib import Path

import pytest

from node.replay.dialogues import BadDialogues, Dialogue, Turn, load

GOOD = {
    "id": "d1",
    "lang": "zh",
    "source": "own",
    "tags": {"vip": True, "path": ["a"]},
    "turns": [{"role": "visitor", "text": "你好"}, {"role": "note", "text": "n"}],
}


def write(path: Path, *lines: str) -> Path:
    file = path / "dialogues.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_dialogues_are_read_in_order_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    file = write(tmp_path, json.dumps(GOOD), "", json.dumps(GOOD | {"id": "d2"}))
    first, second = load(file)

    assert first == Dialogue(
        "d1",
        [Turn("visitor", "你好"), Turn("note", "n")],
        "zh",
        {"vip": True, "path": ["a"]},
    )
    assert first.flat_tags == {"vip": True}
    assert second.id == "d2"
    assert len(load(file, limit=1)) == 1


def test_an_absent_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(BadDialogues, match="no such file"):
        load(tmp_path / "absent.jsonl")


def test_a_folder_is_no_file_of_dialogues(tmp_path: Path) -> None:
    with pytest.raises(BadDialogues):
        load(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDialogues, match="holds no dialogue"):
        load(write(tmp_path, ""))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        (json.dumps(GOOD | {"turns": []}), "turns"),
        (json.dumps(GOOD | {"turns": [{"role": "boss", "text": "x"}]}), "boss"),
        (json.dumps(GOOD | {"turns": [{"role": "agent", "text": "x" * 20_000}]}), "turn 1"),
        (json.dumps({"id": "x"}), "turns"),
        ("x" * (1024 * 1024 + 2), "over"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str, what: str) -> None:
    file = write(tmp_path, json.dumps(GOOD), "", line)

    with pytest.raises(BadDialogues, match=r"dialogues\.jsonl:3: ") as caught:
        load(file)

    assert what in str(caught.value)


def test_bytes_that_are_no_text_are_refused_by_line(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    file.write_bytes(b'{"id": "\xff\xfe"}\n')

    with pytest.raises(BadDialogues, match=":1: "):
        load(file)
