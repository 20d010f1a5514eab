"""Which queues nobody known could serve.  No I/O.

    queue refunds asks for refund:   nobody has refund                  a typo, or people to train
    rule  vip     asks for refund    some have one, nobody has both     two steps, or fewer skills
                  and zh in refunds

Known is who has an account, and who is here.  Whether they are free, or at work today, is not
asked: rules are for longer.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cluster.routing.rules import RuleSet
from cluster.state.state import State
from cluster.toml_source import did_you_mean

Skills = Mapping[str, int]
"""Skill to level."""


class Asking(NamedTuple):
    """What a queue, or a rule in it, asks of agents."""

    who: str
    skills: Skills


def known_agents(state: State) -> list[Skills]:
    """Return the skills of each agent who has an account, or is here."""
    accounts = state.accounts.values()
    found = {one.id: one.skills for one in accounts if one.kind == "agent" and not one.disabled}
    here = {name: agent.skills for name, agent in state.agents.items() if agent.sessions}
    return list((found | here).values())


def unserved(ruleset: RuleSet, agents: Iterable[Skills]) -> Iterator[str]:
    """Yield a sentence for each queue, or rule, that none of `agents` could serve."""
    distinct = list({tuple(sorted(skills.items())): skills for skills in agents}.values())
    if not distinct:
        yield "no agent is known: nobody has an account, and nobody is here"
        return
    held = {skill for skills in distinct for skill in skills}
    for who, skills in asked_by(ruleset):
        if any(_holds(agent, skills) for agent in distinct):
            continue
        unknown = [skill for skill in skills if skill not in held]
        for skill in unknown:
            yield f"{who} asks for the skill {skill!r}, which no agent has; {_mend(skill, held)}"
        if not unknown:
            yield f"{who} asks for {_said(skills)} together, which no agent has"


def asked_by(ruleset: RuleSet) -> Iterator[Asking]:
    """Yield what each queue asks for, and each rule beyond its queue."""
    for name, queue in ruleset.queues.items():
        yield Asking(f"queue {name!r}", dict.fromkeys(queue.skills, 0))
    for rule in ruleset.rules:
        if rule.skills:
            own = ruleset.queues[rule.route].skills
            yield Asking(f"rule {rule.name!r}", dict.fromkeys((*own, *rule.skills), 0))


def _holds(agent: Skills, skills: Skills) -> bool:
    return all(skill in agent and agent[skill] >= level for skill, level in skills.items())


def _mend(skill: str, held: set[str]) -> str:
    return did_you_mean(skill, held) if held else "no agent has any"


def _said(skills: Skills) -> str:
    return " and ".join(
        f"{skill!r}" + (f" of level {level}" if level else "") for skill, level in skills.items()
    )
