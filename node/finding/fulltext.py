"""The index of terms: FTS5 in a temporary database.  Writes a file that has no name; blocks.

    conversations   number  cv  opened_ms      numbers rise with the order of opening
    texts           rowid = number << 20 | seq     shown, hidden: terms with spaces between

A page is sought in windows of conversation numbers, from the cursor on, so that a frequent word
costs no more than the page that it fills: within a window every part of the question gives a set
of conversations, and those in all of the sets are found.

The file is SQLite's own (the name ""): made where temporary files go, unlinked while it is open,
in memory up to `CACHE_KIB`.  A node that starts makes another.  Nothing in it is worth a sync.

Source: https://www.sqlite.org/fts5.html; ADR 0023 has the figures.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cluster.state.model import Conversation
from node.finding.facets import Key
from node.finding.texts import Text, texts_of
from node.finding.words import Part, terms_of

CACHE_KIB = 16 * 1024
TEXTS_MAX = 5_000_000
"""Above, the oldest conversations are found no more: some two gigabytes of temporary file."""
WINDOW_MIN, WINDOW_GROWTH = 500, 4
SEEK_S = 0.2
"""After so long a question gets what was found until then, and where to go on."""
_SEQ_BITS = 20
_SEQ_MAX = (1 << _SEQ_BITS) - 1
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE conversations(number INTEGER PRIMARY KEY, cv TEXT UNIQUE, opened_ms INTEGER);
CREATE INDEX by_opening ON conversations(opened_ms, cv);
CREATE VIRTUAL TABLE texts USING fts5(
    shown, hidden, columnsize = 0,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
);
"""
_BEHIND = {
    True: (
        "SELECT 1 FROM conversations WHERE number < ? LIMIT 1",
        "SELECT opened_ms, cv FROM conversations WHERE number >= ? ORDER BY number LIMIT 1",
    ),
    False: (
        "SELECT 1 FROM conversations WHERE number > ? LIMIT 1",
        "SELECT opened_ms, cv FROM conversations WHERE number <= ? ORDER BY number DESC LIMIT 1",
    ),
}
"""By whether the newest come first: whether there is more behind, and the place before it."""
_FROM = "FROM texts WHERE texts MATCH ? AND rowid BETWEEN ? AND ?"

Job = tuple[Conversation, Text | None]
"""A text of a conversation, or None: all of it anew."""


class Hit(NamedTuple):
    """A conversation, and the newest of its texts that has the first thing asked for."""

    cv: str
    seq: int


class Sought(NamedTuple):
    """What was found; `place` is the cursor behind it, None when there is no more."""

    hits: list[Hit]
    place: Key | None


