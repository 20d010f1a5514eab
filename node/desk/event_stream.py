"""What happens, told by HTTP: `GET /v1/events`.  No I/O: sends on the edge's event streams.

By gRPC it is the same, but for how it is written.

    HTTP                              the same over a WebSocket
    Authorization: Bearer TOKEN       the token of `hello`
    ?cv=ID&cv=ID                      `cv.sub` from the first event, numbered 1, 2, ...
    Last-Event-ID: PLACE              `resume`: goes on where the stream broke, at any node
    event: NAME, data: JSON           a push, or the reply to the `cv.sub` of that number

A stream is a session as any other: an agent who listens is there, and hears of offers; who opened
a conversation, or is assigned it, follows it unasked.  Everything is told once and in order.
A PLACE is opaque to clients: `SID` and what they have of every conversation, `.CV:SEQ` each.

Source: WHATWG HTML, 9.2 "Server-sent events".
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl

from node.auth import Principal
from node.desk.context import Context
from node.desk.frames import Encoding
from node.desk.gate import Gate
from node.desk.opening import Opening
from node.desk.plain import NotAllowed
from node.desk.requests import Requests
from node.desk.session import IN_FLIGHT_MAX, NEVER, SUBSCRIPTIONS_MAX, Session
from node.desk.statistics import Tally
from node.edge.application import Answer, Feed, Listener, ResponseFactory
from node.edge.http import Request, Response
from node.protocol import proto_codec
from node.protocol.catalogue import CvSub, Push, Reply, Resume
from node.protocol.codec import JSON

PATH = "/v1/events"
CONVERSATIONS_MAX = IN_FLIGHT_MAX
"""How many may be asked for; what is somebody's own comes unasked."""
FOLLOWED_MAX = 250
"""Conversations of one stream: their PLACE takes 8 KB, what nginx takes for a line by default."""
RETRY = b"retry: 1000\n\n"
"""A browser waits so many milliseconds before it comes back."""
_SID_CHARACTERS = 26
_SEQ = re.compile("[0-9]{1,15}")


class StreamEncoding(Encoding, Protocol):
    """How pushes are written for those who only listen."""

    @property
    def prologue(self) -> bytes:
        """What comes first; may be empty."""

    def at(self, place: str, frame: bytes) -> bytes:
        """Return `frame` with the place where the client is when it has read it."""


class EventFrames:
    """JSON in server-sent events."""

    name = "events"
    prologue = RETRY

    def frame(self, message: Reply | Push) -> bytes:
        """Return one event without its `id`, which is each stream's own."""
        name = str(message.__struct_config__.tag).encode()
        return b"event: %b\ndata: %b\n\n" % (name, JSON.encode(message))

    def at(self, place: str, frame: bytes) -> bytes:
        """Return the event with its `id`."""
        return b"id: %b\n%b" % (place.encode(), frame)


class PushFrames:
    """Protobuf, as `unidesk.proto` has it."""

    name = "pushes"
    prologue = b""

    def frame(self, message: Reply | Push) -> bytes:
        """Return a `Push` without its `place`, which is each stream's own."""
        return proto_codec.push_of(message)

    def at(self, place: str, frame: bytes) -> bytes:
        """Return the `Push` with its `place`."""
        return proto_codec.place_of(place) + frame


ENCODINGS: dict[str, StreamEncoding] = {
    "text/event-stream": EventFrames(),
    "application/grpc": PushFrames(),
}
"""By what a stream carries."""


class Listening(Session):
    """A session that only listens."""

    __slots__ = ()

    follows_max = FOLLOWED_MAX


