"""One connection as the desk sees it.  No I/O: talks to an `Outlet`.

    AWAITING_HELLO ──hello──▶ OPENING ──welcome──▶ LIVE ──bye──▶ CLOSING
          │                      │                  │               ▲
          └── 5 s, bad hello ────┴── refused ───────┴───────────────┘

While an operation has to wait for the cluster (`busy`), later requests of the connection wait
behind it, so that a client's requests take effect in the order in which it made them.  Durable
operations do not block: the log keeps their order.

What is nearly always empty is a tuple: all empty ones are the same object, where each list or
dict of its own would take fifty bytes and more of every idle session.

Times are seconds of the caller's monotonic clock, but for `exp` (seconds UTC).
"""

import enum
from typing import Any, ClassVar, Protocol, TypeVar

from node.auth import Principal
from node.desk.frames import Encoding
from node.desk.statistics import Tally
from node.desk.views import Audience, audience_of
from node.protocol.catalogue import AnyRequest, Bye, Err, NodeAddress, Ok, Push, Reply
from node.protocol.codec import BadRequest
from node.protocol.codes import RETRY, Close, ErrorCode
from node.protocol.refusals import Rule

IN_FLIGHT_MAX = 64
SUBSCRIPTIONS_MAX = 1_000
RESUME_OUTBOX_BYTES_MAX = 64 * 1024
"""A resume goes on when less than this waits: a long one is no reason to call a client slow."""
T = TypeVar("T")

NEVER = float("inf")
RETRY_MS = {"min_ms": 0, "max_ms": 250}
"""Other nodes are there: go at once, but not all in the same instant."""
RETRY_LATER_MS = {"min_ms": 250, "max_ms": 10_000}


class Outlet(Protocol):
    """The sending side of a connection."""

    @property
    def outbox_bytes(self) -> int:
        """What was sent and still waits for the peer."""

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send an encoded frame; on a connection that is over, do nothing."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame after what was sent before."""


class Phase(enum.Enum):
    """How far a connection is."""

    AWAITING_HELLO = enum.auto()
    OPENING = enum.auto()
    LIVE = enum.auto()
    CLOSING = enum.auto()


class Subscription:
    """A conversation that a session follows."""

    __slots__ = ("catching", "cursor", "read", "received")

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        """`seq` of the last event sent."""
        self.catching = True
        """Whether `caught` is still to be said."""
        self.received = 0
        self.read = 0


