"""unidesk for Python 3.9 and newer: operations and events over HTTP.  Talks to nodes.

    desk = Unidesk(["https://desk1.acme.example", "https://desk2.acme.example"], token)
    cv = desk.open(text="Where is my parcel?")["cv"]
    with desk.events() as events:
        for name, data in events:  # ev, gap, caught, offer, welcome ...
            if name == "ev" and data["type"] == "msg":
                print(data["seq"], data["data"]["body"])

An operation is asked again, with the same key, at the next node until it is answered or its
deadline is over.  Events come once and in order, whichever node tells them; what is kept no more
is a `gap`.  Threads may share a `Unidesk`; none is started.  docs/reference/protocol.md, Apache-2.0
"""

from __future__ import annotations

import io
import json
import random
import re
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic, sleep
from typing import Any, Callable, Union
from urllib.parse import quote, urlsplit

CONNECT_S, ATTEMPT_S = 3.0, 10.0  # ... and for one answer, or the welcome of a stream
RETRY_S_MIN, RETRY_S_MAX = 0.25, 10.0  # of the doubling wait, of which a random part is waited
STABLE_S, PINGS_MISSED_MAX = 1.0, 2.5  # a stream that lived for less makes no wait short again
BYTES_MAX, NODES_MAX, CURSORS_MAX, RESUMED_MAX = 4 << 20, 64, 10_000, 200
Token = Union[str, Callable[[], str]]
Fields = dict[str, Any]
_NODE = re.compile(r"(?:ws|http)(s?)(://[^/?#\s]+(?:/[^?#\s]+?)??)(?:/v1/ws)?/?")
_FINAL = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 413: "too_large"}
_PARTINGS = {4102: "unauthorized", 4103: "unauthorized", 4104: "forbidden"}
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


