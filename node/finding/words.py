"""Text as terms, in languages with and without spaces between words.  No I/O.

    text        "iPhone手机壳坏了，ﬁne"
    terms       iphone 手机 机壳 壳坏 坏了 了 fine

Where words are written apart, each is a term.  Where they are not - Chinese, Japanese, Korean,
Thai and its neighbours - every two characters that stand together are one, and so is the last
character alone: a word of two characters is a term, a longer one is terms side by side, and a
single character begins one.  Compatible forms and capitals are made alike (NFKC, case folding).

    asked       退款       "退款"               a term
                手机壳     "手机 机壳"          side by side
                坏         "坏" *               what begins so
                refund     "refund" *           the same: refunds, refunded
                "my order" "my order"           exactly, side by side
                a b        both, anywhere in the conversation

Source: overlapping bigrams as Lucene's CJKAnalyzer makes them; Unicode UAX #15 for NFKC.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

QUERY_CHARACTERS_MAX = 200
PARTS_MAX = 8
"""Words and phrases of one question."""
PREFIX_CHARACTERS_MIN = 2
"""Of a word with letters: what a single one begins is no answer."""

_DENSE = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"  # Thai, Lao, Burmese, Jamo, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u3130-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"([{_DENSE}]+)|((?:(?![{_DENSE}_])\w)+)")
_PARTS = re.compile(r'"([^"]*)"?|([^\s"]+)')


class Part(NamedTuple):
    """A word or phrase that is asked for: terms side by side."""

    terms: tuple[str, ...]
    open_ended: bool
    """Whether the last may go on."""
    said: str
    """As it was written."""

    def is_in(self, terms: Sequence[str]) -> bool:
        """Say whether a text of these `terms` has the part, as the index would."""
        *exact, last = self.terms
        width = len(self.terms)
        return any(
            list(terms[place : place + width - 1]) == exact
            and (
                terms[place + width - 1].startswith(last)
                if self.open_ended
                else terms[place + width - 1] == last
            )
            for place in range(len(terms) - width + 1)
        )


def fold(text: str) -> str:
    """Return `text` as it is compared."""
    return unicodedata.normalize("NFKC", text).casefold()


def terms_of(text: str) -> list[str]:
    """Return the terms of a text, in order."""
    terms: list[str] = []
    for dense, word in _RUNS.findall(fold(text)):
        if word:
            terms.append(word)
        else:
            terms += map("".join, pairwise(dense))
            terms.append(dense[-1])
    return terms


def parts_of(query: str) -> list[Part]:
    """Return what a question asks for; nothing where it has no letter or number."""
    found = []
    for quoted, word in _PARTS.findall(query[:QUERY_CHARACTERS_MAX]):
        part = _part(quoted or word, exact=bool(quoted))
        if part is not None:
            found.append(part)
    return found


def _part(said: str, *, exact: bool) -> Part | None:
    terms: list[str] = []
    open_ended = False
    for dense, word in _RUNS.findall(fold(said)):
        if word:
            terms.append(word)
            open_ended = not exact and len(word) >= PREFIX_CHARACTERS_MIN
        elif len(dense) == 1:
            terms.append(dense)
            open_ended = True
        else:
            terms += map("".join, pairwise(dense))
            open_ended = False
    return Part(tuple(terms), open_ended, said) if terms else None