class FullText:
    """One index.  Its calls block, and one thread at a time may make them."""

    def __init__(self, texts_max: int = TEXTS_MAX) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA cache_size = -{CACHE_KIB};{_TABLES}")
        self._texts_max = texts_max
        self.texts = 0

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    # -- what is in it

    def add(self, jobs: Iterable[Job], gone: Iterable[str] = ()) -> None:
        """Take texts in, each in place of what was known of that `seq`; forget those `gone`."""
        self._db.execute("BEGIN")
        for cv in gone:
            self._forget(cv)
        for conversation, text in jobs:
            if text is None:
                self._forget_texts(self._number(conversation))
                for one in texts_of(conversation):
                    self._put(conversation, one)
            else:
                self._put(conversation, text)
        while self.texts > self._texts_max:
            self._forget_oldest()
        self._db.execute("COMMIT")

    def _put(self, conversation: Conversation, text: Text) -> None:
        if text.seq > _SEQ_MAX:
            return
        row = self._number(conversation) << _SEQ_BITS | text.seq
        known = self._db.execute("DELETE FROM texts WHERE rowid = ?", (row,)).rowcount
        terms = (" ".join(terms_of(text.shown)), " ".join(terms_of(text.hidden)))
        self._db.execute("INSERT INTO texts(rowid, shown, hidden) VALUES (?, ?, ?)", (row, *terms))
        self.texts += 1 - known

    def _number(self, conversation: Conversation) -> int:
        number = self._known(conversation.cv)
        if number is not None:
            return number
        insert = "INSERT INTO conversations(cv, opened_ms) VALUES (?, ?)"
        return self._db.execute(insert, (conversation.cv, conversation.opened_ms)).lastrowid or 0

    def _known(self, cv: str) -> int | None:
        select = "SELECT number FROM conversations WHERE cv = ?"
        row = self._db.execute(select, (cv,)).fetchone()
        return row[0] if row is not None else None

    def _forget(self, cv: str) -> None:
        number = self._known(cv)
        if number is not None:
            self._forget_texts(number)
            self._db.execute("DELETE FROM conversations WHERE number = ?", (number,))

    def _forget_texts(self, number: int) -> None:
        delete = "DELETE FROM texts WHERE rowid BETWEEN ? AND ?"
        self.texts -= self._db.execute(delete, _rows(number, number)).rowcount

    def _forget_oldest(self) -> None:
        (cv,) = self._db.execute("SELECT cv FROM conversations ORDER BY number LIMIT 1").fetchone()
        self._forget(cv)

    # -- what is asked

    def seek(
        self,
        parts: Sequence[Part],
        *,
        beyond: Key | None,
        newest: bool,
        limit: int,
        everything: bool,
        only: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Sought:
        """Return conversations that have all `parts`, in order, from a place on, about `limit`.

        `everything`: what visitors do not see counts too.  `only`: of these conversations, in the
        order of the answer.
        """
        over = clock() + SEEK_S
        hits: list[tuple[int, Hit]] = []
        single = only is not None
        windows = (
            self._single(only or (), beyond, newest) if single else self._spans(beyond, newest)
        )
        for low, high in windows:
            hits += self._within(parts, low, high, newest=newest, everything=everything)
            if len(hits) >= limit or clock() >= over:
                last = hits[limit - 1][0] if len(hits) >= limit else (low if newest else high)
                return Sought([hit for _, hit in hits[:limit]], self._place(last, newest))
        return Sought([hit for _, hit in hits], None)

    def _spans(self, beyond: Key | None, newest: bool) -> Iterator[tuple[int, int]]:
        """Yield ranges of numbers from the cursor on, growing."""
        first, last = self._db.execute(
            "SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM conversations"
        ).fetchone()
        if beyond is not None:
            first, last = self._cut(beyond, first, last, newest)
        size = WINDOW_MIN
        while first <= last:
            if newest:
                yield max(first, last - size + 1), last
                last -= size
            else:
                yield first, min(last, first + size - 1)
                first += size
            size *= WINDOW_GROWTH

    def _cut(self, beyond: Key, first: int, last: int, newest: bool) -> tuple[int, int]:
        number = self._known(beyond[1])
        if newest:
            if number is not None:
                return first, number - 1
            select = "SELECT max(number) FROM conversations WHERE (opened_ms, cv) < (?, ?)"
            (found,) = self._db.execute(select, beyond).fetchone()
            return first, found or 0
        if number is not None:
            return number + 1, last
        select = "SELECT min(number) FROM conversations WHERE (opened_ms, cv) > (?, ?)"
        (found,) = self._db.execute(select, beyond).fetchone()
        return (found, last) if found is not None else (1, 0)

    def _single(
        self, only: Sequence[str], beyond: Key | None, newest: bool
    ) -> Iterator[tuple[int, int]]:
        select = "SELECT number FROM conversations JOIN json_each(?) ON cv = value ORDER BY number"
        numbers = [row[0] for row in self._db.execute(select, (json.dumps(list(only)),))]
        if beyond is not None:
            first, last = self._cut(beyond, 1, 1 << 62, newest)
            numbers = [number for number in numbers if first <= number <= last]
        for number in reversed(numbers) if newest else numbers:
            yield number, number

    def _within(
        self, parts: Sequence[Part], low: int, high: int, *, newest: bool, everything: bool
    ) -> list[tuple[int, Hit]]:
        """Return the conversations numbered `low` to `high` that have all parts."""
        column = "" if everything else "{shown} : "
        matches = [column + _match(part) for part in parts]
        select = f"SELECT rowid >> {_SEQ_BITS} AS number, max(rowid & {_SEQ_MAX}) AS seq {_FROM}"
        for _ in matches[1:]:
            select += f" AND number IN (SELECT rowid >> {_SEQ_BITS} {_FROM})"
        order = "DESC" if newest else "ASC"
        found = self._db.execute(
            f"SELECT number, cv, seq FROM conversations JOIN ({select} GROUP BY number)"  # noqa: S608
            f" USING (number) ORDER BY number {order}",
            [value for match in matches for value in (match, *_rows(low, high))],
        )
        return [(number, Hit(cv, seq)) for number, cv, seq in found]

    def _place(self, number: int, newest: bool) -> Key | None:
        """Return the cursor behind conversation `number`, None when there is nothing behind it."""
        more, near = _BEHIND[newest]
        if self._db.execute(more, (number,)).fetchone() is None:
            return None
        # The conversation itself may be gone: then the next that is there on this side of it.
        row = self._db.execute(near, (number,)).fetchone()
        return (row[0], row[1]) if row is not None else None


def _match(part: Part) -> str:
    """Return a part as FTS5 asks for it; terms hold nothing but letters and numbers."""
    return f'"{" ".join(part.terms)}"' + (" *" if part.open_ended else "")


def _rows(low: int, high: int) -> tuple[int, int]:
    return low << _SEQ_BITS, high << _SEQ_BITS | _SEQ_MAX
