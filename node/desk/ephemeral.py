"""What is told at once and never stored: typing, received, read; viewers.  No I/O.

    a follower's frame ──▶ followers here, but not the sender
                      `──▶ a whisper to the other nodes ──▶ followers there

It may be lost anywhere on the way, so nothing rests on it.  Only those whose presence in the
conversation is known to the others are passed on: a supervisor watches unseen.  What somebody
types before sending is shown to agents, never to visitors.

A whisper is a msgpack array that begins with its kind.
"""

from collections.abc import Callable

import msgspec
import structlog

from cluster.state.commands import PrincipalKind
from cluster.state.state import State
from node.desk.access import may_signal
from node.desk.frames import Shared
from node.desk.hub import Hub
from node.desk.session import Session, Subscription
from node.desk.statistics import Tally
from node.desk.viewing import Viewing
from node.protocol.catalogue import Ack, Read, Receipt, Typing, TypingPush

TYPING_PAUSE_S = 1.0
"""A session may say so often that somebody types; more is left out."""
PEEK_CHARACTERS_MAX = 500

log = structlog.get_logger(__name__)


class Typed(msgspec.Struct, frozen=True, array_like=True, tag="typed"):
    """Somebody began or ended typing."""

    cv: str
    kind: PrincipalKind
    who: str
    on: bool
    text: str


class Seen(msgspec.Struct, frozen=True, array_like=True, tag="seen"):
    """Somebody received or read up to a `seq`."""

    cv: str
    kind: PrincipalKind
    who: str
    received: int
    read: int


Whisper = Typed | Seen | Viewing

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Typed | Seen | Viewing)


def decode(payload: bytes) -> Whisper:
    """Return the whisper in `payload`; raise `msgspec.DecodeError` where it is none."""
    whisper: Whisper = _decoder.decode(payload)
    return whisper


class Ephemeral:
    """Passes typing and receipts on."""

    def __init__(
        self,
        hub: Hub,
        state: Callable[[], State],
        tally: Tally,
        *,
        whisper: Callable[[bytes], None],
        clock: Callable[[], float],
        on_viewing: Callable[[Viewing], None],
    ) -> None:
        self._hub = hub
        self._on_viewing = on_viewing
        self._state = state
        self._tally = tally
        self._whisper = whisper
        self._clock = clock

    def typing(self, session: Session, request: Typing) -> None:
        """Tell the others that the session's principal types, or stopped."""
        if self._subscription(session, request.cv) is None:
            return
        now = self._clock()
        if request.on:
            if now < session.typing_at + TYPING_PAUSE_S:
                return
            session.typing_at = now
        elif not session.typing:
            return
        session.typing = request.on
        principal = session.principal
        assert principal is not None
        text = request.text[:PEEK_CHARACTERS_MAX]
        self._tell(
            Typed(request.cv, principal.role, principal.id, request.on, text), origin=session
        )

    def seen(self, session: Session, request: Ack | Read) -> None:
        """Tell the others how far the session's principal received or read, if that has risen."""
        subscription = self._subscription(session, request.cv)
        if subscription is None:
            return
        seq = min(request.seq, subscription.cursor)
        received = max(subscription.received, seq)
        read = max(subscription.read, seq) if isinstance(request, Read) else subscription.read
        if (received, read) == (subscription.received, subscription.read):
            return
        subscription.received, subscription.read = received, read
        principal = session.principal
        assert principal is not None
        self._tell(Seen(request.cv, principal.role, principal.id, received, read), origin=session)

    def on_whisper(self, node: str, payload: bytes) -> None:
        """Pass on what `node` heard from its own clients."""
        try:
            whisper = decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("whisper not understood", peer=node, why=str(error))
            return
        if isinstance(whisper, Viewing):
            self._on_viewing(whisper)
        else:
            self._spread(whisper, origin=None)

    def _subscription(self, session: Session, cv: str) -> Subscription | None:
        """Return the session's subscription, if others may know that it is there."""
        subscription = session.subscriptions.get(cv)
        conversation = self._state().conversations.get(cv)
        if subscription is None or conversation is None or session.principal is None:
            return None
        return subscription if may_signal(session.principal, conversation) else None

    def _tell(self, whisper: Typed | Seen, *, origin: Session) -> None:
        self._tally.ephemeral += 1
        self._spread(whisper, origin=origin)
        self._whisper(_encode(whisper))

    def _spread(self, whisper: Typed | Seen, *, origin: Session | None) -> None:
        followers = self._hub.following.of(whisper.cv)
        if not followers:
            return
        to_agents, to_visitors = self._pushes(whisper)
        for session in followers:
            if session is not origin:
                shared = to_visitors if session.audience == "visitor" else to_agents
                session.send_frame(shared.frame(session.encoding), ephemeral=True)

    def _pushes(self, whisper: Typed | Seen) -> tuple[Shared, Shared]:
        match whisper:
            case Typed(cv, kind, who, on, text):
                plain = Shared(TypingPush(cv=cv, who=who, kind=kind, on=on), self._tally)
                if not text:
                    return plain, plain
                peek = TypingPush(cv=cv, who=who, kind=kind, on=on, text=text)
                return Shared(peek, self._tally), plain
            case Seen(cv, kind, who, received, read):
                receipt = Shared(
                    Receipt(cv=cv, who=who, kind=kind, recv=received, read=read), self._tally
                )
                return receipt, receipt
