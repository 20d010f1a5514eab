"""Search and lists: what taking in costs, and how long questions take.

    python -m scripts.bench_search DIALOGUES.jsonl [--messages 100000] [--rounds 5]

Real dialogues, repeated with ids of their own until there are so many messages, are read into the
index as a node that starts reads them: in a thread, in batches, while the loop goes on.  *lag* is
how late the loop's timers of a millisecond were meanwhile.  Then questions, each for the newest 50
conversations, beside two peers in the same kind of temporary database: a scan with LIKE, and FTS5
with its own trigram tokenizer.  Lists are pages of 50 along the lines of as many conversations.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from cluster.ids import Ulids
from cluster.state.commands import By
from cluster.state.events import Event, Tail
from cluster.state.model import Conversation
from cluster.state.route import Route, Step
from cluster.state.state import State
from node.auth import Principal
from node.finding.facets import Facets
from node.finding.filters import Wanted, proposals
from node.finding.fulltext import FullText
from node.finding.search import Search
from node.finding.walk import walk
from node.finding.words import parts_of
from node.protocol.catalogue import ConversationFilter

PAGE = 50
OPENED_MS = 1_760_000_000_000
QUESTIONS = (
    ("a frequent word", "please"),
    ("a rare word", "7916676427"),
    ("the beginning of words", "refun"),
    ("two words", "refund credit"),
    ("a phrase", '"order id"'),
    ("two characters", "酒店"),
    ("three characters", "烤鸭店"),
    ("one character", "门"),
    ("two words, far apart", "地铁 故宫"),
    ("nothing", "qzxj"),
)
FILTERS = (
    ("all", ConversationFilter()),
    ("state", ConversationFilter(state="assigned")),
    ("queue and state", ConversationFilter(queue="vip", state="waiting")),
    ("agent", ConversationFilter(agent="a7")),
    ("tag", ConversationFilter(tags={"order": "77"})),
    ("day and tag", ConversationFilter(since=OPENED_MS + 9, tags={"lang": "zh"})),
)
STATES = ("closed",) * 8 + ("assigned", "waiting")


def conversations(dialogues: list[dict[str, Any]], messages: int) -> Iterator[Conversation]:
    """Yield conversations of so many messages together."""
    ids = Ulids(lambda: OPENED_MS, lambda count: number.to_bytes(count, "big"))
    number = total = 0
    while total < messages:
        dialogue = dialogues[number % len(dialogues)]
        number += 1
        state = STATES[number % len(STATES)]
        events = [
            Event(
                seq,
                "note" if turn["role"] == "note" else "msg",
                By("agent" if turn["role"] == "agent" else "visitor", "x"),
                OPENED_MS + number,
                data={"type": "text", "body": turn["text"]},
                hidden=turn["role"] == "note",
            )
            for seq, turn in enumerate(dialogue["turns"], start=1)
        ]
        total += len(events)
        yield Conversation(
            cv=ids.new(),
            visitor=f"v{number}",
            visitor_name=str(dialogue["tags"].get("name", "")),
            channel="web",
            lang=dialogue["lang"],
            subject="",
            tags={"order": str(number), "lang": dialogue["lang"]},
            attrs={},
            opened_ms=OPENED_MS + number,
            state=state,  # type: ignore[arg-type]
            owner=f"a{number % 200}" if state == "assigned" else "",
            route=Route((Step("vip" if number % 7 == 0 else "general"),)),
            seq=len(events),
            tail=Tail.of(events),
        )


async def read_in(state: State) -> tuple[float, list[float]]:
    """Return how long the index took to read all, and how late the loop's timers were."""
    search = Search(lambda: state, trio.current_time)
    lags: list[float] = []

    async def tick() -> None:
        while True:
            due = trio.current_time() + 0.001
            await trio.sleep_until(due)
            lags.append(trio.current_time() - due)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        search.restart()
        began = trio.current_time()
        nursery.start_soon(search.run)
        while not search.complete:
            await trio.sleep(0.02)
        took = trio.current_time() - began
        nursery.cancel_scope.cancel()
    return took, lags


class Peers:
    """The same texts for a LIKE scan, and for FTS5's trigrams."""

    def __init__(self, known: list[Conversation]) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA cache_size = -16384;"
            "CREATE TABLE plain(number INTEGER, text TEXT);"
            "CREATE VIRTUAL TABLE grams USING fts5(text, tokenize = 'trigram');"
        )
        rows = [
            (number, event.data["body"])
            for number, one in enumerate(known, start=1)
            for event in one.tail
        ]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO plain VALUES (?, ?)", rows)
        self._db.execute("COMMIT")
        began = time.perf_counter()
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO grams(rowid, text) VALUES (?, ?)",
            ((number << 20 | place, text) for place, (number, text) in enumerate(rows)),
        )
        self._db.execute("COMMIT")
        self.grams_us = (time.perf_counter() - began) / len(rows) * 1e6

    def scan(self, words: list[str]) -> int:
        """Return how many conversations a scan finds for the page."""
        both = " INTERSECT ".join("SELECT number FROM plain WHERE text LIKE ?" for _ in words)
        select = f"SELECT number FROM ({both}) GROUP BY number ORDER BY number DESC LIMIT {PAGE}"
        return len(self._db.execute(select, [f"%{word}%" for word in words]).fetchall())

    def trigrams(self, words: list[str]) -> int:
        """Return how many conversations trigrams find; words below three characters: none."""
        one = "SELECT rowid >> 20 AS number FROM grams WHERE grams MATCH ?"
        both = " INTERSECT ".join(one for _ in words)
        select = f"SELECT number FROM ({both}) GROUP BY number ORDER BY number DESC LIMIT {PAGE}"
        return len(self._db.execute(select, [f'"{word}"' for word in words]).fetchall())


