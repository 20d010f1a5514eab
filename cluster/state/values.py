"""The values of the replicated state, and what they say.  No I/O.

    nodes, sessions, agents, conversations, offers, invitations
    keys, proposers                         what was done already
    rule_sets, routings, canned             rules, what they decided; what is said often
    accounts, revoked, cutoffs              who may come in
    served, tallies, ratings, unstaffed     what is remembered of how visitors were served
    audit, heal_log, level                  who did what; what healed; which commands may be used
    origin                                  the backup that the cluster was restored from
    consents, faults                        who may be broken on purpose; what is, now

`cluster.state.state` changes them, and keeps indexes over them.

The order of a dictionary is part of the state: nodes fill and empty theirs alike, and a
snapshot keeps it.
"""

from collections import deque
from collections.abc import Collection
from typing import Self

from cluster.state.company import Invitation
from cluster.state.limits import (
    AUDIT_MAX,
    FALLBACK_QUEUE,
    HEAL_LOG_MAX,
)
from cluster.state.model import (
    Account,
    Agent,
    AuditRecord,
    Consent,
    Conversation,
    Cutoff,
    Fault,
    HealNote,
    NodeInfo,
    Offer,
    Remembered,
    RuleSetRecord,
    Session,
)
from cluster.state.proposer import Proposer
from cluster.state.replies import Canned
from cluster.state.route import Queue
from cluster.state.routings import Routing
from cluster.state.satisfaction import DayRatings, Row
from cluster.state.staffing import Unstaffed


class Values:
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
        """Idempotency keys, oldest first; see `idempotency.name_of` for their names."""
        self.rule_sets: list[RuleSetRecord] = []
        """Newest last; empty until the first is applied."""
        self.audit: deque[AuditRecord] = deque(maxlen=AUDIT_MAX)
        self.proposers: dict[str, Proposer] = {}
        """Per node: its current boot's proposals."""
        self.accounts: dict[str, Account] = {}
        self.revoked: dict[str, int] = {}
        """Single tokens that count no more: `jti` to their end, seconds UTC."""
        self.cutoffs: dict[tuple[str, str], Cutoff] = {}
        """By kind and id, the one that was set last behind the others."""
        self.cutoff_floor_s = 0
        """Whosever token was issued then, or before, does not count; 0 unless cutoffs were many."""
        self.routings: deque[Routing] = deque()
        """What rules decided, newest last."""
        self.served: dict[tuple[str, str], str] = {}
        """Visitor, by kind and id, to the agent who served them last; the last served behind."""
        self.tallies: dict[str, int] = {}
        """How often something happened that is counted over all nodes; names are of the code."""
        self.ratings: dict[Row, DayRatings] = {}
        """Oldest day first."""
        self.canned: dict[str, Canned] = {}
        """By shortcut; another dictionary with every change."""
        self.unstaffed: dict[str, Unstaffed] = {}
        """Queues whose last agent has gone."""
        self.invitations: dict[str, Invitation] = {}
        self.level = 1
        """Commands of this level may be used; see `cluster.state.levels`."""
        self.heal_log: deque[HealNote] = deque(maxlen=HEAL_LOG_MAX)
        self.origin = ""
        """Of a cluster that was restored from a backup: which one, see `cluster.backup`."""
        self.consents: dict[str, Consent] = {}
        """By node; another dictionary with every change."""
        self.faults: dict[str, Fault] = {}
        """By id; another dictionary with every change."""

    @property
    def rules(self) -> RuleSetRecord | None:
        """The rules in force, None while the built-in ones are."""
        return self.rule_sets[-1] if self.rule_sets else None

    def rules_at(self, rev: int) -> RuleSetRecord | None:
        """Return the rule set of revision `rev`; None when it is not kept (any more)."""
        place = rev - self.rule_sets[0].rev if self.rule_sets else -1
        return self.rule_sets[place] if 0 <= place < len(self.rule_sets) else None

    def is_present(self, agent: Agent) -> bool:
        """Whether a session of `agent` is live."""
        return any(not self.sessions[sid].lost_ms for sid in agent.sessions)

    def is_eligible(self, agent: Agent) -> bool:
        """Whether `agent` may be offered one more conversation."""
        return self.may_be_offered(agent) and agent.load < agent.capacity

    def may_be_offered(self, agent: Agent, *, by_name: bool = False) -> bool:
        """Whether `agent` is here for anybody, or, `by_name`, for what was transferred to them."""
        here = agent.status == "online" or (by_name and agent.status == "transfer_only")
        return here and self.is_present(agent)

    def accept_ms(self, queue: str, default_ms: int) -> int:
        """How long an agent has to accept an offer of `queue`."""
        settings = self.queue(queue)
        return settings.accept_ms if settings is not None else default_ms

    def queue(self, name: str) -> Queue | None:
        """How queue `name` offers what waits in it; None for one that no kept rules know.

        A queue that is gone from the rules is served, until it is empty, as it last was.
        """
        records = reversed(self.rule_sets)
        return next((one.queues[name] for one in records if name in one.queues), None)

    @property
    def queues(self) -> Collection[str]:
        """The queues that the rules in force name."""
        rules = self.rules
        return rules.queues.keys() if rules is not None else (FALLBACK_QUEUE,)

    def skills_of(self, queue: str) -> dict[str, int]:
        """Return the skills that `queue` asks of agents, with the least level of each."""
        settings = self.queue(queue)
        return settings.skills if settings is not None else {}

    def frozen_copy(self) -> Self:
        """Return a copy that no longer changes, without its indexes, to write as a snapshot."""
        copy = type(self)()
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
        copy.proposers = {node: one.copy() for node, one in self.proposers.items()}
        copy.accounts = dict(self.accounts)
        copy.revoked = dict(self.revoked)
        copy.cutoffs = dict(self.cutoffs)
        copy.cutoff_floor_s = self.cutoff_floor_s
        copy.routings = deque(self.routings)
        copy.served = dict(self.served)
        copy.tallies = dict(self.tallies)
        copy.ratings = dict(self.ratings)
        copy.canned = self.canned
        copy.unstaffed = dict(self.unstaffed)
        copy.invitations = dict(self.invitations)
        copy.level = self.level
        copy.origin = self.origin
        copy.heal_log = deque(self.heal_log, maxlen=HEAL_LOG_MAX)
        copy.consents = self.consents
        copy.faults = self.faults
        return copy
