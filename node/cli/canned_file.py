"""Files of canned responses: read with every mistake noted, and written.  Reads files.

[canned.SHORTCUT]  title  text.LANG  queues
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cluster.toml_source import Document, SourceError, SourceErrors, did_you_mean
from node.cli.problem import USAGE, Problem
from node.desk.operations.canned import check_written
from node.desk.plain import NotAllowed

FILE_BYTES_MAX = 8 * 1024 * 1024
_KEYS = ("title", "text", "queues")


class Written(NamedTuple):
    """A canned response as a file has it."""

    shortcut: str
    title: str
    texts: dict[str, str]
    queues: list[str]


def read_file(path: Path) -> list[Written]:
    """Return the responses of a file.  Raises `Problem` with every mistake's place and mend."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Problem(f"{path}: over {FILE_BYTES_MAX} bytes; split it", USAGE)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: {error}; it must be a UTF-8 text file", USAGE) from None
    try:
        return read_text(path.name, text)
    except SourceErrors as errors:
        raise Problem(f"the file has mistakes:\n{errors}", USAGE) from None


def read_text(name: str, text: str) -> list[Written]:
    """Return the responses in `text`.  Raises `SourceErrors`."""
    try:
        document = Document(name, text)
    except SourceError as error:
        raise SourceErrors([error]) from None
    errors: list[SourceError] = []
    for key in document.data.keys() - {"canned"}:
        mend = "only [canned.SHORTCUT] stands here"
        errors.append(document.error((key,), f"unknown table {key!r}", mend))
    tables = document.data.get("canned", {})
    if not isinstance(tables, dict):
        errors.append(document.error(("canned",), "is no table", "write [canned.SHORTCUT]"))
        tables = {}
    found = []
    for shortcut, table in tables.items():
        try:
            found.append(_read(document, shortcut, table))
        except SourceError as error:
            errors.append(error)
    if errors:
        raise SourceErrors(errors)
    return found


def as_toml(items: Iterable[Mapping[str, Any]]) -> str:
    """Return responses, as `canned.list` has them, as the text of a file."""
    blocks = []
    for one in items:
        lines = [f"[canned.{_key(one['shortcut'])}]", f"title = {_string(one['title'])}"]
        if one["queues"]:
            lines.append(f"queues = [{', '.join(map(_string, one['queues']))}]")
        texts = sorted(one["texts"].items())
        lines += [f"text.{_key(lang)} = {_string(text)}" for lang, text in texts]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _read(document: Document, shortcut: str, table: Any) -> Written:
    path = ("canned", shortcut)
    if not isinstance(table, dict):
        raise document.error(path, f"{shortcut!r} is no table", "write [canned.SHORTCUT]")
    for key in table:
        if key not in _KEYS:
            inner = next(iter(table[key]), "") if isinstance(table[key], dict) else ""
            at = (*path, key, inner) if inner else (*path, key)  # `texts.en = ...` stands there
            raise document.error(at, f"unknown key {key!r}", did_you_mean(key, _KEYS))
    title, texts, queues = table.get("title"), table.get("text"), table.get("queues", [])
    if not isinstance(title, str):
        raise document.error((*path, "title"), "needs a title", 'add title = "what it is for"')
    if not isinstance(texts, dict) or not all(isinstance(one, str) for one in texts.values()):
        raise document.error((*path, "text"), "needs texts", 'add text.en = "..."')
    if not isinstance(queues, list) or not all(isinstance(one, str) for one in queues):
        problem, mend = "queues is no list of names", 'write queues = ["refunds"]'
        raise document.error((*path, "queues"), problem, mend)
    try:
        check_written(shortcut, title, texts, queues)
    except NotAllowed as error:
        raise document.error(path, str(error)) from None
    return Written(shortcut, title, texts, queues)


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else _string(name)


def _string(text: str) -> str:
    """Return a basic string of TOML, which is one of JSON but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
