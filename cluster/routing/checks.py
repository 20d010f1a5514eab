"""What a whole rule set hardly means, though each of its parts is well.  No I/O.

    a rule that is never tried      one before it matches always, or asks the same
    a queue that nothing names      no rule, step, overflow or fallback sends anything there
    a skill that nobody has         given the agents there are (`unserved`)
    a queue nobody can serve        the same

The first are the `warnings` of a rule set; the last depend on who works here, so they are asked
for where that is known: `unidesk rules plan`.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping

from cluster.routing.needs import Profile
from cluster.routing.rules import Rule, RuleSet, StepRules, strictest
from cluster.toml_source import Place, SourceError, did_you_mean

WARNINGS_MAX = 100


def warnings_of(ruleset: RuleSet, used_queues: Collection[str]) -> RuleSet:
    """Return `ruleset` with its warnings, in the order of their places."""
    found = [*_never_tried(ruleset.rules), *_unused(ruleset, used_queues)]
    return dataclasses.replace(ruleset, warnings=_in_order(found))


def unserved(ruleset: RuleSet, profiles: Iterable[Profile]) -> tuple[SourceError, ...]:
    """Return warnings of queues and steps whose skills none of `profiles` holds."""
    agents = list(profiles)
    known = {skill for agent in agents for skill in agent.skills}
    found = [*_unknown_skills(ruleset, known), *_nobody(ruleset, agents)]
    return _in_order(found)


def _in_order(found: Iterable[SourceError]) -> tuple[SourceError, ...]:
    order = sorted(found, key=lambda one: (one.place.file, one.place.line))
    return tuple(order[:WARNINGS_MAX])


def _never_tried(rules: Iterable[Rule]) -> Iterator[SourceError]:
    always: Rule | None = None
    asked: dict[str, Rule] = {}
    for rule in rules:
        same = asked.get(_asks(rule))
        if always is not None:
            problem = f"rule {rule.name!r} is never tried: {always.name!r} before it matches always"
            mend = f"give {rule.name!r} a higher priority, or {always.name!r} a 'when'"
            yield SourceError(rule.place, problem, mend)
        elif same is not None:
            problem = f"rule {rule.name!r} never decides: {same.name!r} before it asks the same"
            mend = "remove one, or give this one a higher priority"
            yield SourceError(rule.place, problem, mend)
        elif rule.mode == "active":
            asked[_asks(rule)] = rule
            always = rule if _asks(rule) == "true" else None


def _asks(rule: Rule) -> str:
    return " ".join(rule.condition.source.split()) if rule.condition else "true"


def _unused(ruleset: RuleSet, used_queues: Collection[str]) -> Iterator[SourceError]:
    for name, queue in ruleset.queues.items():
        if name not in used_queues:
            problem = f"no rule, step, overflow or fallback names queue {name!r}"
            yield SourceError(queue.place, problem, f"route to it, or remove [queue.{name}]")


def _unknown_skills(ruleset: RuleSet, known: Collection[str]) -> Iterator[SourceError]:
    for place, skills in _asked_skills(ruleset):
        for skill in skills:
            if skill not in known:
                mend = did_you_mean(skill, known) if known else "give it to an agent's account"
                yield SourceError(place, f"nobody has the skill {skill!r}", mend)


def _asked_skills(ruleset: RuleSet) -> Iterator[tuple[Place, Collection[str]]]:
    for queue in ruleset.queues.values():
        best_at = queue.queue.agent_order.partition(":")[2]
        yield queue.place, [*queue.queue.skills, *([best_at] if best_at else [])]
    for rule in ruleset.rules:
        yield rule.place, rule.skills
    for _, step in _steps(ruleset):
        yield step.place, step.skills
        if step.require is not None:
            yield step.place, sorted(step.require.skills)


def _nobody(ruleset: RuleSet, agents: list[Profile]) -> Iterator[SourceError]:
    """Yield queues, and steps that ask for more than their queue, that no one agent can serve."""
    known = {skill for agent in agents for skill in agent.skills}
    for name, queue in ruleset.queues.items():
        asked = queue.queue.skills
        if set(asked) <= known and not _served(asked, agents):
            mend = "ask for less, or train somebody"
            problem = f"nobody can serve queue {name!r}: no one agent has {_listed(asked)}"
            yield SourceError(queue.place, problem, mend)
    for rule, step in _steps(ruleset):
        queue_asks = ruleset.queues[step.queue].queue.skills
        asked = strictest(queue_asks, rule.skills if rule else {}, step.skills)
        more = asked != queue_asks and _served(queue_asks, agents) and set(asked) <= known
        if more and not _served(asked, agents):
            where = f"rule {rule.name!r}" if rule else "the fallback"
            problem = f"nobody can serve this step of {where}: no one agent has {_listed(asked)}"
            yield SourceError(step.place, problem, "ask for less, or train somebody")


def _steps(ruleset: RuleSet) -> Iterator[tuple[Rule | None, StepRules]]:
    for rule in ruleset.rules:
        for step in rule.steps:
            yield rule, step
    for step in ruleset.fallback_steps:
        yield None, step


def _served(asked: Mapping[str, int], agents: list[Profile]) -> bool:
    return any(
        all(agent.skills.get(skill, -1) >= level for skill, level in asked.items())
        for agent in agents
    )


def _listed(asked: Mapping[str, int]) -> str:
    words = [f"{name} {level}" if level else name for name, level in sorted(asked.items())]
    return " and ".join(words) or "anything: there are no agents"
