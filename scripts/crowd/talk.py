"""Closed loops of messages, each beside somebody at another node who reads along.

    python -m scripts.crowd.talk < plan.json      talks to nodes, tells on standard output

    sender    upgrade, hello, cv.open ─▶ msg.send ─ok─▶ msg.send ─ok─▶ …
                                  │         └──────────────▼ the same event, in order
    observer  upgrade, hello, cv.sub ─ caught ───────────▶ ev, ev, ev …

Plan: {"nodes": [["127.0.0.1", 7101], ...], "pairs": [[sender's token, observer's token], ...],
"bytes": 100, "warm_up_s": 1, "seconds": 5}.  It prints "begin" and "end" around what is measured,
then how long each message took to be acknowledged, and to be seen by the observer, in milliseconds,
and how many events were missing, double or out of order at an observer, which has to be none.

One loop over epoll and typed decoding, so that the nodes are measured and not this.
"""

import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from scripts.crowd.clients import UPGRADE, frames, masked

OPENING_S_MAX = 60.0
AFTER_S = 1.0
"""For the last events to be seen."""
_REQUEST = 2


class Heard(msgspec.Struct):
    """As much of a server's message as is looked at."""

    op: str = ""
    id: int = 0
    cv: str = ""
    seq: int = 0
    type: str = ""
    r: dict[str, Any] = msgspec.field(default_factory=dict)


_DECODE = msgspec.json.Decoder(Heard).decode


@dataclass(slots=True)
class Talk:
    """A sender, its observer, and what they saw."""

    number: int
    cv: str = ""
    caught: bool = False
    sent: int = 0
    sent_at: float = 0.0
    sent_of: dict[int, float] = field(default_factory=dict)
    """When events were sent that the observer has not seen, by `seq`."""
    seen: int = 0
    wrong: int = 0


@dataclass(slots=True)
class End:
    """One connection of a talk."""

    talk: Talk
    observes: bool
    handle: socket.socket
    buffer: bytes = b""
    upgraded: bool = False


class Talks:
    """All talks of this process."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._nodes = [(host, port) for host, port in plan["nodes"]]
        self._pairs = plan["pairs"]
        self._body = "x" * plan["bytes"]
        self._poller = select.epoll()
        self._ends: dict[int, End] = {}
        self._talks = [Talk(number) for number in range(len(self._pairs))]
        self._senders: list[End] = []
        self._measuring = self._stopping = False
        self.acknowledged_ms: list[float] = []
        self.seen_ms: list[float] = []
        self.errors: dict[str, int] = {}
        self.cpu_s = 0.0

    def open(self) -> None:
        """Connect everybody; raises `TimeoutError`."""
        for talk, (token, _) in zip(self._talks, self._pairs, strict=True):
            opening = {"op": "cv.open", "id": 1, "key": f"open-{talk.number}-{os.getpid()}"}
            self._senders.append(self._connect(talk, token, opening, observes=False))
        self._turn_until(lambda: all(talk.cv for talk in self._talks))
        for talk, (_, token) in zip(self._talks, self._pairs, strict=True):
            self._connect(talk, token, {"op": "cv.sub", "id": 1, "cv": talk.cv}, observes=True)
        self._turn_until(lambda: all(talk.caught for talk in self._talks))

    def run(self, warm_up_s: float, seconds: float) -> None:
        """Talk, and take the times."""
        for end in self._senders:
            self._say(end)
        self._turn_for(warm_up_s)
        self._measuring = True
        began = time.process_time()
        print("begin", flush=True)
        self._turn_for(seconds)
        print("end", flush=True)
        self.cpu_s = time.process_time() - began
        self._measuring = False
        self._stopping = True
        self._turn_for(AFTER_S)

    @property
    def wrong(self) -> int:
        """Events that observers missed or heard twice, and those never seen at all."""
        return sum(talk.wrong + len(talk.sent_of) for talk in self._talks)

    def _connect(self, talk: Talk, token: str, request: dict[str, Any], *, observes: bool) -> End:
        handle = socket.create_connection(self._nodes[(talk.number + observes) % len(self._nodes)])
        handle.setblocking(False)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = self._ends[handle.fileno()] = End(talk, observes, handle)
        self._poller.register(handle.fileno(), select.EPOLLIN)
        hello = {"op": "hello", "ver": "1", "token": token}
        said = [masked(1, msgspec.json.encode(one)) for one in (hello, request)]
        handle.send(UPGRADE.encode() + b"".join(said))
        return end

    def _say(self, end: End) -> None:
        talk = end.talk
        talk.sent += 1
        talk.sent_at = time.monotonic()
        key = f"{talk.number}-{talk.sent}"
        request = {"op": "msg.send", "id": _REQUEST, "cv": talk.cv, "key": key, "body": self._body}
        end.handle.send(masked(1, msgspec.json.encode(request)))

    def _turn_until(self, done: Any) -> None:
        until = time.monotonic() + OPENING_S_MAX
        while not done():
            if time.monotonic() > until:
                raise TimeoutError(f"not all could connect: {self.errors}")
            self._turn()

    def _turn_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._turn()

    def _turn(self) -> None:
        for fd, _ in self._poller.poll(0.02, 512):
            end = self._ends[fd]
            data = end.handle.recv(65_536)
            if not data:
                raise ConnectionError("a node hung up")
            self._read(end, end.buffer + data)

    def _read(self, end: End, data: bytes) -> None:
        if not end.upgraded:
            head, blank, data = data.partition(b"\r\n\r\n")
            if not blank:
                end.buffer = head
                return
            end.upgraded = True
        found, end.buffer = frames(data)
        for opcode, payload in found:
            if opcode == 1:
                self._hear(end, _DECODE(payload))
            elif opcode == 9:
                end.handle.send(masked(10, payload))

    def _hear(self, end: End, heard: Heard) -> None:
        talk, now = end.talk, time.monotonic()
        match heard.op:
            case "ok" if heard.id == _REQUEST:
                talk.sent_of[heard.r["seq"]] = talk.sent_at
                if heard.r["seq"] <= talk.seen:  # the observer was quicker
                    self._note_seen(talk, heard.r["seq"], now)
                if self._measuring:
                    self.acknowledged_ms.append((now - talk.sent_at) * 1e3)
                if not self._stopping:
                    self._say(end)
            case "ok" if not end.observes and heard.r.get("cv"):
                talk.cv = heard.r["cv"]
            case "caught" if end.observes:
                talk.caught = True
            case "ev" if end.observes:
                talk.wrong += heard.seq != talk.seen + 1
                talk.seen = heard.seq
                self._note_seen(talk, heard.seq, now)
            case "err":
                self.errors[heard.op] = self.errors.get(heard.op, 0) + 1
            case _:
                pass

    def _note_seen(self, talk: Talk, seq: int, now: float) -> None:
        sent_at = talk.sent_of.pop(seq, None)
        if sent_at is not None and self._measuring:
            self.seen_ms.append((now - sent_at) * 1e3)


def main() -> None:
    """Read the plan from standard input, do it, tell."""
    plan = msgspec.json.decode(sys.stdin.buffer.read())
    talks = Talks(plan)
    talks.open()
    talks.run(plan["warm_up_s"], plan["seconds"])
    told = {
        "acknowledged_ms": talks.acknowledged_ms,
        "seen_ms": talks.seen_ms,
        "wrong": talks.wrong,
        "errors": sum(talks.errors.values()),
        "cpu_s": talks.cpu_s,
    }
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
