"""A dispatcher at a desk: what it plans, and what comes of it."""

import itertools

from cluster.routing.dispatch import Dispatcher
from cluster.state import commands as c
from cluster.state.commands import Command
from cluster.state.model import Agent, Conversation, Session
from cluster.state.outcome import Refused
from cluster.state.route import Route, Step
from cluster.state.state import State
from tests.cluster.state.desk import Desk

ACCEPT_MS = 20_000
NOW_MS = 1_000_000


def dispatcher() -> Dispatcher:
    numbers = itertools.count(1)
    return Dispatcher(lambda: f"id{next(numbers):06}", ACCEPT_MS)


def planned(desk: Desk, one: Dispatcher) -> list[Command]:
    return one.plan(desk.state, desk.now_ms)


def act(desk: Desk, one: Dispatcher) -> list[Command]:
    """Plan, apply all of it, and say what it was."""
    plan = planned(desk, one)
    for command in plan:
        outcome = desk.run(command)
        one.settled(command, refused=isinstance(outcome, Refused))
    return plan


def kinds(plan: list[Command]) -> list[str]:
    return [type(command).__name__ for command in plan]


def offers(plan: list[Command]) -> list[tuple[str, str]]:
    return [(one.cv, one.agent) for one in plan if isinstance(one, c.MakeOffer)]


def big_state(waiting: int, free: int, *, needs: int = 1, skills: str = "") -> State:
    """Build a state of `waiting` conversations in need of `needs` kinds of skill."""
    state = State()
    state.applied_index = 1
    for number in range(waiting):
        skill = f"s{number % needs}"
        cv = f"cv{number:06}"
        state.put_conversation(
            Conversation(
                *(cv, "ann", "Ann", "web", "zh", "", {}, {}, number),
                state="waiting",
                route=Route((Step(f"q{number % 7}", skills={skill: 0}),)),
            )
        )
    for number in range(free):
        name = f"a{number:04}"
        state.put_session(Session(f"s{number}", name, "n1", "b1", 0))
        held = dict.fromkeys([skills], 1)
        state.put_agent(
            Agent(name, name, held, 3, status="online", sessions=(f"s{number}",), idle_since_ms=1)
        )
    return state
