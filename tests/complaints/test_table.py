"""Whether docs/reference/complaints.md names each test, and nothing else."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "reference" / "complaints.md"


def test_every_complaint_of_the_page_has_its_test_and_every_test_its_line() -> None:
    named = re.findall(r"\| `(test_\w+)` \|", PAGE.read_text())
    written = [
        name
        for file in HERE.glob("test_*.py")
        if file != Path(__file__)
        for name in re.findall(r"^async def (test_\w+)", file.read_text(), re.MULTILINE)
    ]
    assert sorted(named) == sorted(written)
