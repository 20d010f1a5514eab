"""What must hold of the state after every command.  No I/O.

    I2  events of a conversation are numbered 1, 2, 3 ... without a gap
    I3  at most one owner, and owner and agent agree about it
    I4  load is the conversations held and the offers pending, both ways round; the capacity is
        checked where load grows (`offers.make`), since a capacity may shrink below the load
    I5  (who waits while somebody is free) is the dispatcher's; its tests check it
    I1, I6, I7 concern several nodes; the simulator and the replay check them

`check` looks at everything, `check_notices` at what one command touched.
"""

from collections.abc import Iterable

from cluster.state.model import Agent, Conversation
from cluster.state.outcome import AgentChanged, Appended, Notice
from cluster.state.state import State


class InvariantViolated(Exception):
    """The state is not one that correct commands could have made: a bug of ours."""


def check(state: State) -> None:
    """Raise `InvariantViolated` unless the whole state and its indexes are sound."""
    for conversation in state.conversations.values():
        _check_conversation(state, conversation)
    for agent in state.agents.values():
        _check_agent(state, agent)
    for offer in state.offers.values():
        _hold(state.conversations[offer.cv].offer == offer.oid, "I4", f"offer {offer.oid}")
    for session in state.sessions.values():
        held = session.sid in state.agents[session.agent].sessions
        _hold(held, "sessions", f"{session.sid} is not its agent's")
    _check_indexes(state)


def check_notices(state: State, notices: Iterable[Notice]) -> None:
    """Raise `InvariantViolated` unless what `notices` name is sound."""
    for notice in notices:
        match notice:
            case Appended(cv, _) if cv in state.conversations:
                _check_conversation(state, state.conversations[cv])
            case AgentChanged(agent):
                _check_agent(state, state.agents[agent])


def _check_conversation(state: State, conversation: Conversation) -> None:
    cv, tail = conversation.cv, conversation.tail
    _hold(bool(tail) and tail[-1].seq == conversation.seq, "I2", f"{cv}: its last seq")
    first = conversation.seq - len(tail) + 1
    in_order = all(event.seq == first + n for n, event in enumerate(tail[-8:], len(tail[:-8])))
    _hold(in_order, "I2", f"{cv}: a gap in its tail")
    _hold(
        (conversation.state == "assigned") == bool(conversation.owner),
        "I3",
        f"{cv}: {conversation.state} with owner {conversation.owner!r}",
    )
    if conversation.owner:
        held = cv in state.agents[conversation.owner].conversations
        _hold(held, "I3", f"{cv}: its owner does not hold it")
    _hold(
        (conversation.state == "offered") == bool(conversation.offer),
        "I4",
        f"{cv}: {conversation.state} with offer {conversation.offer!r}",
    )


def _check_agent(state: State, agent: Agent) -> None:
    for cv in agent.conversations:
        owner = state.conversations[cv].owner
        _hold(owner == agent.agent, "I3", f"{agent.agent} holds {cv} of {owner!r}")
    for oid in agent.offers:
        offer = state.offers.get(oid)
        _hold(offer is not None and offer.agent == agent.agent, "I4", f"{agent.agent}: {oid}")
    for sid in agent.sessions:
        _hold(sid in state.sessions, "sessions", f"{agent.agent}: {sid} is gone")
    free = (agent.idle_since_ms, agent.agent) in state.free
    _hold(free == state.is_eligible(agent), "indexes", f"free: {agent.agent}")


def _check_indexes(state: State) -> None:
    rebuilt = state.frozen_copy()
    rebuilt.rebuild_indexes()
    for name in ("unrouted", "waiting", "free", "deadlines", "lost", "closed"):
        _hold(getattr(state, name) == getattr(rebuilt, name), "indexes", name)
    for name in ("by_visitor", "by_node"):
        _hold(getattr(state, name) == getattr(rebuilt, name), "indexes", name)


def _hold(condition: bool, name: str, detail: str) -> None:
    if not condition:
        raise InvariantViolated(f"{name}: {detail}")
