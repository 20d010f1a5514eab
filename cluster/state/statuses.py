"""What agents are, since when, by whose doing, and until when.  No I/O.

    source   by                                       ends
    ------   --                                       ----
    user     the agent                                when they say so, or at `until`
    admin    a supervisor, operator or program        the same
    idle     silence on all of their devices          with whatever they do next
    lost     the loss of their last session           when they come again

    status.end      `until` has come: they are what they were; away, if silent on all devices
    session.idle    one device is silent for long, or not any more.  Online and all that are live
                    are silent: away.  Away by silence and one is not: what they were.

Each node sees the silence of its own sockets alone, so that goes into the log: once when a device
falls silent and once when it speaks again, and from all of them every node concludes the same.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.commands import EndStatus, IdleSession, SetStatus
from cluster.state.limits import STATUS_UNTIL_MAX_MS
from cluster.state.model import Agent, AgentStatus, StatusSource

IDLE = "idle"
"""The reason of who is away by silence."""


def become(
    change: Change, agent: Agent, status: AgentStatus, src: StatusSource, **fields: Any
) -> Agent:
    """Change the status, and what is known of it; the rest of it is as when nothing is said."""
    changes: dict[str, Any] = {"reason": "", "until_ms": 0, "then": "online", **fields}
    if status != agent.status:
        changes["status_since_ms"] = change.now_ms
    if status == "online" and agent.status != "online":
        changes["idle_since_ms"] = change.now_ms
    return change.change_agent(agent, status=status, status_src=src, **changes)


def until(change: Change, agent: Agent, command: SetStatus) -> dict[str, Any]:
    """Return what goes with a status that ends by itself; refuse a time that is none."""
    if not command.until_ms:
        return {}
    left_ms = command.until_ms - change.now_ms
    if not 0 < left_ms <= STATUS_UNTIL_MAX_MS:
        no("bad_request", "until: must be in the future, and within seven days")
    then = agent.then if agent.until_ms or agent.status_src == "idle" else agent.status
    if then in ("offline", command.status):
        then = "online"
    return {"until_ms": command.until_ms, "then": then}


def end(change: Change, command: EndStatus) -> dict[str, Any]:
    """Let an agent be again what they were, when the time has come."""
    agent = change.agent(command.agent)
    if not agent.until_ms or change.now_ms < agent.until_ms:
        no("conflict", "the status does not end now")
    if not agent.sessions:
        no("conflict", f"{agent.agent} is not here")
    settle(change, become(change, agent, agent.then, agent.status_src))
    return {"status": change.agent(agent.agent).status}


def set_idle(change: Change, command: IdleSession) -> dict[str, Any]:
    """Note that a device fell silent, or is not any more; conclude what the agent is."""
    agent = change.agent(command.agent)
    state = change.state
    if command.sid:
        session = state.sessions.get(command.sid)
        if session is None or session.agent != agent.agent:
            no("not_found", "no such session")
        if (session.node, session.boot) != (command.node, command.boot):
            no("conflict", "the session has moved to another node")
        state.put_session(replace(session, idle=command.idle))
        change.change_agent(agent)
    settle(change, agent, acted=not command.idle)
    return {"status": change.agent(agent.agent).status}


def settle(change: Change, agent: Agent, *, acted: bool = False) -> None:
    """Conclude from an agent's sessions whether they are away, or back."""
    if acted:
        if agent.status == "away" and agent.status_src == "idle":
            become(change, agent, agent.then, "user")
        return
    live = [
        session
        for session in (change.state.sessions[sid] for sid in agent.sessions)
        if not session.lost_ms
    ]
    if agent.status == "online" and live and all(session.idle for session in live):
        become(change, agent, "away", "idle", reason=IDLE)
