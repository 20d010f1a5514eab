"""Presence: agents, their sessions, and the nodes that hold them.  No I/O.

    session.open    ──▶ live                   a known sid moves to the node that asks
    session.lose    live ──▶ lost              the socket broke; the grace period begins
    node.lose       live at it ──▶ lost        the node is silent
    node.boot       live at its past ──▶ lost  the node began anew
    session.close   ──▶ gone                   logged out: no grace
    session.expire  lost, past grace ──▶ gone

An agent whose last session is gone is offline: pending offers end as lost, and conversations
wait again with their original age.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.commands import (
    SYSTEM,
    BootNode,
    CloseSession,
    ExpireSession,
    LoseNode,
    LoseSession,
    OpenSession,
    SetStatus,
)
from cluster.state.conversations import release
from cluster.state.model import Agent, NodeInfo, Session
from cluster.state.offers import put_back
from cluster.state.outcome import SessionGone


def open_session(change: Change, command: OpenSession) -> dict[str, Any]:
    """Let an agent in at a node, or move a known session there."""
    state = change.state
    by = command.by
    if by.kind != "agent":
        no("forbidden", "only agents have replicated sessions")
    if not 1 <= command.capacity <= limits.CAPACITY_MAX:
        no("bad_request", f"a capacity of {command.capacity}; 1 to {limits.CAPACITY_MAX}")
    if len(command.skills) > limits.SKILLS_MAX:
        no("too_large", f"more than {limits.SKILLS_MAX} skills")
    old = state.sessions.get(command.sid)
    if old is not None and old.agent != by.id:
        no("forbidden", "this session is another agent's")
    if old is not None and (old.node, old.boot) != (command.node, command.boot):
        change.notices.append(SessionGone(old.sid, old.node, old.boot))
    session = Session(command.sid, by.id, command.node, command.boot, change.now_ms)
    state.put_session(session)
    agent = state.agents.get(by.id)
    if agent is None:
        agent = Agent(by.id, by.name, {}, 1, idle_since_ms=change.now_ms)
    sessions = agent.sessions
    if session.sid not in sessions:
        sessions = (*sessions, session.sid)
    agent = change.change_agent(
        agent,
        name=by.name or agent.name,
        skills=command.skills,
        capacity=command.capacity,
        sessions=sessions,
    )
    return {"sid": session.sid, "status": agent.status}


def set_status(change: Change, command: SetStatus) -> dict[str, Any]:
    """Set what the agent wants to be; going online begins a new idle time."""
    by = command.by
    if by.kind == "agent" and by.id != command.agent:
        no("forbidden", "an agent sets no other agent's status")
    if by.kind in ("visitor", "service"):
        no("forbidden", f"a {by.kind} sets no status")
    agent = change.agent(command.agent)
    if len(command.reason.encode()) > limits.NAME_BYTES_MAX:
        no("too_large", f"a reason of more than {limits.NAME_BYTES_MAX} bytes")
    idle = agent.idle_since_ms
    if command.status == "online" and agent.status != "online":
        idle = change.now_ms
    change.change_agent(agent, status=command.status, reason=command.reason, idle_since_ms=idle)
    if by.kind != "agent":
        change.note(by, "status", agent=agent.agent, status=command.status)
    return {"status": command.status}


def lose_session(change: Change, command: LoseSession) -> dict[str, Any]:
    """Begin the grace period of a session, if it is still where the loss was seen."""
    session = change.state.sessions.get(command.sid)
    if session is None:
        no("not_found", "no such session")
    if (session.node, session.boot) != (command.node, command.boot):
        no("conflict", "the session has moved to another node")
    _lose(change, session)
    return {}


def close_session(change: Change, command: CloseSession) -> dict[str, Any]:
    """End a session at once."""
    session = change.state.sessions.get(command.sid)
    if session is None:
        no("not_found", "no such session")
    _end(change, session)
    return {}


def expire_session(change: Change, command: ExpireSession) -> dict[str, Any]:
    """End a session whose grace period is over by cluster time."""
    session = change.state.sessions.get(command.sid)
    if session is None:
        no("not_found", "no such session")
    if not session.lost_ms or change.now_ms < session.lost_ms + limits.SESSION_GRACE_MS:
        no("conflict", "the session is live, or in its grace period")
    _end(change, session)
    return {}


def boot_node(change: Change, command: BootNode) -> dict[str, Any]:
    """Note a node's new life; the sessions of its earlier ones are lost from now on."""
    _lose_at(change, command.node, except_boot=command.boot)
    change.state.nodes[command.node] = NodeInfo(command.node, command.boot, command.url)
    change.note(SYSTEM, "node.boot", node=command.node, boot=command.boot)
    return {}


def lose_node(change: Change, command: LoseNode) -> dict[str, Any]:
    """Note that a node is silent; its sessions are lost from now on."""
    info = change.state.nodes.get(command.node)
    if info is None or info.boot != command.boot:
        no("conflict", "the node has begun anew")
    change.state.nodes[command.node] = replace(info, lost_ms=change.now_ms)
    _lose_at(change, command.node)
    change.note(SYSTEM, "node.lose", node=command.node, boot=command.boot)
    return {}


def _lose_at(change: Change, node: str, *, except_boot: str = "") -> None:
    for sid in tuple(change.state.by_node.get(node, ())):
        session = change.state.sessions[sid]
        if session.boot != except_boot:
            _lose(change, session)


def _lose(change: Change, session: Session) -> None:
    if session.lost_ms:
        return
    change.state.put_session(replace(session, lost_ms=max(change.now_ms, 1)))
    change.change_agent(change.agent(session.agent))


def _end(change: Change, session: Session) -> None:
    change.state.drop_session(session.sid)
    change.notices.append(SessionGone(session.sid, session.node, session.boot))
    agent = change.agent(session.agent)
    left = tuple(sid for sid in agent.sessions if sid != session.sid)
    agent = change.change_agent(agent, sessions=left)
    if not left:
        _go_offline(change, agent)


def _go_offline(change: Change, agent: Agent) -> None:
    """The last session is gone: nothing stays with an agent who is not there."""
    change.change_agent(agent, status="offline", reason="")
    for oid in agent.offers:
        put_back(change, change.state.offers[oid], "lost")
    for cv in agent.conversations:
        conversation = release(change, change.conversation(cv))
        conversation = change.append(
            conversation,
            "unassigned",
            SYSTEM,
            data={"agent": agent.agent, "reason": "agent_lost"},
        )
        change.append(
            conversation,
            "queued",
            SYSTEM,
            data={
                "queue": conversation.queue,
                "priority": conversation.priority,
                "reason": "agent_lost",
            },
            passed=(),
        )
