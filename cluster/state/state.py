"""The replicated state: dictionaries of immutable values, and indexes over them.  No I/O.

    replicated   nodes, sessions, agents, conversations, offers, keys, rule_sets, audit, windows
    derived      unrouted, waiting, free, deadlines, lost, closed, by_visitor

Readers may look at everything and change nothing.  Writers are the lifecycle modules of this
package, through `put_*` and `drop_*`, which keep the indexes right.
"""

from collections import deque

import msgspec

from cluster.state.limits import AUDIT_MAX
from cluster.state.model import (
    Agent,
    AuditRecord,
    Conversation,
    NodeInfo,
    Offer,
    Remembered,
    RuleSetRecord,
    Session,
)
from cluster.state.sorted_set import SortedSet


class Window(msgspec.Struct, array_like=True):
    """Which proposals of one boot were applied: all below `settled`, and `applied` above.

    The one value that changes in place: it is touched by every proposal.
    """

    boot: str
    settled: int = 0
    applied: set[int] = set()
    retired: tuple[str, ...] = ()
    """Earlier boots of the node: what they still propose comes too late."""


class State:
    """What every node holds after the same entries; see `cluster.state.model` for the values."""

    def __init__(self) -> None:
        self.now_ms = 0
        """Cluster time: the largest leader's clock so far."""
        self.applied_index = 0
        self.nodes: dict[str, NodeInfo] = {}
        self.sessions: dict[str, Session] = {}
        self.agents: dict[str, Agent] = {}
        self.conversations: dict[str, Conversation] = {}
        self.offers: dict[str, Offer] = {}
        self.keys: dict[str, Remembered] = {}
        """Idempotency keys, oldest first."""
        self.rule_sets: list[RuleSetRecord] = []
        """Newest last; empty until the first is applied."""
        self.audit: deque[AuditRecord] = deque(maxlen=AUDIT_MAX)
        self.windows: dict[str, Window] = {}
        """Per node: its current boot's proposals."""
        self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.unrouted: dict[str, None] = {}
        """Conversations that no rule has seen, oldest first."""
        self.waiting: dict[str, SortedSet[tuple[int, int, str]]] = {}
        """Per queue: (-priority, opened_ms, cv) of those without owner or offer."""
        self.free: SortedSet[tuple[int, str]] = SortedSet()
        """(idle_since_ms, agent) of those who may be offered something."""
        self.deadlines: SortedSet[tuple[int, str]] = SortedSet()
        """(deadline_ms, oid) of pending offers."""
        self.lost: SortedSet[tuple[int, str]] = SortedSet()
        """(lost_ms, sid) of sessions in their grace period."""
        self.closed: SortedSet[tuple[int, str]] = SortedSet()
        """(closed_ms, cv)."""
        self.by_visitor: dict[str, dict[str, None]] = {}
        """Open conversations of a visitor."""
        self.by_node: dict[str, dict[str, None]] = {}
        """Sessions at a node."""

    # -- reading

    @property
    def rules(self) -> RuleSetRecord | None:
        """The rules in force, None while the built-in ones are."""
        return self.rule_sets[-1] if self.rule_sets else None

    def is_present(self, agent: Agent) -> bool:
        """Whether a session of `agent` is live."""
        return any(not self.sessions[sid].lost_ms for sid in agent.sessions)

    def is_eligible(self, agent: Agent) -> bool:
        """Whether `agent` may be offered one more conversation."""
        return agent.status == "online" and agent.load < agent.capacity and self.is_present(agent)

    def accept_ms(self, queue: str, default_ms: int) -> int:
        """How long an agent has to accept an offer of `queue`."""
        rules = self.rules
        return rules.queues.get(queue, default_ms) if rules else default_ms

    def frozen_copy(self) -> "State":
        """Return a copy that no longer changes, without its indexes, to write as a snapshot."""
        copy = State()
        copy.now_ms = self.now_ms
        copy.applied_index = self.applied_index
        copy.nodes = dict(self.nodes)
        copy.sessions = dict(self.sessions)
        copy.agents = dict(self.agents)
        copy.conversations = dict(self.conversations)
        copy.offers = dict(self.offers)
        copy.keys = dict(self.keys)
        copy.rule_sets = list(self.rule_sets)
        copy.audit = deque(self.audit, maxlen=AUDIT_MAX)
        copy.windows = {
            node: Window(window.boot, window.settled, set(window.applied), window.retired)
            for node, window in self.windows.items()
        }
        return copy

    # -- writing, for the lifecycle modules only

    def put_conversation(self, new: Conversation) -> None:
        """Replace or add a conversation."""
        old = self.conversations.get(new.cv)
        if old is None or _place(old) != _place(new):
            if old is not None:
                self._unindex_conversation(old)
            self._index_conversation(new)
        self.conversations[new.cv] = new

    def drop_conversation(self, cv: str) -> None:
        self._unindex_conversation(self.conversations.pop(cv))

    def put_agent(self, new: Agent) -> None:
        """Replace or add an agent."""
        old = self.agents.get(new.agent)
        if old is not None:
            self.free.discard((old.idle_since_ms, old.agent))
        self.agents[new.agent] = new
        if self.is_eligible(new):
            self.free.add((new.idle_since_ms, new.agent))

    def put_offer(self, offer: Offer) -> None:
        self.offers[offer.oid] = offer
        self.deadlines.add((offer.deadline_ms, offer.oid))

    def drop_offer(self, oid: str) -> Offer:
        offer = self.offers.pop(oid)
        self.deadlines.discard((offer.deadline_ms, oid))
        return offer

    def put_session(self, new: Session) -> None:
        """Replace or add a session; put its agent afterwards, whose presence it decides."""
        old = self.sessions.get(new.sid)
        if old is not None:
            self._unindex_session(old)
        self.sessions[new.sid] = new
        self._index_session(new)

    def drop_session(self, sid: str) -> Session:
        session = self.sessions.pop(sid)
        self._unindex_session(session)
        return session

    def rebuild_indexes(self) -> None:
        """Make the indexes anew from what is replicated."""
        self._clear_indexes()
        for conversation in self.conversations.values():
            self._index_conversation(conversation)
        for session in self.sessions.values():
            self._index_session(session)
        for offer in self.offers.values():
            self.deadlines.add((offer.deadline_ms, offer.oid))
        for agent in self.agents.values():
            if self.is_eligible(agent):
                self.free.add((agent.idle_since_ms, agent.agent))

    def _index_conversation(self, conversation: Conversation) -> None:
        cv = conversation.cv
        match conversation.state:
            case "new":
                self.unrouted[cv] = None
            case "waiting":
                queue = self.waiting.setdefault(conversation.queue, SortedSet())
                queue.add((-conversation.priority, conversation.opened_ms, cv))
            case "closed":
                self.closed.add((conversation.closed_ms, cv))
        if conversation.state != "closed":
            self.by_visitor.setdefault(conversation.visitor, {})[cv] = None

    def _unindex_conversation(self, conversation: Conversation) -> None:
        cv = conversation.cv
        self.unrouted.pop(cv, None)
        queue = self.waiting.get(conversation.queue)
        if queue is not None:
            queue.discard((-conversation.priority, conversation.opened_ms, cv))
            if not queue:
                del self.waiting[conversation.queue]
        self.closed.discard((conversation.closed_ms, cv))
        mine = self.by_visitor.get(conversation.visitor)
        if mine is not None:
            mine.pop(cv, None)
            if not mine:
                del self.by_visitor[conversation.visitor]

    def _index_session(self, session: Session) -> None:
        self.by_node.setdefault(session.node, {})[session.sid] = None
        if session.lost_ms:
            self.lost.add((session.lost_ms, session.sid))

    def _unindex_session(self, session: Session) -> None:
        mine = self.by_node[session.node]
        del mine[session.sid]
        if not mine:
            del self.by_node[session.node]
        self.lost.discard((session.lost_ms, session.sid))


def _place(conversation: Conversation) -> tuple[str, str, int]:
    """What decides where the indexes have a conversation."""
    return (conversation.state, conversation.queue, conversation.priority)
