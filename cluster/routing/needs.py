"""What an agent must be beyond skills of a level: a requirement, with the contact's values in it.
No I/O.

    require   agent.skill.refund >= 4 && lang in agent.langs
    contact   lang = "zh", tags.arpu = 6200 ...
    need      ["agent.skill.refund >= 4 && lang in agent.langs",{"lang":"zh"}]

`need_of` makes the text where a conversation is routed.  It holds the source and only those values
of the contact that the source names, so conversations that ask the same of an agent have the
same need: they share a line of waiting, and one judgement for each kind of agent.  `Needs` judges,
by the text alone, so it does not matter which rules are in force by then.

    who has     is judged by
    refund 5    agent.skill.refund, agent.langs: what the source names of an agent, and nothing else

A requirement that cannot be told of an agent (a skill that the agent does not have) does not fit,
and `why_not` says why.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from cluster.routing.expression import AGENT, MAPS, PLAIN, Condition, Contact, Scope, Verdict
from cluster.routing.failure import ExpressionError
from cluster.routing.functions import tells_time
from cluster.routing.tokens import mentions
from cluster.toml_source import shown

NEED_BYTES_MAX = 2_048
"""Of one need: some lines, and the values that they name."""
NEEDS_MAX = 4_096
"""Read at once; the least recently asked for is forgotten."""
SOURCES_MAX = 512
"""Compiled at once: needs that differ in their values alone share one."""
PROFILES_MAX = 100_000
"""Judgements kept of all: of a need and a kind of agent, as far as the need tells them apart."""

Plain = dict[str, str]
Maps = dict[str, dict[str, Any]]

_NEVER = "!"
"""Begins a need that nobody fits; the reason follows."""


class Profile(Protocol):
    """An agent as far as a need can tell, such as the state's `Agent`."""

    @property
    def agent(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def skills(self) -> Mapping[str, int]: ...
    @property
    def langs(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """A `Profile` of one who need not be here, such as an account."""

    agent: str
    name: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    langs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """The `require` or the `skip_if` of a step, checked, with what it names."""

    source: str
    paths: tuple[tuple[str, ...], ...]
    """Of the contact."""
    skills: frozenset[str]
    """Of agents, as far as the source names them."""


def compile_requirement(scope: Scope, source: str) -> Requirement:
    """Return the requirement; `scope` has `AGENT` or `QUEUE` beside it.

    Raises `ExpressionError`.
    """
    scope.compile(source)
    if (timed := tells_time(source)) is not None:
        problem = "a step cannot ask for the time: it may be judged at any"
        raise ExpressionError(source, timed, problem, "ask in when")
    named = sorted(mentions(source))
    contacts = tuple(path for path in named if path[0] in PLAIN or path[0] in MAPS)
    skills = frozenset(path[2] for path in named if path[:2] == ("agent", "skill") and path[2:])
    return Requirement(source, contacts, skills)


def need_of(requirement: Requirement, contact: Contact) -> str:
    """Return the need of `contact`; of one too large, a need that nobody fits and that says so."""
    values: dict[str, Any] = {}
    for path in requirement.paths:
        head, *rest = path
        known = contact.values[head]
        if not rest:
            values[head] = known
        elif rest[0] in known and head not in values:
            values[f"{head}.{rest[0]}"] = known[rest[0]]
    compact = json.dumps(
        [requirement.source, values], ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    size = len(compact.encode())
    if size > NEED_BYTES_MAX:
        return f"{_NEVER}the values that it names take {size} bytes, more than {NEED_BYTES_MAX}"
    return compact


class NoNeed(Exception):
    """A text that is no need, or one that nobody fits; the reason."""


class Needs:
    """Judges needs; one object is asked by one thread."""

    def __init__(self) -> None:
        self._judges: OrderedDict[str, _Judge] = OrderedDict()
        self._compile = compiler(_SCOPE)
        self._kept = 0

    def fits(self, need: str, agent: Profile) -> bool:
        """Say whether `agent` is what `need` asks for; never raises.  Everyone fits no need."""
        return not need or self._verdict(self._judge(need), agent).matched

    def why_not(self, need: str, agent: Profile) -> str:
        """Return why `agent` does not fit; empty where the agent does."""
        if not need:
            return ""
        judge = self._judge(need)
        verdict = self._verdict(judge, agent)
        return "" if verdict.matched else verdict.why or f"not so: {shown(judge.source)}"

    def _verdict(self, judge: "_Judge", agent: Profile) -> Verdict:
        before = len(judge.verdicts)
        verdict = judge.verdict(agent)
        self._kept += len(judge.verdicts) - before
        if self._kept > PROFILES_MAX:
            self._judges.clear()
            self._kept = 0
        return verdict

    def _judge(self, need: str) -> "_Judge":
        judge = self._judges.get(need)
        if judge is None:
            judge = self._judges[need] = _Judge(need, self._compile)
            if len(self._judges) > NEEDS_MAX:
                _, forgotten = self._judges.popitem(last=False)
                self._kept -= len(forgotten.verdicts)
        else:
            self._judges.move_to_end(need)
        return judge


Compile = Callable[[str], Condition]


def compiler(scope: Scope) -> Compile:
    """Return what compiles within `scope`, and remembers some."""
    return lru_cache(SOURCES_MAX)(scope.compile)


def read_need(need: str, compile_source: Compile) -> tuple[Condition, Plain, Maps]:
    """Return what a need asks, and the contact's values in it.  Raises `NoNeed` with the reason."""
    if need.startswith(_NEVER):
        raise NoNeed(need.removeprefix(_NEVER))
    plain: Plain = {}
    maps: Maps = {name: {} for name in MAPS}
    try:
        source, values = json.loads(need)
        condition = compile_source(source)
        for name, value in values.items():
            head, _, key = name.partition(".")
            if key:
                maps[head][key] = value
            elif head in MAPS:
                maps[head] |= value
            else:
                plain[head] = value
    except ExpressionError as error:
        raise NoNeed(error.problem) from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise NoNeed(f"no need: {shown(need)}") from None
    return condition, plain, maps


class _Judge:
    """One need, and what it said of each kind of agent."""

    def __init__(self, need: str, compile_source: Compile) -> None:
        self.source = ""
        self.verdicts: dict[tuple[Any, ...], Verdict] = {}
        self._condition: Condition | None = None
        self._never = Verdict(False)
        self._traits: tuple[Callable[[Profile], Any], ...] = ()
        try:
            self._condition, self._plain, self._maps = read_need(need, compile_source)
        except NoNeed as no:
            self._never = Verdict(False, str(no))
        else:
            self.source = self._condition.source
            self._traits = tuple(_traits(self.source))

    def verdict(self, agent: Profile) -> Verdict:
        condition = self._condition
        if condition is None:
            return self._never
        kind = tuple(trait(agent) for trait in self._traits)
        verdict = self.verdicts.get(kind)
        if verdict is None:
            contact = _SCOPE.contact(self._plain, self._maps, beside=_beside(agent))
            verdict = self.verdicts[kind] = condition.holds(contact)
        return verdict


_SCOPE = Scope({}, beside=AGENT)


def _beside(agent: Profile) -> dict[str, Any]:
    return {
        "agent.skill": dict(agent.skills),
        "agent.langs": list(agent.langs),
        "agent.id": agent.agent,
        "agent.name": agent.name,
    }


def _traits(source: str) -> list[Callable[[Profile], Any]]:
    """Return what tells agents apart, for this source."""
    paths = {path[1:] for path in mentions(source) if path[0] == "agent"}
    traits: list[Callable[[Profile], Any]] = []
    if ("skill",) in paths or () in paths:
        traits.append(lambda agent: tuple(sorted(agent.skills.items())))
    else:
        names = tuple(sorted(path[1] for path in paths if path[0] == "skill"))
        traits.append(lambda agent: tuple(agent.skills.get(name) for name in names))
    if any(path[:1] == ("langs",) for path in paths):
        traits.append(lambda agent: tuple(agent.langs))
    if any(path[:1] == ("id",) for path in paths):
        traits.append(lambda agent: agent.agent)
    if any(path[:1] == ("name",) for path in paths):
        traits.append(lambda agent: agent.name)
    return traits
