"""Queues that nobody is there for.  No I/O.

    an agent is here    see `Agent.is_here`
    a queue is staffed  somebody is here who has all skills it asks for; a bot staffs the queues
                        for bots alone.  Bots are agents with the skill `bot`

                       the last one goes                  somebody comes
    staffed ──────────────────────────────▶ unstaffed ──────────────────────▶ staffed
                                                │  queue.alert, in its hours
                                                └──────▶ alerted ───────────▶ staffed, and told so

Another skill of somebody who is here lets them come, or go, for a queue; rules that ask for less
let somebody come.  A queue for which nobody was ever there is not noticed: it has lost nobody, and
`rules plan` says that nobody can serve it.  Hours are judged by the leader, which proposes the
alert.
"""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cluster.state.model import Agent
    from cluster.state.state import State


BOT = "bot"
"""The skill that says of an agent that it is a program."""


class Unstaffed(msgspec.Struct, frozen=True, array_like=True):
    """A queue whose last agent has gone."""

    queue: str
    since_ms: int
    alerted_ms: int = 0
    """When supervisors were told; 0 while they were not."""


def is_bot(state: "State", agent: str) -> bool:
    """Say whether the agent of this name is a program."""
    found = state.agents.get(agent)
    return found is not None and BOT in found.skills


def is_staffed(state: "State", queue: str) -> bool:
    """Say whether somebody is here for `queue`."""
    needs = state.skills_of(queue)
    # An index has no order, and whether there is one in it needs none.
    return any(_serves(state.agents[agent], needs) for agent in state.here)


def came(state: "State", agent: "Agent") -> list[Unstaffed]:
    """Note that `agent` is here now, as they are; return the queues that are staffed by that."""
    found = [one for one in state.unstaffed.values() if _serves(agent, state.skills_of(one.queue))]
    for one in found:
        del state.unstaffed[one.queue]
    return found


def went(state: "State", agent: "Agent") -> None:
    """Note that `agent`, who was here, is not any more, or not as who they were."""
    for queue in sorted(state.queues):  # a restored node has them in another order
        if queue in state.unstaffed or not _serves(agent, state.skills_of(queue)):
            continue
        if not is_staffed(state, queue):
            state.unstaffed[queue] = Unstaffed(queue, state.now_ms)


def refit(state: "State") -> list[Unstaffed]:
    """Forget queues that new rules do not name; return those that are staffed by what they ask."""
    known = set(state.queues)
    for queue in [one for one in state.unstaffed if one not in known]:
        del state.unstaffed[queue]
    found = [one for one in state.unstaffed.values() if is_staffed(state, one.queue)]
    for one in found:
        del state.unstaffed[one.queue]
    return found


def _serves(agent: "Agent", needs: dict[str, int]) -> bool:
    return not agent.lacks(needs) and (BOT not in agent.skills or BOT in needs)