def timed(function: Callable[[], int], rounds: int) -> tuple[float, int]:
    """Return the median of milliseconds, and what it returns."""
    took = []
    found = 0
    for _ in range(rounds):
        began = time.perf_counter()
        found = function()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dialogues", type=Path)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if not chosen.dialogues.is_file():
        sys.exit(f"bench_search: {chosen.dialogues}: no such file; name a file of dialogues")
    dialogues = [json.loads(line) for line in chosen.dialogues.read_text().splitlines()]
    known = list(conversations(dialogues, chosen.messages))
    messages = sum(len(one.tail) for one in known)
    print(f"{len(known)} conversations, {messages} messages, sqlite {sqlite3.sqlite_version}\n")
    _taking_in(known, messages)
    _questions(known, chosen.rounds)
    _lists(known, chosen.rounds)


def _taking_in(known: list[Conversation], messages: int) -> None:
    state = State()
    for one in known:
        state.put_conversation(one)
    took, lags = trio.run(read_in, state)
    lags.sort()
    print(
        f"read in by a thread              {took:8.1f} s   {took / messages * 1e6:6.0f} us/message"
    )
    late = [lags[int(share * (len(lags) - 1))] * 1000 for share in (0.5, 0.99, 1)]
    print("loop's lag meanwhile p50, p99, max {:6.1f} {:6.1f} {:6.1f} ms".format(*late))


def _questions(known: list[Conversation], rounds: int) -> None:
    index = FullText()
    began = time.perf_counter()
    for place in range(0, len(known), 100):
        index.add([(one, None) for one in known[place : place + 100]])
    us = (time.perf_counter() - began) / index.texts * 1e6
    peers = Peers(known)
    print(f"taking in, nothing else running  {us:8.0f} us/text; trigrams {peers.grams_us:.0f}\n")
    print(f"{'newest 50 with':24}{'':14}{'index ms':>10}{'LIKE ms':>10}{'trigram ms':>12}  found")
    for name, query in QUESTIONS:
        parts = parts_of(query)
        words = [part.said for part in parts]

        def ask(parts: Any = parts) -> int:
            return len(
                index.seek(parts, beyond=None, newest=True, limit=PAGE, everything=True).hits
            )

        ours, found = timed(ask, rounds)
        scan, scanned = timed(lambda words=words: peers.scan(words), rounds)  # type: ignore[misc]
        grams, of_grams = timed(lambda words=words: peers.trigrams(words), rounds)  # type: ignore[misc]
        print(
            f"{name:24}{query:14}{ours:10.2f}{scan:10.1f}{grams:12.2f}"
            f"  {found}, {scanned}, {of_grams}"
        )
    index.close()


def _lists(known: list[Conversation], rounds: int) -> None:
    many = [
        replace(one, cv=f"{one.cv[:16]}{number:010d}", opened_ms=OPENED_MS + number)
        for number, one in enumerate(known * (100_000 // len(known) + 1))
    ][:100_000]
    state, facets = State(), Facets()
    state.conversations = {one.cv: one for one in many}
    facets.begin(state.conversations)
    began = time.perf_counter()
    facets.take_in(state.conversations, len(many))
    us = (time.perf_counter() - began) / len(many) * 1e6
    print(f"\nlines over {len(many)} conversations: {us:.0f} us each to take in\n")
    print(f"{'newest 50 by':38}{'lines ms':>10}{'look at all ms':>16}")
    sue = Principal("supervisor", "sue", 0)
    for name, wanted in FILTERS:
        matches = Wanted(wanted, sue, state, facets).matches

        def page(wanted: Any = wanted, matches: Any = matches) -> int:
            proposal = proposals(wanted, sue, state, facets)
            return len(
                walk(
                    proposal,
                    state.conversations,
                    matches,
                    beyond=None,
                    newest=True,
                    limit=PAGE,
                    since=wanted.since,
                    until=wanted.until,
                ).found
            )

        def plain(matches: Any = matches) -> int:
            found = [one for one in state.conversations.values() if matches(one)]
            return len(sorted(found, key=lambda one: one.opened_ms)[-PAGE:])

        ours, found = timed(page, rounds)
        look, same = timed(plain, rounds)
        assert found == same, (name, found, same)
        print(f"{name:38}{ours:10.2f}{look:16.1f}")


if __name__ == "__main__":
    main()
