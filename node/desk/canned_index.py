"""Canned responses by what agents type: an index of this node, over the replicated ones.  No I/O.

    text          tokens
    Refund 3–5 days          refund  3  5  days
    退款到账时间              退款 款到 到账 账时 时间   and 退 款 到 账 时 间

    rank   first that holds
    0      the shortcut is what was typed
    1      the shortcut begins with it
    2      a third of the tokens typed, or more, are in title or text: more of them first, in the
           title rather than in the text, then those with a text in the language asked for

A word that was typed finds those that begin with it.  Chinese, Japanese and Korean are written
without spaces, so two characters in a row are what a word is elsewhere.  Equals are in the order
of their shortcuts: the same answer at every node.

`sync` looks only at what is another since the last time, so it costs nothing between changes, and
after a snapshot no more than what really changed.
"""

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cluster.state.replies import Canned

QUERY_CHARACTERS_MAX = 100
TOKENS_MAX = 2_000
"""Different tokens of one response: its 16 KiB hold about as many words."""
PREFIXED_MAX = 64
"""Words that one typed beginning stands for."""
TITLE_WEIGHT = 4

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])[^\W_])+")


class _Entry(NamedTuple):
    canned: Canned
    weights: Mapping[str, int]
    """Token to what it counts."""


class CannedIndex:
    """The responses that were synced last."""

    def __init__(self) -> None:
        self._seen: Mapping[str, Canned] | None = None
        self._entries: dict[str, _Entry] = {}
        self._holders: dict[str, dict[str, int]] = {}
        """Token to the responses that have it."""
        self._words: list[str] = []
        """All tokens, sorted."""

    def sync(self, canned: Mapping[str, Canned]) -> int:
        """Take over what changed; return how many responses that were."""
        if canned is self._seen:
            return 0
        changed = 0
        for shortcut in [one for one in self._entries if one not in canned]:
            self._drop(shortcut)
            changed += 1
        for shortcut, one in canned.items():
            old = self._entries.get(shortcut)
            if old is None or old.canned != one:
                self._drop(shortcut)
                self._add(one)
                changed += 1
        self._seen = canned
        return changed

    def find(self, q: str, lang: str, queue: str | None, limit: int) -> list[Canned]:
        """Return the best `limit` for `q`: of `queue` and of all queues, or with None of any."""
        typed = _normal(q[:QUERY_CHARACTERS_MAX]).strip()
        matched = self._matches(typed)
        ranked = []
        for shortcut, (canned, _) in self._entries.items():
            if queue is not None and canned.queues and queue not in canned.queues:
                continue
            rank = _rank(_normal(shortcut), typed, matched.get(shortcut))
            if rank is not None:
                ranked.append((*rank, not _has(canned, lang), shortcut))
        return [self._entries[one[-1]].canned for one in sorted(ranked)[:limit]]

    def _matches(self, typed: str) -> dict[str, tuple[int, int]]:
        """Return how many tokens each response has of those typed, and what they count."""
        wanted = list(dict.fromkeys(_tokens(typed, single=False)))
        found: dict[str, tuple[int, int]] = {}
        for token in wanted:
            best: dict[str, int] = {}
            for word in self._begun(token):
                for shortcut, weight in self._holders[word].items():
                    best[shortcut] = max(best.get(shortcut, 0), weight)
            for shortcut, weight in best.items():
                count, score = found.get(shortcut, (0, 0))
                found[shortcut] = (count + 1, score + weight)
        return {name: one for name, one in found.items() if 3 * one[0] >= len(wanted)}

    def _begun(self, token: str) -> list[str]:
        """Return the words that `token` is the beginning of."""
        start = bisect_left(self._words, token)
        end = bisect_left(self._words, token + "\U0010ffff", start)
        return self._words[start : min(end, start + PREFIXED_MAX)]

    def _add(self, canned: Canned) -> None:
        weights: dict[str, int] = {}
        texts = [(canned.title, TITLE_WEIGHT), *((text, 1) for text in canned.texts.values())]
        for text, weight in texts:
            for token in _tokens(_normal(text), single=True):
                if len(weights) < TOKENS_MAX or token in weights:
                    weights[token] = max(weights.get(token, 0), weight)
        for token, weight in weights.items():
            if token not in self._holders:
                self._holders[token] = {}
                insort(self._words, token)
            self._holders[token][canned.shortcut] = weight
        self._entries[canned.shortcut] = _Entry(canned, weights)

    def _drop(self, shortcut: str) -> None:
        entry = self._entries.pop(shortcut, None)
        for token in entry.weights if entry is not None else ():
            holders = self._holders[token]
            del holders[shortcut]
            if not holders:
                del self._holders[token]
                del self._words[bisect_left(self._words, token)]


def text_in(canned: Canned, *langs: str) -> tuple[str, str]:
    """Return the language and the text for the first of `langs` that it has, or something near.

    `zh-CN` is served with `zh`; without any of them English, else the first by name.
    """
    for lang in (*langs, "en"):
        for one in (lang, lang.partition("-")[0]):
            if one in canned.texts:
                return one, canned.texts[one]
    first = min(canned.texts)
    return first, canned.texts[first]


def _rank(
    shortcut: str, typed: str, matched: tuple[int, int] | None
) -> tuple[int, int, int] | None:
    count, score = matched or (0, 0)
    if shortcut == typed:
        return 0, 0, 0
    if shortcut.startswith(typed):
        return (1, -count, -score) if typed else (1, 0, 0)
    return (2, -count, -score) if matched else None


def _has(canned: Canned, lang: str) -> bool:
    return lang in canned.texts or lang.partition("-")[0] in canned.texts


def _normal(text: str) -> str:
    """Return `text` as it is compared: one form of each character, no capitals."""
    return unicodedata.normalize("NFKC", text).casefold()


def _tokens(text: str, *, single: bool) -> Iterable[str]:
    """Yield the tokens of `text`; with `single` also every character that is one by itself."""
    for match in _RUN.finditer(text):
        run = match[0]
        if not re.match(rf"[{_CJK}]", run):
            yield run
            continue
        if single or len(run) == 1:
            yield from run
        yield from (run[at : at + 2] for at in range(len(run) - 1))
