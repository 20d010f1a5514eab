"""The rules in force, and what they say of whoever has to be routed.  No I/O.

    new                                   routed in the order of opening
    rules applied with `reroute`          whoever waits by older rules is routed anew, unless a
                                          person said where it waits
    rules that this version cannot read   the last ones that it could decide, and `problem` says why

Who is to be routed anew stays in its line until then, with its age, and may be offered meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from cluster.routing.decide import decide
from cluster.routing.recorded import notes_of
from cluster.routing.rules import RuleSet, default_rules
from cluster.routing.ruleset import compile_rules
from cluster.routing.skipping import Skipping
from cluster.state.commands import RouteConversation
from cluster.state.model import Conversation
from cluster.state.state import State
from cluster.toml_source import SourceErrors

RULES_TRIED_MAX = 20_000
"""Rules evaluated in one plan, some 50 ms of the leader's loop; at least one decision."""


class Router:
    """Compiles the rules that the log brings, and decides by them."""

    def __init__(self) -> None:
        self._rules: tuple[int, RuleSet] = (0, default_rules())
        self._rev = 0
        """Revision that decides; behind that of the state while `problem` says why."""
        self.problem = ""
        self._anew: deque[str] = deque()
        """Who waits by older rules than those that said to route anew."""
        self._anew_rev = -1
        self._skipping: Skipping | None = None
        self.is_done = True
        """Whether nobody is left to be routed."""

    def begin(self, skipping: Skipping) -> None:
        """Another leadership begins."""
        self._skipping = skipping
        self._anew.clear()
        self._anew_rev = -1

    def rules(self, state: State) -> RuleSet:
        """Return the compiled rules in force.

        Rules that this version cannot read leave the last ones that it could in force here, and
        `problem` says why: a leader that is behind serves on.
        """
        record = state.rules
        rev = record.rev if record else 0
        if rev == self._rules[0]:
            return self._rules[1]
        ruleset, decides, problem = default_rules(), 0, ""
        if record is not None:
            try:
                ruleset, decides = compile_rules(record.files), rev
            except SourceErrors as errors:
                ruleset, decides = self._rules[1], self._rev
                problem = f"revision {rev} cannot be read here: {errors.errors[0]}"
        self._rules, self._rev, self.problem = (rev, ruleset), decides, problem
        return ruleset

    def routes(
        self, state: State, now_ms: int, is_busy: Callable[[str], bool]
    ) -> Iterator[RouteConversation]:
        """Yield what routes whoever is not, as far as one plan goes."""
        self.is_done = True
        self._find_anew(state)
        tried = 0
        for cv in state.unrouted:
            if is_busy(cv):
                continue
            if tried >= RULES_TRIED_MAX:
                self.is_done = False
                return
            ruleset = self.rules(state)
            tried += len(ruleset.rules) + 1
            yield self._route(state, ruleset, state.conversations[cv], now_ms)
        while self._anew:
            if tried >= RULES_TRIED_MAX:
                self.is_done = False
                return
            cv = self._anew.popleft()
            conversation = state.conversations.get(cv)
            if conversation is None or not _is_older(conversation, self._anew_rev):
                continue
            if is_busy(cv):
                self._anew.append(cv)
                return
            ruleset = self.rules(state)
            tried += len(ruleset.rules) + 1
            yield self._route(state, ruleset, conversation, now_ms)

    def _route(
        self, state: State, ruleset: RuleSet, conversation: Conversation, now_ms: int
    ) -> RouteConversation:
        assert self._skipping is not None, "begin comes first"
        decision = decide(ruleset, conversation, now_ms)
        route = replace(decision.route, rev=self._rev)
        step, skipped = self._skipping.first(state, conversation, route, 0)
        return RouteConversation(conversation.cv, route, step, skipped, *notes_of(decision))

    def _find_anew(self, state: State) -> None:
        """Note who waits by older rules, once for each rule set that says so."""
        rev = next((one.rev for one in reversed(state.rule_sets) if one.reroute), 0)
        if rev == self._anew_rev or not rev:
            return
        self.rules(state)
        if self._rev < rev:
            return  # those rules cannot be read here
        self._anew_rev = rev
        waiting = (cv for queue in state.waiting.values() for _, _, cv in queue)
        self._anew = deque(cv for cv in waiting if _is_older(state.conversations[cv], rev))


def _is_older(conversation: Conversation, rev: int) -> bool:
    """Whether the conversation waits by rules before `rev`."""
    waits = conversation.state == "waiting" and not conversation.by_hand
    return waits and conversation.rev < rev
