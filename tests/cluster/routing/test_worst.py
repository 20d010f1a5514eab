"""Plans of a leader at worst: everybody with a need of their own, agents freed all the time.

What a plan looks at is counted, not timed; a look takes about a microsecond.
"""

import json

import pytest
from msgspec.structs import replace

from cluster.routing.choosing import JUDGE_LOOKS, LOOKS_MAX
from cluster.routing.dispatch import Dispatcher
from cluster.state.commands import MakeOffer
from cluster.state.model import Agent, Conversation, Session
from cluster.state.route import Route, Step
from cluster.state.state import State

NOW_MS = 1_000_000
WAITING = 3 * LOOKS_MAX // JUDGE_LOOKS


def own_need(number: int) -> str:
    values = {"lang": "zh", "tags.x": f"x{number}"}
    return json.dumps(['lang in agent.langs && tags.x != ""', values])


def full_house(waiting: int, agents: int) -> State:
    """Everybody waits in a line of their own, and everybody is busy."""
    state = State()
    for number in range(waiting):
        step = Step("q", need=own_need(number))
        cv = f"cv{number:06}"
        state.put_conversation(
            Conversation(
                *(cv, "ann", "Ann", "web", "zh", "", {}, {}, number),
                state="waiting",
                route=Route((step,)),
            )
        )
    for number in range(agents):
        name = f"a{number:04}"
        state.put_session(Session(f"s{number}", name, "n1", "b1", 0))
        agent = Agent(name, name, {}, 1, langs=("zh",), status="online", sessions=(f"s{number}",))
        state.put_agent(replace(agent, load=1))
    return state


def planned(one: Dispatcher, state: State) -> list[str]:
    """Plan once more, and return who is offered."""
    state.applied_index += 1
    plan = one.plan(state, NOW_MS)
    assert one._matching._chooser.looks <= LOOKS_MAX + JUDGE_LOOKS + 1
    return [command.cv for command in plan if isinstance(command, MakeOffer)]


def dispatcher() -> Dispatcher:
    numbers = iter(range(10**6))
    return Dispatcher(lambda: f"o{next(numbers)}", 20_000)


def test_the_first_of_many_lines_is_found_over_several_plans() -> None:
    state, one = full_house(WAITING, 1), dispatcher()
    assert planned(one, state) == []
    state.put_agent(replace(state.agents["a0000"], load=0))
    plans = [planned(one, state) for _ in range(8)]
    assert [plan for plan in plans if plan] == [["cv000000"]]
    assert plans[0] == [], "not before all lines were held against the agent"
    assert one._matching.is_done


def test_agents_who_are_freed_in_every_plan_do_not_keep_anybody_from_being_offered() -> None:
    state, one = full_house(WAITING, 40), dispatcher()
    offered: list[str] = []
    for number in range(40):
        state.put_agent(replace(state.agents[f"a{number:04}"], load=0))
        offered += planned(one, state)
    assert len(offered) > 20, "meanwhile"
    while len(offered) < 40:
        offered += planned(one, state)
    assert offered == sorted(offered)


@pytest.mark.parametrize("event", ["closed", "urgent", "busy"])
def test_what_happens_while_lines_are_looked_at_is_seen(event: str) -> None:
    state, one = full_house(WAITING, 1), dispatcher()
    planned(one, state)
    state.put_agent(replace(state.agents["a0000"], load=0))
    planned(one, state)
    first = state.conversations["cv000000"]
    wanted = "cv000001"
    if event == "closed":
        state.put_conversation(replace(first, state="closed"))
    elif event == "urgent":
        wanted = "cv000900"
        old = state.conversations[wanted]
        step = replace(old.at, priority=9)
        state.put_conversation(replace(old, route=Route((step,))))
    else:
        state.put_agent(replace(state.agents["a0000"], load=1))
        wanted = ""
    offered = [cv for _ in range(8) for cv in planned(one, state)]
    assert offered == ([wanted] if wanted else [])