class EventOutlet:
    """The sending side of one stream: puts before each event where the client then is."""

    __slots__ = ("_stream", "encoding", "session", "wanted")

    def __init__(self, stream: Listener, wanted: Mapping[int, str]) -> None:
        """`wanted`: conversations to follow when the session is live, numbered."""
        self._stream = stream
        self.encoding = ENCODINGS[stream.media]
        self.wanted = wanted
        self.session: Session | None = None

    @property
    def outbox_bytes(self) -> int:
        """What was sent and still waits for the peer."""
        return self._stream.outbox_bytes

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send an event; on a stream that is over, do nothing.

        Whoever is sent away before `welcome` is still where they were: an empty place would take
        theirs from them.
        """
        if not ephemeral and self.session is not None and self.session.live:
            data = self.encoding.at(place_of(self.session), data)
        self._stream.send_frame(data, ephemeral=ephemeral)

    def close(self, code: int, reason: str = "") -> None:
        """End the answer after what was sent before."""
        self._stream.close(code, reason)


class Events:
    """Answers those who want to listen."""

    def __init__(
        self,
        context: Context,
        gate: Gate,
        opening: Opening,
        requests: Requests,
        attach: Callable[[Session], None],
    ) -> None:
        self._context = context
        self._gate = gate
        self._opening = opening
        self._requests = requests
        self._attach = attach

    def answer(self, request: Request) -> Answer | ResponseFactory:
        """Return the stream, or why there is none."""
        self._context.tally.requests["events"] += 1
        if request.method != "GET":
            return self._gate.wrong_method(request, "GET")
        return self._gate.admit(request, "cv.sub", partial(self._feed, request))

    def _feed(self, request: Request, principal: Principal) -> Response | Feed:
        try:
            wanted = _wanted(request)
            resume = read_place(request.header(b"last-event-id"))
        except NotAllowed as error:
            return self._gate.refusal(error.code, str(error))
        return Feed(partial(self._open, principal, wanted, resume))

    def _open(
        self, principal: Principal, wanted: list[str], resume: Resume | None, stream: Listener
    ) -> None:
        had = {cv for cv, _ in resume.cvs} if resume is not None else set()
        numbered = enumerate(wanted, start=1)
        asked = {number: cv for number, cv in numbered if cv not in had}
        session = session_on(stream, self._context.tally, asked)
        stream.data = session
        self._attach(session)
        prologue = ENCODINGS[stream.media].prologue
        if prologue:
            stream.send_frame(prologue)
        self._opening.enter(session, principal, resume)

    def on_live(self, session: Session) -> None:
        """Let a session, if it is one that listens, follow what its client asked for.

        What is its own it follows already, and would be told twice.
        """
        if not isinstance(session.outlet, EventOutlet):
            return
        for number, cv in session.outlet.wanted.items():
            if cv in session.subscriptions:
                session.reply(number, {"seq": self._context.state.conversations[cv].seq})
            else:
                self._requests.handle(session, CvSub(id=number, cv=cv))


def session_on(
    stream: Listener, tally: Tally, wanted: Mapping[int, str] = MappingProxyType({})
) -> Session:
    """Return a new session that is told by `stream`; `wanted` as in `EventOutlet`."""
    outlet = EventOutlet(stream, wanted)
    session = Listening(outlet, outlet.encoding, tally, peer=stream.peer, hello_by=NEVER)
    outlet.session = session
    return session


def place_of(session: Session) -> str:
    """Return where a client is that was sent all that `session` was."""
    had = "".join(f".{cv}:{one.cursor}" for cv, one in session.subscriptions.items())
    return session.sid + had


def read_place(header: bytes | None) -> Resume | None:
    """Return what the client has; None when this is its beginning.  Raises `NotAllowed`."""
    if not header:
        return None
    sid, *parts = header.decode("latin-1").split(".")
    had = [part.partition(":") for part in parts]
    if (
        len(sid) > _SID_CHARACTERS
        or len(had) > SUBSCRIPTIONS_MAX
        or not all(cv.isascii() and _SEQ.fullmatch(seq) for cv, _, seq in had)
    ):
        raise NotAllowed("bad_request", "Last-Event-ID: send the last `id` of the stream, or none")
    return Resume(sid=sid, cvs=[(cv, int(seq)) for cv, _, seq in had])


def _wanted(request: Request) -> list[str]:
    """Return the conversations that the query names.  Raises `NotAllowed`."""
    try:
        fields = parse_qsl(request.query, strict_parsing=True) if request.query else []
    except ValueError as error:
        raise NotAllowed("bad_request", f"query: {error}") from None
    unknown = {name for name, _ in fields if name != "cv"}
    if unknown:
        raise NotAllowed("bad_request", f"query: no {min(unknown)!r} here; only cv=ID")
    wanted = list(dict.fromkeys(cv for _, cv in fields))
    if len(wanted) > CONVERSATIONS_MAX:
        raise NotAllowed("bad_request", f"query: at most {CONVERSATIONS_MAX} conversations")
    return wanted
