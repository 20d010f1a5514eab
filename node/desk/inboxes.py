"""What agents are asked and how they stand, told on all of their devices.  No I/O.

    an offer, an invitation    ──▶ `offer`        each device once, also one that comes later
    it is theirs no more       ──▶ `offer.gone`   to those that were told of it
    load, capacity, status     ──▶ `inbox`        when it is news

An offer and an invitation are the same to a client: an `oid` to accept or decline.
"""

from collections.abc import Callable

from cluster.state.company import Invitation
from cluster.state.model import Offer
from cluster.state.state import State
from node.desk.frames import Shared
from node.desk.session import Session, without
from node.desk.statistics import Tally
from node.desk.views import inbox_push, invitation_push, offer_push
from node.protocol.catalogue import Inbox, OfferGonePush, OfferPush


class Inboxes:
    """Agents' own, on this node."""

    def __init__(
        self,
        sessions_of: Callable[[str], list[Session]],
        tally: Tally,
        now_ms: Callable[[], int],
    ) -> None:
        """`sessions_of` returns the sessions of an agent."""
        self._sessions_of = sessions_of
        self._tally = tally
        self._now_ms = now_ms
        self._told: dict[str, Inbox] = {}

    def offer(self, state: State, offer: Offer) -> None:
        """Tell an agent of an offer, if it stands still."""
        if offer.oid in state.offers:
            self._offer(state, offer, self._sessions_of(offer.agent))

    def invite(self, state: State, invitation: Invitation) -> None:
        """Tell an agent of an invitation, if it stands still."""
        if invitation.iid in state.invitations:
            self._invite(state, invitation, self._sessions_of(invitation.agent))

    def end(self, oid: str, agent: str, why: str) -> None:
        """Tell an agent that an offer, or an invitation, is theirs to answer no more."""
        gone = Shared(OfferGonePush(oid=oid, why=why), self._tally)
        for session in self._sessions_of(agent):
            if oid in session.offers:
                session.offers = without(session.offers, oid)
                session.send_frame(gone.frame(session.encoding))

    def welcome(self, state: State, session: Session, agent_id: str) -> None:
        """Tell a device that comes what its agent is asked."""
        agent = state.agents.get(agent_id)
        for oid in agent.offers if agent is not None else ():
            self._offer(state, state.offers[oid], [session])
        for iid in agent.invitations if agent is not None else ():
            self._invite(state, state.invitations[iid], [session])

    def catch_up(self, state: State, session: Session, agent_id: str) -> None:
        """The state jumped: tell a device what no entry told it."""
        for oid in session.offers:
            if oid not in state.offers and oid not in state.invitations:
                session.offers = without(session.offers, oid)
                session.send(OfferGonePush(oid=oid, why="lost"))
        self.welcome(state, session, agent_id)
        self.tell(state, agent_id)

    def tell(self, state: State, agent_id: str) -> None:
        """Tell an agent how they stand, if that is news."""
        agent = state.agents.get(agent_id)
        sessions = self._sessions_of(agent_id)
        if agent is None or not sessions:
            return
        inbox = inbox_push(agent)
        if self._told.get(agent_id) != inbox:
            self._told[agent_id] = inbox
            shared = Shared(inbox, self._tally)
            for session in sessions:
                session.send_frame(shared.frame(session.encoding))

    def forget(self, agent_id: str) -> None:
        """The agent's last device here is gone."""
        self._told.pop(agent_id, None)

    def _offer(self, state: State, offer: Offer, sessions: list[Session]) -> None:
        conversation = state.conversations[offer.cv]
        self._push(offer_push(offer, conversation, self._now_ms()), sessions)

    def _invite(self, state: State, invitation: Invitation, sessions: list[Session]) -> None:
        conversation = state.conversations[invitation.cv]
        self._push(invitation_push(invitation, conversation, self._now_ms()), sessions)

    def _push(self, push: OfferPush, sessions: list[Session]) -> None:
        shared = Shared(push, self._tally)
        for session in sessions:
            if push.oid not in session.offers:
                session.offers += (push.oid,)
                session.send_frame(shared.frame(session.encoding))
