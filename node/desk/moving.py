"""Sessions that leave for another process of this node, or come from one.  No I/O.

    give   at rest ──▶ a parcel; no end of it is proposed, no follower of anything is left
    take   a parcel ──▶ a session with its subscriptions, as of the entry at which it was packed

The caller sees to it that what was applied where it arrives is what was applied where it left.
"""

from collections.abc import Callable
from typing import cast

from node.desk.context import Context
from node.desk.event_stream import session_on
from node.desk.frames import ON_WEBSOCKET
from node.desk.hub import Hub
from node.desk.parcel import SessionParcel, is_at_rest, pack, unpack
from node.desk.presence import Presence
from node.desk.session import Session
from node.edge.channel import Channel
from node.edge.connection import Connection
from node.edge.event_stream import EventStream
from node.protocol.catalogue import HELLO_S, SUBPROTOCOL_JSON


class Moving:
    """The desk's way out and in."""

    def __init__(
        self,
        context: Context,
        hub: Hub,
        presence: Presence,
        *,
        attach: Callable[[Session], None],
        detach: Callable[[Session], None],
    ) -> None:
        """`attach` and `detach` are the desk's own, for any session that begins or is over."""
        self._context = context
        self._hub = hub
        self._presence = presence
        self._attach = attach
        self._detach = detach

    def is_at_rest(self, channel: Channel) -> bool:
        """Whether the session could go on in another process as it is."""
        return is_at_rest(_session_of(channel))

    def give(self, channel: Channel) -> SessionParcel:
        """Let go of a session at rest; the cluster hears nothing of it."""
        session = _session_of(channel)
        parcel = pack(session, self._context.clock())
        self._presence.give(session)
        self._detach(session)
        return parcel

    def take(self, channel: Channel, parcel: SessionParcel) -> None:
        """Go on with a session."""
        session = session_for(channel, self._context)
        channel.data = session
        follows = unpack(parcel, session, self._context.clock())
        if session.principal is not None and session.live:
            self._hub.add(session)
            if session.principal.role == "agent":
                self._presence.take(session)
        for cv, subscription in follows.items():
            self._hub.following.adopt(session, cv, subscription)
        self._attach(session)


def session_for(channel: Channel, context: Context) -> Session:
    """Return a new session that is told by `channel`; on a WebSocket it owes a hello."""
    if isinstance(channel, EventStream):
        return session_on(channel, context.tally)
    connection = cast("Connection", channel)
    return Session(
        connection,
        ON_WEBSOCKET[connection.subprotocol or SUBPROTOCOL_JSON],
        context.tally,
        peer=connection.peer,
        hello_by=context.clock() + HELLO_S,
    )


def _session_of(channel: Channel) -> Session:
    session = channel.data
    assert isinstance(session, Session)
    return session
