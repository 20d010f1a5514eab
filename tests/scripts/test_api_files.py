"""The files that describe the protocol to machines are what the catalogue says."""

from pathlib import Path

import pytest

from node.protocol import numbers
from scripts.api_files import NUMBERS, files, main


def test_the_files_are_up_to_date() -> None:
    assert main(["--check"]) == 0, "run python -m scripts.api_files"


def test_stale_files_are_noticed_and_written(tmp_path: Path) -> None:
    assert main(["--check"], tmp_path) == 1, "there are none"
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    for path, text in files(tmp_path).items():
        assert (tmp_path / path).read_text() == text
    (tmp_path / "api" / "unidesk.proto").write_text("by hand\n")
    assert main(["--check"], tmp_path) == 1


def test_numbers_that_were_changed_by_hand_are_refused(tmp_path: Path) -> None:
    main([], tmp_path)
    changed = (tmp_path / NUMBERS).read_text().replace('"cv": 1', '"cv": 9')
    (tmp_path / NUMBERS).write_text(changed)
    with pytest.raises(numbers.NumbersRefused):
        main(["--check"], tmp_path)
