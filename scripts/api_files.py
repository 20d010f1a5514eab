"""Writes what describes the protocol to machines: `api/`, and the numbers of protobuf fields.

    python -m scripts.api_files            write them; new fields get their numbers
    python -m scripts.api_files --check    exit 1 if they are not up to date

All of it comes from the catalogue; a node serves the same files below `/v1/`.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from node.desk import asyncapi
from node.desk.openapi import openapi
from node.protocol import numbers, proto
from node.protocol.schema import messages

ROOT = Path(__file__).parent.parent
NUMBERS = Path("node") / "protocol" / numbers.FILE


def files(root: Path = ROOT) -> Mapping[Path, str]:
    """Return the text of every file, by its path below `root`.  Raises `NumbersRefused`."""
    assigned = numbers.read((root / NUMBERS).read_text()) if (root / NUMBERS).exists() else {}
    named = [(one.name, [field.name for field in one.fields]) for one in messages()]
    table = numbers.extended(assigned, named)
    return {
        NUMBERS: numbers.write(table),
        Path("api") / "unidesk.proto": proto.text(table),
        Path("api") / "asyncapi.yaml": asyncapi.as_yaml().decode(),
        Path("api") / "openapi.json": _indented(openapi()),
    }


def _indented(document: bytes) -> str:
    return msgspec.json.format(document, indent=2).decode() + "\n"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write the files, or say whether they are up to date."""
    parser = argparse.ArgumentParser(description="files that describe the protocol")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    stale = [
        path
        for path, text in files(root).items()
        if not (root / path).exists() or (root / path).read_text() != text
    ]
    if check and stale:
        names = ", ".join(str(path) for path in stale)
        print(f"not up to date: {names}; run python -m scripts.api_files", file=sys.stderr)
        return 1
    for path in stale:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files(root)[path])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
