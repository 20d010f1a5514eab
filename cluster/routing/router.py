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
from cluster.routing.ruleset import compile_in_steps
from cluster.routing.skipping import Skipping
from cluster.state.commands import RouteConversation
from cluster.state.model import Conversation
from cluster.state.state import State
from cluster.toml_source import SourceErrors

TRIED_MAX = 1_000_000
"""Characters of conditions evaluated in one plan, some 40 ms of the leader's loop where they are
such as people write; at least one decision."""
RULE_TRIED, DECISION_TRIED = 20, 200
"""What a rule and a decision count beside the conditions."""
CONTACT_CHARACTERS = 16_384
"""Of tags and attributes: of each more, all conditions count once more."""
COMPILED_MAX = 8_000
"""Characters of rules compiled in one plan, some 10 ms."""


class Router:
    """Compiles the rules that the log brings, and decides by them."""

    def __init__(self) -> None:
        self.ruleset = default_rules()
        """What decides."""
        self._rev = 0
        """Its revision; behind that of the state while `problem` says why, or until it is compiled:
        then nobody is routed."""
        self.problem = ""
        self.is_current = True
        """Whether the rules of the state are those that decide here, as far as they can be read."""
        self._followed = 0
        """Revision of the state that was compiled last, or could not be."""
        self._compiling: tuple[int, Iterator[int]] = (-1, iter(()))
        self._cost = DECISION_TRIED
        """What a decision about a small contact counts towards `TRIED_MAX`."""
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

    def follow(self, state: State) -> None:
        """Compile the rules in force, as far as one plan goes; then `is_current`.

        Rules that this version cannot read leave the last ones that it could in force here, and
        `problem` says why: a leader that is behind serves on.
        """
        record = state.rules
        rev = record.rev if record else 0
        self.is_current = rev == self._followed
        if self.is_current:
            return
        if rev != self._compiling[0]:
            files = {} if record is None else record.files
            self._compiling = rev, compile_in_steps(files, tested=False)
        characters = 0
        try:
            while characters < COMPILED_MAX:
                characters += next(self._compiling[1])
        except StopIteration as done:
            self._decide_by(default_rules() if record is None else done.value, rev)
        except SourceErrors as errors:
            self.problem = f"revision {rev} cannot be read here: {errors.errors[0]}"
        else:
            return
        self._followed = rev
        self.is_current = True

    def _decide_by(self, ruleset: RuleSet, rev: int) -> None:
        self.ruleset, self._rev, self.problem = ruleset, rev, ""
        sources = [rule.condition.source for rule in ruleset.rules if rule.condition is not None]
        self._cost = DECISION_TRIED + RULE_TRIED * len(ruleset.rules) + sum(map(len, sources))

    def routes(
        self, state: State, now_ms: int, is_busy: Callable[[str], bool]
    ) -> Iterator[RouteConversation]:
        """Yield what routes whoever is not, as far as one plan goes."""
        self.is_done = self.is_current
        if not self.is_current:
            return
        self._find_anew(state)
        tried = 0
        for cv in state.unrouted:
            if is_busy(cv):
                continue
            if tried >= TRIED_MAX:
                self.is_done = False
                return
            tried += self._cost_of(state.conversations[cv])
            yield self._route(state, state.conversations[cv], now_ms)
        while self._anew:
            if tried >= TRIED_MAX:
                self.is_done = False
                return
            cv = self._anew.popleft()
            conversation = state.conversations.get(cv)
            if conversation is None or not _is_older(conversation, self._anew_rev):
                continue
            if is_busy(cv):
                self._anew.append(cv)
                return
            tried += self._cost_of(conversation)
            yield self._route(state, conversation, now_ms)

    def _route(self, state: State, conversation: Conversation, now_ms: int) -> RouteConversation:
        assert self._skipping is not None, "begin comes first"
        decision = decide(self.ruleset, conversation, now_ms)
        route = replace(decision.route, rev=self._rev)
        step, skipped = self._skipping.first(state, conversation, route, 0)
        return RouteConversation(conversation.cv, route, step, skipped, *notes_of(decision))

    def _cost_of(self, conversation: Conversation) -> int:
        """Return what deciding about it counts towards `TRIED_MAX`."""
        values = (*conversation.tags.values(), *conversation.attrs.values())
        size = sum(len(value) for value in values if isinstance(value, str | list))
        return self._cost * (1 + size // CONTACT_CHARACTERS)

    def _find_anew(self, state: State) -> None:
        """Note who waits by older rules, once for each rule set that says so."""
        rev = next((one.rev for one in reversed(state.rule_sets) if one.reroute), 0)
        if rev == self._anew_rev or not rev:
            return
        if self._rev < rev:
            return  # those rules cannot be read here
        self._anew_rev = rev
        waiting = (cv for queue in state.waiting.values() for _, _, cv in queue)
        self._anew = deque(cv for cv in waiting if _is_older(state.conversations[cv], rev))


def _is_older(conversation: Conversation, rev: int) -> bool:
    """Whether the conversation waits by rules before `rev`."""
    waits = conversation.state == "waiting" and not conversation.by_hand
    return waits and conversation.rev < rev