class Session:
    """State and voice of one connection."""

    __slots__ = (
        "_tally",
        "audience",
        "busy",
        "close_at",
        "due_tick",
        "encoding",
        "excess",
        "expires_at",
        "foreign_origin",
        "goodbye",
        "hello_by",
        "in_flight",
        "offers",
        "outlet",
        "peer",
        "pending",
        "phase",
        "ping_at",
        "principal",
        "sid",
        "subscriptions",
        "typing",
        "typing_at",
        "waiting",
        "warn_at",
        "watching",
    )

    follows_max: ClassVar[int] = SUBSCRIPTIONS_MAX
    """Conversations at once."""

    def __init__(
        self, outlet: Outlet, encoding: Encoding, tally: Tally, *, peer: str, hello_by: float
    ) -> None:
        self.outlet = outlet
        self.encoding = encoding
        self.peer = peer
        self.phase = Phase.AWAITING_HELLO
        self.hello_by = hello_by
        self.foreign_origin = ""
        """Of the page that it belongs to, when visitors may not come from there."""
        self.principal: Principal | None = None
        self.audience: Audience = "visitor"
        self.sid = ""
        self.subscriptions: dict[str, Subscription] = {}
        self.offers: tuple[str, ...] = ()
        """Offers that the client was told of and that have not ended."""
        self.pending: tuple[int, ...] = ()
        """Numbers of the requests that wait for the log."""
        self.in_flight = 0
        """How many wait for the log, also those without a number."""
        self.busy = False
        self.waiting: tuple[AnyRequest | BadRequest, ...] = ()
        self.expires_at = NEVER
        self.warn_at = NEVER
        self.ping_at = NEVER
        self.close_at = NEVER
        self.goodbye: tuple[Close, str] = (Close.INTERNAL, "")
        """How to say goodbye at `close_at`."""
        self.excess = 0
        """Requests in a row that came too fast."""
        self.typing = False
        self.typing_at = -NEVER
        self.watching: tuple[str, ...] | None = None
        """Queues that the client hears of: those named, all where it is empty."""
        self.due_tick = -1
        """Belongs to the timers."""
        self._tally = tally

    def __repr__(self) -> str:
        who = f"{self.principal.role} {self.principal.id}" if self.principal else "nobody"
        return f"<Session {who} {self.peer} {self.phase.name}>"

    @property
    def live(self) -> bool:
        """Whether the client was welcomed and not yet sent away."""
        return self.phase is Phase.LIVE

    @property
    def next_deadline(self) -> float:
        """When something about this session is due."""
        if self.phase is Phase.CLOSING:
            return NEVER
        hello_by = self.hello_by if self.phase is Phase.AWAITING_HELLO else NEVER
        return min(hello_by, self.warn_at, self.expires_at, self.ping_at, self.close_at)

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that more of a long resume may be sent."""
        return self.outlet.outbox_bytes <= RESUME_OUTBOX_BYTES_MAX

    def identify(self, principal: Principal) -> None:
        """Take note of who it is."""
        self.hello_by = NEVER
        self.principal = principal
        self.audience = audience_of(principal)

    # -- what the client hears

    def send(self, message: Reply | Push, *, ephemeral: bool = False) -> None:
        """Send one message."""
        if self.phase is not Phase.CLOSING:
            self.outlet.send_frame(self.encoding.frame(message), ephemeral=ephemeral)

    def send_frame(self, frame: bytes, *, ephemeral: bool = False) -> None:
        """Send a frame that was encoded for several sessions."""
        if self.phase is not Phase.CLOSING:
            self.outlet.send_frame(frame, ephemeral=ephemeral)

    def reply(self, number: int, result: dict[str, Any]) -> None:
        """Answer request `number`; 0 asks for no answer."""
        if number:
            self.send(Ok(id=number, r=result))

    def refuse(
        self,
        number: int,
        code: ErrorCode,
        message: str,
        data: dict[str, Any] | None = None,
        *,
        after_ms: int | None = None,
    ) -> None:
        """Answer request `number` with an error; 0 asks for no answer."""
        self._tally.errors[code] += 1
        if number:
            self.send(
                Err(
                    id=number,
                    code=code,
                    msg=message,
                    retry=code in RETRY,
                    after=after_ms,
                    data=data or {},
                )
            )

    def bye(
        self, code: Close, reason: str, nodes: list[NodeAddress], rule: Rule | None = None
    ) -> None:
        """Say goodbye, naming where to go instead, and close.  Harmless when repeated."""
        if self.phase is Phase.CLOSING:
            return
        for number in self.pending:
            self.refuse(number, "timeout", "closing; it may still happen: retry with the same key")
        self.pending = ()
        self.send(bye_push(code, reason, nodes, rule))
        self.phase = Phase.CLOSING
        self.waiting = ()
        self._tally.byes[int(code)] += 1
        self.outlet.close(int(code), reason)

    def leave(self) -> None:
        """The socket is gone: nothing more is sent."""
        self.phase = Phase.CLOSING
        self.waiting = ()
        self.pending = ()


def without(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    """Return a small tuple without the first `item` in it."""
    if items == (item,):  # nearly always
        return ()
    try:
        at = items.index(item)
    except ValueError:
        return items
    return items[:at] + items[at + 1 :]


def bye_push(code: Close, reason: str, nodes: list[NodeAddress], rule: Rule | None = None) -> Bye:
    """Return the goodbye that goes with close code `code`."""
    retry: dict[str, int] = {}
    if code.resume:
        retry = RETRY_MS if nodes else RETRY_LATER_MS
    return Bye(
        code=int(code),
        reason=reason,
        resume=code.resume,
        retry=retry,
        nodes=nodes if code.resume else [],
        rule=rule or "",
    )
