"""Wrap-up: what an agent still has to do for a conversation after its end.  No I/O.

    command      from ──▶ to
    -------      -----------
    (cv.close, cv.transfer)  held ──▶ wrapping up     where the queue gives time for it
    wrap.done                wrapping up ──▶ done     its agent says so
    wrap.end                 wrapping up ──▶ done     its time has passed
    (taken up again, agent lost)     ──▶ done

While wrapping up the agent keeps the conversation's weight, and nothing else of it: it is closed,
or another's.

    load = sum of the weights of conversations held + offers pending + wrap-ups

The only functions that change what an agent holds are here and in `offers`; all count `load`.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.commands import EndWrapUp, FinishWrapUp
from cluster.state.model import Agent, Conversation, WrapUp


def hold(change: Change, agent: Agent, conversation: Conversation, **changes: Any) -> Agent:
    """Give the conversation to `agent`, who may be wrapping it up; return the agent.

    `agent` may be a value that is not put yet.
    """
    agent = _without(agent, conversation.cv)
    return change.change_agent(
        agent,
        conversations=(*agent.conversations, conversation.cv),
        load=agent.load + conversation.weight,
        idle_since_ms=change.now_ms,
        **changes,
    )


def let_go(change: Change, agent: Agent, conversation: Conversation) -> Agent:
    """Take the conversation from `agent`, who wraps it up; return the agent."""
    held = tuple(cv for cv in agent.conversations if cv != conversation.cv)
    load = agent.load - conversation.weight
    settings = change.state.queue(conversation.queue)
    wrap_ups = agent.wrap_ups
    if settings is not None and settings.wrap_up_ms and agent.sessions:
        if len(wrap_ups) >= limits.WRAP_UPS_MAX:
            load -= wrap_ups[0].weight
            wrap_ups = wrap_ups[1:]
        until_ms = change.now_ms + settings.wrap_up_ms
        wrap_ups = (*wrap_ups, WrapUp(conversation.cv, conversation.weight, until_ms))
        load += conversation.weight
    return change.change_agent(
        agent, conversations=held, load=load, wrap_ups=wrap_ups, idle_since_ms=change.now_ms
    )


def let_all_go(change: Change, agent: Agent) -> Agent:
    """End the wrap-ups of an agent who is gone; return the agent."""
    load = agent.load - sum(one.weight for one in agent.wrap_ups)
    return change.change_agent(agent, load=load, wrap_ups=())


def finish(change: Change, command: FinishWrapUp) -> dict[str, Any]:
    """The agent is done with a conversation before the time is."""
    if command.by.kind != "agent":
        no("forbidden", f"a {command.by.kind} has nothing to wrap up", rule="role")
    agent = change.agent(command.by.id)
    _known(agent, command.cv)
    change.change_agent(_without(agent, command.cv), idle_since_ms=change.now_ms)
    return {}


def end(change: Change, command: EndWrapUp) -> dict[str, Any]:
    """End a wrap-up whose time has passed by cluster time."""
    agent = change.agent(command.agent)
    found = _known(agent, command.cv)
    if change.now_ms < found.until_ms:
        no("conflict", f"the wrap-up lasts {found.until_ms - change.now_ms} ms more")
    change.change_agent(_without(agent, command.cv), idle_since_ms=change.now_ms)
    return {}


def _known(agent: Agent, cv: str) -> WrapUp:
    found = next((one for one in agent.wrap_ups if one.cv == cv), None)
    if found is None:
        no("not_found", f"{agent.agent} is not wrapping up {cv[:64]!r}")
    return found


def _without(agent: Agent, cv: str) -> Agent:
    found = next((one for one in agent.wrap_ups if one.cv == cv), None)
    if found is None:
        return agent
    left = tuple(one for one in agent.wrap_ups if one is not found)
    return replace(agent, wrap_ups=left, load=agent.load - found.weight)