class UnideskError(Exception):
    """Something was not done: a `code` of the protocol, a `message` in words, `data` beside it."""

    retry = False  # whether the same request, with the same key, may succeed later

    def __init__(self, code: str, message: str, data: Any = None, wait_s: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.wait_s, self.key = code, message, wait_s, ""
        self.data: Fields = data if isinstance(data, dict) else {}


class Refused(UnideskError):
    """The cluster said no, until somebody acts; `code` is a close code where a stream ended."""


class Unavailable(UnideskError):
    """No node did it in time: ask again with `key`.  Code `timeout`: it may have been done."""

    retry = True


class Unidesk:
    """One principal's way into the cluster."""

    def __init__(
        self, urls: Iterable[str], token: Token, *, deadline_s: float = 30.0, tls: Any = None
    ) -> None:
        """`token` may be a callable, asked again when its last counts no more; `tls` a context."""
        self._nodes = [_base(url) for url in urls]
        if len({node.partition(":")[0] for node in self._nodes}) != 1 or not self._nodes[0]:
            raise ValueError("urls: all like https://desk1.acme.example, or all http")
        self._connect: Any = HTTPConnection
        if self._nodes[0].startswith("https:"):
            self._connect = lambda *at, **how: HTTPSConnection(*at, **how, context=tls)
        self._token, self._current, self._deadline_s = token, "", deadline_s

    def open(self, **fields: Any) -> Fields:
        return self.call("cv.open", **fields)  # `text`, `subject`, `tags` ...: {cv, seq, state}

    def send(self, cv: str, body: Any, **fields: Any) -> Fields:
        return self.call("msg.send", cv=cv, body=body, **fields)  # {seq, mid, ts}; it is durable

    def history(self, cv: str, after: int = 0, **fields: Any) -> Fields:
        return self.call("cv.history", cv=cv, after=after, **fields)  # {events, more, gap ...}

    def close(self, cv: str, **fields: Any) -> Fields:
        return self.call("cv.close", cv=cv, **fields)

    def transfer(self, cv: str, to: dict[str, str], **fields: Any) -> Fields:
        return self.call("cv.transfer", cv=cv, to=to, **fields)  # {"agent": id}, {"queue": name}

    def events(self, cvs: Iterable[str] = (), *, place: str = "", for_s: float = 1e9) -> Events:
        """Listen to what is one's own and to `cvs`, on from `place`, for `for_s` at most."""
        return Events(self, cvs, place, for_s)

    def call(self, op: str, *, key: str = "", deadline_s: float = 0.0, **fields: Any) -> Fields:
        """Do any operation; return the reply's `r`.  Raises `Refused`, `Unavailable`."""
        key, body = key or uuid.uuid4().hex, json.dumps(fields, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        path, doubt, renewed, failures = f"/v1/op/{quote(op, '')}", False, False, 0
        over = monotonic() + (deadline_s or self._deadline_s)
        while True:
            node, by = self._nodes[0], min(over, monotonic() + ATTEMPT_S)
            try:
                with self._ask(node, by, path, headers, body) as reader:
                    return reader.reply(node)
            except Refused as no:
                if no.code != "unauthorized" or renewed or self._current == self._renew():
                    raise
                renewed = True
            except Unavailable as no:
                self._go_on(no.data.get("nodes"), node)
                doubt, wait_s = doubt or no.code == "timeout", _wait_s(no.wait_s, failures)
                if monotonic() + wait_s >= over:
                    no.key, no.code = key, "timeout" if doubt else no.code
                    raise
                failures += 1
                sleep(wait_s)

    @contextmanager
    def _ask(self, node: str, by: float, path: str, head: Fields, body: Any) -> Iterator[_Reader]:
        token, left_s = self._current or self._renew(), _left(by, CONNECT_S)
        head = {**head, "Authorization": f"Bearer {token}", "Connection": "close"}
        method, url = "POST" if body else "GET", urlsplit(node)
        try:
            with closing(self._connect(url.hostname, url.port, timeout=left_s)) as connection:
                connection.request(method, url.path + path, body, head)
                reader = _Reader(connection.sock, by)
                with closing(reader.response):
                    reader.response.begin()
                    yield reader
        except (OSError, HTTPException, ValueError) as error:
            raise Unavailable("timeout", f"{node}: {error!r}") from None

    def _renew(self) -> str:
        self._current = self._token() if callable(self._token) else self._token
        return self._current

    def _go_on(self, told: Any, lost: str = "") -> None:
        """Take note of nodes that one told of; when it was `lost`, they come first, it last."""
        urls = [_base(str(one.get("url"))) for one in told or () if isinstance(one, dict)]
        told = [url for url in urls if url[:6] == self._nodes[0][:6]]  # never from TLS to plain
        queue = dict.fromkeys([*told, *self._nodes] if lost else [*self._nodes, *told])
        queue.pop(lost, None)
        self._nodes = list(queue)[: NODES_MAX - 1] + [lost] * bool(lost)


class Events(AbstractContextManager["Events"]):
    """Pushes as (name, data), each once and in order, until `close` or `for_s`."""

    def __init__(self, desk: Unidesk, cvs: Iterable[str], place: str, for_s: float) -> None:
        self._desk, self._wanted, self._over = desk, dict.fromkeys(cvs), monotonic() + for_s
        self._sid, *had = place.split(".")
        self._seen = {cv: (int(seq), True) for cv, _, seq in (one.partition(":") for one in had)}
        self._live_since, self._quiet_s, self._renewed = float("inf"), ATTEMPT_S, False
        self._closing = threading.Event()
        self._socket: Any = None

    @property
    def place(self) -> str:
        """Where this listener is, the last event included: `events(place=...)` goes on there."""
        had = [f".{cv}:{seq}" for cv, (seq, goes_on) in self._seen.items() if goes_on]
        return self._sid + "".join(had[-RESUMED_MAX:])

    def close(self, *_: object) -> None:
        """End; at once, also for another thread that waits."""
        self._closing.set()
        with suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)

    __exit__ = close

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        """Yield what comes.  Raises `Refused` when nothing goes on until somebody acts."""
        failures, desk = 0, self._desk
        while not self._closing.is_set() and monotonic() < self._over:
            node, wait_s, self._live_since = desk._nodes[0], 0.0, float("inf")
            try:
                yield from self._listen(node)
            except Refused as no:
                tried = no.code != "unauthorized" or self._renewed
                if tried or desk._current == desk._renew():
                    raise
                self._renewed = True
            except Unavailable as lost:
                desk._go_on(lost.data.get("nodes"), node)
                wait_s = lost.wait_s
            failures = 0 if monotonic() - self._live_since >= STABLE_S else failures + 1
            self._closing.wait(_left(self._over, _wait_s(wait_s, failures)))

    def _listen(self, node: str) -> Iterator[tuple[str, Fields]]:
        asked = [cv for cv in self._wanted if cv not in self.place]
        path = "/v1/events" + "?" * bool(asked) + "&".join(f"cv={quote(cv)}" for cv in asked)
        headers = {"Last-Event-ID": self.place} if self.place else {}
        by, self._quiet_s = min(self._over, monotonic() + ATTEMPT_S), ATTEMPT_S
        with self._desk._ask(node, by, path, headers, None) as reader:
            self._socket = reader.socket
            while not self._closing.is_set():
                reader.by = min(self._over, monotonic() + self._quiet_s)
                try:
                    name, data = reader.push(node)
                    if self._take(name, data, asked):
                        yield name, data
                except _NONSENSE as error:
                    raise Unavailable("timeout", f"{node}: {error!r}") from None

    def _take(self, name: str, data: Fields, asked: list[str]) -> bool:  # is it to be told?
        cv, seen = data.get("cv", ""), self._seen.get(data.get("cv", ""), (0, True))[0]
        if name == "ev":
            if data["seq"] > seen + 1:
                raise ValueError(f"{cv}: {data['seq']} after {seen}")  # asked for again, elsewhere
            if data["seq"] <= seen:
                return False
            self._note(cv, data["seq"], data["type"] != "closed")
        elif name == "gap":
            first, last = data["first"], data["last"]  # 0 and 0: it is gone, or not ours to see
            self._note(cv, max(min(seen, last), first - 1) if last else seen, last > 0)
            return not last or not first - 1 <= seen <= last
        elif name == "welcome":
            self._sid, self._live_since, self._renewed = data["sid"], monotonic(), False
            self._quiet_s = PINGS_MISSED_MAX * max(1.0, data["ping_ms"] / 1000)
            self._desk._go_on(data.get("nodes"))
        elif name == "err":
            data["cv"] = asked[data["id"] - 1]
            if data.get("retry"):
                raise Unavailable(data["code"], data["msg"])
            self._wanted.pop(data["cv"], None)
        elif name == "bye":
            if not data["resume"]:
                raise Refused(_PARTINGS.get(data["code"], str(data["code"])), data["reason"])
            wait_ms = random.uniform(data["retry"]["min_ms"], data["retry"]["max_ms"])
            raise Unavailable("bye", data["reason"], data, min(wait_ms / 1000, RETRY_S_MAX))
        return name not in ("ok", "ping")

    def _note(self, cv: str, seq: int, goes_on: bool) -> None:
        self._seen.pop(cv, None)
        self._seen[cv] = (seq, goes_on)  # the newest is last
        if not goes_on:
            self._wanted.pop(cv, None)
        if len(self._seen) > CURSORS_MAX:
            self._seen.pop(next(iter(self._seen)))


class _Reader(io.RawIOBase):
    """One answer, read until `by`: a timeout alone would begin anew with every byte."""

    def __init__(self, sock: socket.socket, by: float) -> None:
        self.socket, self.by = sock, by
        self.response = HTTPResponse(self)  # type: ignore[arg-type]

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.socket.settimeout(_left(self.by))
        return self.socket.recv_into(buffer)

    def reply(self, node: str) -> Fields:
        after, status = self.response.headers.get("Retry-After", ""), self.response.status
        wait_s = float(after) if after.isdecimal() else 0.0  # a date would hang on two clocks
        try:
            said = json.loads(self.response.read(BYTES_MAX))
            if status == 200:
                return dict(said)
            kind = Unavailable if status >= 500 or said.get("retry") else Refused
            raise kind(said["code"], said["msg"], said.get("data"), wait_s)
        except _NONSENSE:  # not of unidesk: a proxy, a captive portal, half an answer
            kind, code = Refused if status in _FINAL else Unavailable, _FINAL.get(status, "timeout")
            raise kind(code, f"{node} answered {status}", None, wait_s) from None

    def push(self, node: str) -> tuple[str, Fields]:
        name, data, line = "", b"", b""
        if self.response.status != 200:
            self.reply(node)
        while line.strip() or not data:
            line = self.response.readline(BYTES_MAX)
            if not line.endswith(b"\n") or len(data) > BYTES_MAX:
                raise ValueError("the stream ended")
            field, _, value = line.partition(b":")
            name = value.decode().strip() if field == b"event" else name
            data += value if field == b"data" else b""
        return name, dict(json.loads(data))


def _base(url: str) -> str:
    found = _NODE.fullmatch(url)
    return f"http{found[1]}{found[2]}" if found else ""


def _left(by: float, at_most: float = 1e9) -> float:
    return max(0.001, min(at_most, by - monotonic()))


def _wait_s(least: float, failures: int) -> float:
    return max(least, random.uniform(0.0, min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(failures, 16))))
