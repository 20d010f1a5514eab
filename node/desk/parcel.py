"""A session on its way from one process of a node to the next.  No I/O.

    goes along                                  stays, because there is none while it is at rest
    who it is, until when, what is due          requests under way, and those that wait behind them
    subscriptions, each with its cursor         a hello that waits for the cluster
    offers that the client was told of          a goodbye

The indexes by principal and conversation are made anew where it arrives.  Moments are seconds from
now (`_in_s`) or ago (`_ago_s`), because the two processes' clocks have nothing in common.
"""

import msgspec

from node.auth import Principal
from node.desk.session import NEVER, Phase, Session, Subscription

PHASES = {Phase.AWAITING_HELLO: False, Phase.LIVE: True}
"""In which a session may travel, and whether it is live then."""


class Followed(msgspec.Struct, array_like=True):
    """One subscription."""

    cv: str
    cursor: int
    catching: bool
    received: int
    read: int


class SessionParcel(msgspec.Struct, omit_defaults=True):
    """One session at rest."""

    live: bool
    hello_in_s: float | None = None
    foreign_origin: str = ""
    principal: Principal | None = None
    sid: str = ""
    follows: list[Followed] = []
    offers: list[str] = []
    expires_in_s: float | None = None
    warn_in_s: float | None = None
    ping_in_s: float | None = None
    excess: int = 0
    typing: bool = False
    typing_ago_s: float | None = None
    watching: tuple[str, ...] | None = None


def is_at_rest(session: Session) -> bool:
    """Say whether nothing is under way for the session."""
    return (
        session.phase in PHASES
        and not session.busy
        and not session.in_flight
        and not session.waiting
        and session.close_at == NEVER
    )


def pack(session: Session, now: float) -> SessionParcel:
    """Return the session, which is at rest, as it is at `now`."""
    return SessionParcel(
        live=PHASES[session.phase],
        hello_in_s=_until(session.hello_by, now),
        foreign_origin=session.foreign_origin,
        principal=session.principal,
        sid=session.sid,
        follows=[
            Followed(cv, one.cursor, one.catching, one.received, one.read)
            for cv, one in session.subscriptions.items()
        ],
        offers=list(session.offers),
        expires_in_s=_until(session.expires_at, now),
        warn_in_s=_until(session.warn_at, now),
        ping_in_s=_until(session.ping_at, now),
        excess=session.excess,
        typing=session.typing,
        typing_ago_s=None if session.typing_at == -NEVER else now - session.typing_at,
        watching=session.watching,
    )


def unpack(parcel: SessionParcel, session: Session, now: float) -> dict[str, Subscription]:
    """Make a new session what `parcel` says; return what it follows, which is yet to be indexed."""
    session.phase = Phase.LIVE if parcel.live else Phase.AWAITING_HELLO
    session.hello_by = _at(parcel.hello_in_s, now)
    session.foreign_origin = parcel.foreign_origin
    if parcel.principal is not None:
        session.identify(parcel.principal)
    session.sid = parcel.sid
    session.offers = tuple(parcel.offers)
    session.expires_at = _at(parcel.expires_in_s, now)
    session.warn_at = _at(parcel.warn_in_s, now)
    session.ping_at = _at(parcel.ping_in_s, now)
    session.excess = parcel.excess
    session.typing = parcel.typing
    session.watching = parcel.watching
    if parcel.typing_ago_s is not None:
        session.typing_at = now - parcel.typing_ago_s
    return {one.cv: _subscription(one) for one in parcel.follows}


def _subscription(one: Followed) -> Subscription:
    subscription = Subscription(one.cursor)
    subscription.catching = one.catching
    subscription.received, subscription.read = one.received, one.read
    return subscription


def _until(at: float, now: float) -> float | None:
    return None if at == NEVER else at - now


def _at(in_s: float | None, now: float) -> float:
    return NEVER if in_s is None else now + in_s
