"""The page about the protocol says what the code says."""

from pathlib import Path
from typing import get_args

import pytest

from node.protocol.catalogue import AnyPush, AnyRequest
from node.protocol.codes import Close, ErrorCode
from scripts.protocol_page import main, page


def test_the_page_is_up_to_date() -> None:
    assert main(["--check"]) == 0, "run python -m scripts.protocol_page"


def test_everything_in_the_catalogue_is_on_the_page() -> None:
    text = page()
    for struct in (*get_args(AnyRequest), *get_args(AnyPush)):
        assert f"### `{struct.__struct_config__.tag}`" in text
        for field in struct.__struct_encode_fields__:
            assert f"`{field}`" in text or field == "id"
    for code in get_args(ErrorCode):
        assert f"| `{code}` |" in text
    for close in Close:
        assert f"| {int(close)} |" in text


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.protocol_page.PAGE", tmp_path / "protocol.md")
    assert main(["--check"]) == 1, "there is none"
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "protocol.md").write_text(page() + "by hand\n")
    assert main(["--check"]) == 1
