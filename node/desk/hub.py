"""Who on this node follows what, and telling them.  No I/O: sessions are told by their outlets.

    Applied ──notices──▶ Appended        ──▶ every session that follows the conversation
                         OfferMade/Gone  ──▶ the agent's sessions: `node.desk.inboxes`
                         Invitation...   ──▶ the same
                         AgentChanged    ──▶ the same; of their status, supervisors and colleagues:
                                             `node.desk.colleagues`
                         Supervision...  ──▶ nothing more: the session that joined follows
                         RulesApplied    ──▶ supervisors and operators
                         QueueStaffing   ──▶ supervisors and operators
                         AccessRevoked   ──▶ nothing more: 4109, and why
                         Dismissed       ──▶ the principal's sessions: 4006, or 4109

Whoever opened a conversation, and whoever it is assigned to, follows it without asking, on all
their devices; an owner who lets go of it hears that, and no more.  `node.desk.following` says how
each session is told every event once.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

from cluster.state.commands import SYSTEM
from cluster.state.events import Event
from cluster.state.machine import Applied
from cluster.state.model import Conversation
from cluster.state.outcome import (
    AccessRevoked,
    AgentChanged,
    Appended,
    ConversationPurged,
    Dismissed,
    InvitationGone,
    InvitationMade,
    Notice,
    OfferGone,
    OfferMade,
    QueueStaffing,
    RulesApplied,
    SessionGone,
    SupervisionChanged,
)
from cluster.state.state import State
from node.auth import Principal
from node.desk.access import denial, has_opened, may_follow
from node.desk.colleagues import Colleagues
from node.desk.following import Following
from node.desk.frames import Shared
from node.desk.inboxes import Inboxes
from node.desk.resume import nothing
from node.desk.session import Session, without
from node.desk.statistics import Tally
from node.protocol.catalogue import (
    Push,
    QueueAlertPush,
    RulesPush,
)
from node.protocol.codes import Close

Sessions = dict[Session, None]
"""A set that keeps its order."""

OPEN_FOLLOWED_MAX = 100
"""Open conversations that a hello subscribes who opened them to: the newest."""
OVERSEERS = ("supervisor", "operator")
_PARTINGS = frozenset({"transferred", "unassigned", "closed", "left", "uninvited"})
"""Events after which a conversation is no longer its owner's, or a member's."""


class Hub:
    """Sessions by principal and by conversation."""

    def __init__(
        self,
        state: Callable[[], State],
        tally: Tally,
        *,
        now_ms: Callable[[], int],
        on_session_gone: Callable[[SessionGone], None],
        on_dismissed: Callable[[Dismissed, list[Session]], None],
    ) -> None:
        self._state = state
        self._tally = tally
        self._on_session_gone = on_session_gone
        self._on_dismissed = on_dismissed
        self._by_principal: dict[tuple[str, str], tuple[Session, ...]] = {}  # mostly one each
        self._by_role: dict[str, Sessions] = {}
        self.following = Following(state, tally)
        self._inboxes = Inboxes(partial(self.sessions_of, "agent"), tally, now_ms)
        self._colleagues = Colleagues(self.sessions_in, tally)

    # -- who is there

    def add(self, session: Session) -> None:
        """Take a session in; `principal` is known."""
        principal = session.principal
        assert principal is not None
        key = (principal.role, principal.id)
        self._by_principal[key] = (*self._by_principal.get(key, ()), session)
        self._by_role.setdefault(principal.role, {})[session] = None

    def remove(self, session: Session) -> None:
        """Forget a session and all that it follows.  Harmless when repeated."""
        for cv in list(session.subscriptions):
            self.following.unsubscribe(session, cv)
        principal = session.principal
        if principal is None:
            return
        key = (principal.role, principal.id)
        left = without(self._by_principal.get(key, ()), session)
        if left:
            self._by_principal[key] = left
        else:
            self._by_principal.pop(key, None)
        of_role = self._by_role.get(principal.role, {})
        of_role.pop(session, None)
        if not of_role:
            self._by_role.pop(principal.role, None)
        if principal.role == "agent" and not self._by_principal.get(("agent", principal.id)):
            self._inboxes.forget(principal.id)

    def sessions_of(self, role: str, principal_id: str) -> list[Session]:
        """Return the sessions of one principal on this node."""
        return list(self._by_principal.get((role, principal_id), ()))

    def sessions_in(self, role: str) -> list[Session]:
        """Return the sessions of one role on this node."""
        return list(self._by_role.get(role, ()))

    def count_sessions(self) -> dict[str, int]:
        """Return how many sessions there are, by role."""
        return {role: len(sessions) for role, sessions in self._by_role.items()}

    # -- who follows what

    def subscribe(self, session: Session, principal: Principal, have: dict[str, int]) -> None:
        """Let a session that goes live follow what is its own, and what it resumes; say nothing.

        So every place that it is told, from `welcome` on, speaks of all that it follows.
        """
        state = self._state()
        for cv in self._own(state, principal):
            self.following.note(session, cv, have.get(cv, 0))
        for cv, seq in have.items():
            conversation = state.conversations.get(cv)
            if (
                cv not in session.subscriptions
                and conversation is not None
                and may_follow(principal, conversation, state)
            ):
                self.following.note(session, cv, seq)

    def welcome(self, session: Session, principal: Principal, have: dict[str, int]) -> None:
        """Tell a session that just went live what it is owed."""
        state = self._state()
        for cv in list(session.subscriptions):
            self.following.begin(session, cv)
        for cv, seq in have.items():
            if cv not in session.subscriptions:
                session.send(nothing(cv, seq))
        if principal.role == "agent":
            self._inboxes.welcome(state, session, principal.id)
        self._tell_alerts(session, principal, state)

    def _own(self, state: State, principal: Principal) -> Iterable[str]:
        match principal.role:
            case "visitor" | "service":
                opened = [
                    cv
                    for cv in state.by_visitor.get(principal.id, ())
                    if has_opened(principal, state.conversations[cv])
                ]
                return sorted(opened)[-OPEN_FOLLOWED_MAX:]
            case "agent":
                agent = state.agents.get(principal.id)
                return (*agent.conversations, *agent.helps) if agent is not None else ()
            case _:
                return ()

    # -- what happened

    def on_applied(self, applied: Applied) -> None:
        """Tell the sessions of this node what one entry did."""
        for notice in applied.notices:
            self._tell(notice)

    def catch_up(self) -> None:
        """The state jumped to a snapshot: tell all sessions what no entry told them."""
        state = self._state()
        for sessions in list(self._by_principal.values()):
            for session in list(sessions):
                if not self._dismiss_denied(session, state):
                    self._catch_up_session(session, state)
        for agent in state.agents:
            self._colleagues.tell(state, agent)

    def _catch_up_session(self, session: Session, state: State) -> None:
        principal = session.principal
        assert principal is not None
        own = set(self._own(state, principal))
        for cv in session.subscriptions.keys() | own:
            conversation = state.conversations.get(cv)
            if conversation is None or not may_follow(principal, conversation, state):
                session.send(nothing(cv, session.subscriptions[cv].cursor))
                self.following.unsubscribe(session, cv)
            elif cv not in session.subscriptions:
                self.following.subscribe(session, cv, 0)
            else:
                self.following.catch_up(session, conversation)
        if principal.role == "agent":
            self._inboxes.catch_up(state, session, principal.id)
        self._tell_alerts(session, principal, state)

    def _tell(self, notice: Notice) -> None:
        state = self._state()
        match notice:
            case Appended(cv, event):
                conversation = state.conversations.get(cv)
                if conversation is not None:
                    self._on_event(conversation, event)
            case OfferMade(offer):
                self._inboxes.offer(state, offer)
            case OfferGone(offer, why):
                self._end_offer(state, offer.oid, offer.cv, offer.agent, why)
            case AgentChanged(agent):
                self._inboxes.tell(state, agent)
                self._colleagues.tell(state, agent)
            case InvitationMade(invitation):
                self._inboxes.invite(state, invitation)
            case InvitationGone(invitation, why):
                asked = invitation
                self._end_offer(state, asked.iid, asked.cv, asked.agent, why)
            case SupervisionChanged(cv, supervisor, sid, has_joined):
                self._on_supervision(cv, supervisor, sid, has_joined)
            case RulesApplied(rev):
                self._tell_rules(state, rev)
            case ConversationPurged(cv):
                self._purge(cv)
            case SessionGone():
                self._on_session_gone(notice)
            case Dismissed(kind, principal_id):
                self._on_dismissed(notice, self.sessions_of(kind, principal_id))
            case QueueStaffing(queue, since_ms, staffed):
                self._tell_overseers(QueueAlertPush(queue=queue, staffed=staffed, since=since_ms))
            case AccessRevoked(kind, principal_id, jti):
                self._revoke(state, kind, principal_id, jti)

    # -- access

    def _revoke(self, state: State, kind: str, principal_id: str, jti: str) -> None:
        """Send away whoever counts no more: of a principal, or whoever came with one token."""
        if not jti:
            sessions = self.sessions_of(kind, principal_id)
        else:
            everybody = chain.from_iterable(self._by_principal.values())
            sessions = [one for one in everybody if one.principal and one.principal.jti == jti]
        for session in sessions:
            self._dismiss_denied(session, state)

    def _dismiss_denied(self, session: Session, state: State) -> bool:
        assert session.principal is not None
        denied = denial(session.principal, state)
        if denied is not None:
            session.bye(Close.LOGGED_OUT, denied.message, [], denied.rule)
        return denied is not None

    # -- conversations

    def _on_event(self, conversation: Conversation, event: Event) -> None:
        self._follow_own(conversation, event)
        self.following.tell(conversation, event)
        if event.type in _PARTINGS:
            self._part(conversation)

    def _follow_own(self, conversation: Conversation, event: Event) -> None:
        """Subscribe those whose conversation it has just become, on all their devices."""
        if event.type == "opened":
            sessions = self.sessions_of(event.by.kind, event.by.id)
        elif event.type == "reopened":
            sessions = self.sessions_of(conversation.visitor_kind, conversation.visitor)
        elif event.type in ("assigned", "joined"):
            sessions = self.sessions_of("agent", str(event.data.get("agent", "")))
        else:
            return
        for session in sessions:
            principal = session.principal
            assert principal is not None
            if conversation.cv in session.subscriptions:
                continue
            if not may_follow(principal, conversation, self._state()):
                continue
            if self.following.has_room(session):
                self.following.subscribe(session, conversation.cv, 0)
            else:  # rather than leave one out unsaid
                reason = f"over {session.follows_max} open conversations on one connection"
                session.bye(Close.FORBIDDEN, reason, [])

    def _part(self, conversation: Conversation) -> None:
        """Unsubscribe agents whose conversation it no longer is."""
        state = self._state()
        for session in self.following.of(conversation.cv):
            assert session.principal is not None
            if not may_follow(session.principal, conversation, state):
                self.following.unsubscribe(session, conversation.cv)

    def _purge(self, cv: str) -> None:
        for session in self.following.of(cv):
            self.following.unsubscribe(session, cv)

    # -- agents and overseers

    def _end_offer(self, state: State, oid: str, cv: str, agent: str, why: str) -> None:
        """An offer, or an invitation, is the agent's no more, and with it the preview."""
        self._inboxes.end(oid, agent, why)
        conversation = state.conversations.get(cv)
        for session in self.sessions_of("agent", agent):
            assert session.principal is not None
            if conversation is None or not may_follow(session.principal, conversation, state):
                self.following.unsubscribe(session, cv)

    def _on_supervision(self, cv: str, supervisor: str, sid: str, has_joined: bool) -> None:
        """Let the session from which a supervisor joined follow, or hear no more."""
        for session in self.sessions_of("supervisor", supervisor):
            if session.sid != sid:
                continue
            if not has_joined:
                self.following.unsubscribe(session, cv)
            elif cv not in session.subscriptions:
                self.following.subscribe(session, cv, 0)
            else:
                self.following.on_change(session, cv)  # seen, or seen no more

    def _tell_rules(self, state: State, rev: int) -> None:
        by = next((record.by for record in state.rule_sets if record.rev == rev), SYSTEM)
        self._tell_overseers(RulesPush(rev=rev, by=by.name or by.id))

    def _tell_alerts(self, session: Session, principal: Principal, state: State) -> None:
        """Tell somebody who came later which queues nobody is there for."""
        if principal.role not in OVERSEERS:
            return
        for one in state.unstaffed.values():
            if one.alerted_ms:
                push = QueueAlertPush(queue=one.queue, staffed=False, since=one.since_ms)
                session.send(push)

    def _tell_overseers(self, push: Push) -> None:
        for role in OVERSEERS:
            self._broadcast(push, self._by_role.get(role, ()))

    def _broadcast(self, push: Push, sessions: Iterable[Session]) -> None:
        shared = Shared(push, self._tally)
        for session in list(sessions):
            session.send_frame(shared.frame(session.encoding))
