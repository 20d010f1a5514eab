"""What an agent has before them: offers, conversations, which is the current one.  No I/O.

Conversations get small numbers, because nobody types a ULID.  Times are seconds of one clock.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from node.protocol.catalogue import Ev, OfferPush

TRANSCRIPT_MAX = 50
TRANSCRIPTS_MAX = 200
"""Conversations of which it is known what was said, also once they went elsewhere: they may return,
and a client hears nothing twice."""

LET_GO_MAX = 100
"""More are not wrapped up at once."""


@dataclass(slots=True)
class Offered:
    """A pending offer."""

    oid: str
    who: str
    ends_at: float
    asks: str = "own"
    called_out: set[int] = field(default_factory=set)

    def left_s(self, now: float) -> int:
        """Return how many seconds are left to accept."""
        return max(0, math.ceil(self.ends_at - now))


class AgentDesk:
    """One agent's offers and conversations."""

    def __init__(self) -> None:
        self._offers: dict[str, Offered] = {}
        self._numbers: dict[str, int] = {}
        self._fences: dict[str, int] = {}
        self._transcripts: dict[str, list[Ev]] = {}
        self._current: str | None = None
        self._guest: set[str] = set()
        """Those that are another's, in which the agent takes part."""
        self._seen: dict[str, int] = {}
        self._said: dict[str, str] = {}
        """The agent's own newest message in each."""
        self._closed: set[str] = set()
        self._let_go: list[str] = []
        """Those that were the agent's own, the newest last: there may be something left to do."""

    # -- offers

    def offer(self, push: OfferPush, who: str, now: float) -> Offered:
        """Take an offer in."""
        offered = Offered(push.oid, who, now + push.ttl / 1000, push.asks)
        self._offers[push.oid] = offered
        return offered

    def offer_gone(self, oid: str) -> Offered | None:
        """Forget an offer; return it if it was there."""
        return self._offers.pop(oid, None)

    def clear_offers(self) -> None:
        """Forget all offers."""
        self._offers.clear()

    def newest_offer(self, now: float) -> Offered | None:
        """Return the offer that came last, of those that still stand."""
        standing = (one for one in reversed(self._offers.values()) if one.ends_at > now)
        return next(standing, None)

    def due(self, now: float, marks: Iterable[int]) -> list[Offered]:
        """Return the offers of which one of `marks`, in seconds left, was just passed."""
        due = []
        for offered in self._offers.values():
            passed = {mark for mark in marks if 0 < offered.left_s(now) <= mark}
            if passed - offered.called_out:
                due.append(offered)
            offered.called_out |= passed
        return due

    # -- conversations

    def number(self, cv: str) -> int:
        """Return the small number of a conversation."""
        return self._numbers.setdefault(cv, len(self._numbers) + 1)

    def take(self, cv: str, fence: int) -> None:
        """The conversation is the agent's; it is the current one if there is no other."""
        self._fences[cv] = fence
        self._guest.discard(cv)
        self._closed.discard(cv)
        self._current = self._current or cv

    def join(self, cv: str) -> None:
        """The agent takes part in the conversation, which is another's."""
        self.take(cv, 0)
        self._guest.add(cv)

    def takes_part(self, cv: str) -> bool:
        """Say whether it is another's, and the agent takes part."""
        return cv in self._guest

    def close(self, cv: str) -> None:
        """It has ended, and may be reopened."""
        self._closed.add(cv)
        self.drop(cv)

    def done(self, number: int | None) -> str | None:
        """Forget the conversation that was let go of last, or that of the number; return it."""
        found = (cv for cv in reversed(self._let_go) if number in (None, self._numbers.get(cv)))
        cv = next(found, None)
        self._let_go = [one for one in self._let_go if one != cv]
        return cv

    def numbered(self, number: int) -> str | None:
        """Return the conversation of that number, whosever it is."""
        return next((cv for cv, its in self._numbers.items() if its == number), None)

    def closed(self, number: int) -> str | None:
        """Return the conversation of that number, if it has ended."""
        return next((cv for cv in self._closed if self._numbers.get(cv) == number), None)

    def drop(self, cv: str) -> None:
        """The conversation is the agent's no more."""
        if self._fences.pop(cv, None) is not None and cv not in self._guest:
            self._let_go = [*self._let_go, cv][-LET_GO_MAX:]
        self._guest.discard(cv)
        self._said.pop(cv, None)
        if self._current == cv:
            self._current = next(iter(self._fences), None)

    def holds(self, cv: str) -> bool:
        """Say whether the conversation is the agent's."""
        return cv in self._fences

    def held(self) -> list[str]:
        """Return the agent's conversations."""
        return list(self._fences)

    def use(self, number: int) -> bool:
        """Make a conversation the current one; say whether there is such a one."""
        cv = self.numbered(number)
        if cv is None or cv not in self._fences:
            return False
        self._current = cv
        return True

    @property
    def current(self) -> tuple[str, int] | None:
        """The current conversation and its fence."""
        return (self._current, self._fences[self._current]) if self._current else None

    def see(self, event: Ev, *, own: bool) -> None:
        """Take note of how far the agent has seen, and of what they said last."""
        self._seen[event.cv] = max(self._seen.get(event.cv, 0), event.seq)
        if own and event.type == "msg":
            self._said[event.cv] = event.mid
        elif event.type == "del" and self._said.get(event.cv) == event.mid:
            del self._said[event.cv]

    def seen(self, cv: str) -> int:
        """Return the newest `seq` that the agent has seen."""
        return self._seen.get(cv, 0)

    def said(self, cv: str) -> str | None:
        """Return the agent's newest message that was not taken back."""
        return self._said.get(cv)

    def note(self, event: Ev) -> None:
        """Keep a message for when the conversation is taken."""
        kept = self._transcripts.pop(event.cv, [])
        self._transcripts[event.cv] = [*kept, event][-TRANSCRIPT_MAX:]
        if len(self._transcripts) > TRANSCRIPTS_MAX:
            del self._transcripts[next(iter(self._transcripts))]

    def correct(self, event: Ev) -> None:
        """A message that is kept was edited, or taken back."""
        kept = self._transcripts.get(event.cv, [])
        if event.type == "del":
            kept = [one for one in kept if one.mid != event.mid]
        else:
            body = {"body": event.data.get("body", "")}
            kept = [
                msgspec.structs.replace(one, data=one.data | body) if one.mid == event.mid else one
                for one in kept
            ]
        self._transcripts[event.cv] = kept

    def transcript(self, cv: str) -> list[Ev]:
        """Return what was said before the conversation was taken."""
        return list(self._transcripts.get(cv, ()))
