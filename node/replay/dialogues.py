"""Dialogues from a file: one JSON object a line.  Reads a file.

    {"id": "d1", "lang": "en", "tags": {...}, "turns": [{"role": "visitor", "text": "Hi"}, ...]}

Roles are visitor, agent and note (an agent's word to colleagues, hidden from the visitor).
Fields that are not named here are ignored.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

LINE_BYTES_MAX = 1024 * 1024
DIALOGUES_MAX = 100_000
TEXT_BYTES_MAX = 16 * 1024
"""What a node takes as one message."""

Role = Literal["visitor", "agent", "note"]


class BadDialogues(Exception):
    """The file cannot be replayed; the message names file, line and mend."""


class Turn(msgspec.Struct, frozen=True):
    """One thing that somebody says."""

    role: Role
    text: str


class Dialogue(msgspec.Struct, frozen=True):
    """A conversation as it was once held."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    turns: Annotated[list[Turn], msgspec.Meta(min_length=1, max_length=400)]
    lang: Annotated[str, msgspec.Meta(max_length=16)] = ""
    tags: dict[str, Any] = {}

    @property
    def flat_tags(self) -> dict[str, Any]:
        """The tags that a conversation can carry: scalars."""
        return {
            key: value
            for key, value in self.tags.items()
            if isinstance(value, str | int | float | bool)
        }


def load(path: Path, *, limit: int | None = None) -> list[Dialogue]:
    """Return the dialogues in the file at `path`, the first `limit`.  Raises `BadDialogues`."""
    found: list[Dialogue] = []
    most = DIALOGUES_MAX if limit is None else limit
    try:
        with path.open("rb") as file:
            number = 0
            while len(found) < most and (line := file.readline(LINE_BYTES_MAX + 1)):
                number += 1
                if line.strip():
                    found.append(_dialogue(path, number, line))
    except FileNotFoundError:
        raise BadDialogues(f"{path}: no such file; give a file of dialogues, one a line") from None
    except OSError as error:
        raise BadDialogues(f"{path}: {error.strerror or error}") from None
    if not found:
        raise BadDialogues(f"{path}: holds no dialogue; one JSON object a line is expected")
    return found


def _dialogue(path: Path, number: int, line: bytes) -> Dialogue:
    where = f"{path}:{number}"
    if len(line) > LINE_BYTES_MAX:
        raise BadDialogues(f"{where}: over {LINE_BYTES_MAX} bytes; split the dialogue")
    try:
        dialogue = msgspec.json.decode(line, type=Dialogue)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadDialogues(
            f"{where}: {error}; a dialogue is {{id, turns: [{{role, text}}]}}"
        ) from None
    for place, turn in enumerate(dialogue.turns, 1):
        if len(turn.text.encode()) > TEXT_BYTES_MAX:
            raise BadDialogues(f"{where}: turn {place} is over {TEXT_BYTES_MAX} bytes; shorten it")
    return dialogue
