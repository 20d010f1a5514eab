"""Presence: agents' sessions, and the nodes that hold them.  No I/O.

    command         from ──▶ to
    -------         -----------
    session.open    any ──▶ live                a known one moves to the node that asks, unless it
                                                moved since that node looked
    session.lose    live ──▶ lost               the socket broke; the grace period begins
    node.lose       live at it ──▶ lost         the node is silent
    node.boot       live at its past ──▶ lost   the node began anew
    session.expire  lost, past grace ──▶ gone
    session.close   any ──▶ gone                logged out: no grace

Within the grace period a session that is opened again, at whatever node, keeps everything.  An
agent whose last session is gone leaves (`agents`).  Supervisors have no sessions here; those who
joined a conversation from a node have left it when that is silent, or began anew.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import limits
from cluster.state.agents import leave
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_ids, check_langs, check_names, check_skills
from cluster.state.commands import (
    SYSTEM,
    BootNode,
    CloseSession,
    ExpireSession,
    LoseNode,
    LoseSession,
    OpenSession,
)
from cluster.state.model import Account, Agent, NodeInfo, Session
from cluster.state.outcome import SessionGone
from cluster.state.parting import end_supervision_at
from cluster.state.state import State
from cluster.state.statuses import settle


def open_session(change: Change, command: OpenSession) -> dict[str, Any]:
    """Let an agent in at a node, or move a known session there."""
    state = change.state
    by = command.by
    _check_opening(command)
    old = state.sessions.get(command.sid)
    if old is not None and old.agent != by.id:
        no("forbidden", "this session is another agent's", rule="session.not_yours")
    if old is not None and command.seen not in (None, (old.node, old.boot, old.since_ms)):
        no("stale", "the session has moved since")
    info = state.nodes.get(command.node)
    if info is None:
        no("conflict", "the node is not known; nobody would notice its end")
    if info.boot != command.boot:
        no("conflict", "the node has begun anew since")
    agent = state.agents.get(by.id)
    if agent is None:
        _make_room(change)
        agent = Agent(by.id, by.name, {}, 1, idle_since_ms=change.now_ms)
    sessions = agent.sessions
    if old is None:
        if len(sessions) >= limits.SESSIONS_PER_AGENT_MAX:
            no("conflict", f"{len(sessions)} sessions are open; close one of them")
        sessions = (*sessions, command.sid)
    elif (old.node, old.boot) != (command.node, command.boot):
        change.notices.append(SessionGone(old.sid, old.node, old.boot))
    if info.lost_ms:
        # It speaks, so it was given up too early; else its next loss would go unnoticed.
        state.nodes[info.node] = replace(info, lost_ms=0)
    idle = old is not None and old.idle  # a client that finds another node is nobody's deed
    session = Session(command.sid, by.id, command.node, command.boot, change.now_ms, idle=idle)
    state.put_session(session)
    profile: Account | OpenSession = command
    name = by.name
    account = state.accounts.get(by.id)
    if account is not None and account.kind == "agent":  # it counts, whatever the token says
        name = account.name or name
        profile = account
    agent = change.change_agent(
        agent,
        name=name or agent.name,
        skills=profile.skills,
        langs=profile.langs,
        capacity=profile.capacity,
        sessions=sessions,
    )
    settle(change, agent, acted=not idle)
    return {"sid": session.sid, "status": change.agent(by.id).status}


def lose_session(change: Change, command: LoseSession) -> dict[str, Any]:
    """Begin the grace period of a session, if it is still where the loss was seen."""
    session = _known(change, command.sid)
    if (session.node, session.boot) != (command.node, command.boot):
        no("conflict", "the session has moved to another node")
    _lose(change, session)
    return {}


def close_session(change: Change, command: CloseSession) -> dict[str, Any]:
    """End a session at once, if it is still where the logout was seen."""
    session = _known(change, command.sid)
    if command.node and (session.node, session.boot) != (command.node, command.boot):
        no("conflict", "the session has moved to another node")
    end(change, session)
    return {}


def expire_session(change: Change, command: ExpireSession) -> dict[str, Any]:
    """End a session whose grace period is over by cluster time."""
    session = _known(change, command.sid)
    if not session.lost_ms or change.now_ms < session.lost_ms + limits.SESSION_GRACE_MS:
        no("conflict", "the session is live, or in its grace period")
    end(change, session)
    return {}


def boot_node(change: Change, command: BootNode) -> dict[str, Any]:
    """Note a node's new life; the sessions of its earlier ones are lost from now on."""
    state = change.state
    check_boot(state, command)
    _lose_at(change, command.node, except_boot=command.boot)
    end_supervision_at(change, command.node, except_boot=command.boot)
    # Whoever begins anew takes clients, whatever operators wanted of the life before.
    state.nodes[command.node] = NodeInfo(command.node, command.boot, command.url)
    change.note(SYSTEM, "node.boot", node=command.node, boot=command.boot)
    return {}


def check_boot(state: State, command: BootNode) -> None:
    """Refuse the announcement of a boot that must not begin."""
    check_ids(command.node, command.boot)
    check_names(command.url)
    if command.node not in state.nodes and len(state.nodes) >= limits.NODES_MAX:
        no("conflict", f"{limits.NODES_MAX} nodes are known already")


def lose_node(change: Change, command: LoseNode) -> dict[str, Any]:
    """Note that a node is silent; its sessions are lost from now on."""
    info = change.state.nodes.get(command.node)
    if info is None or info.boot != command.boot:
        no("conflict", "the node has begun anew")
    if not info.lost_ms:
        change.state.nodes[command.node] = replace(info, lost_ms=max(change.now_ms, 1))
        _lose_at(change, command.node)
        end_supervision_at(change, command.node)
        change.note(SYSTEM, "node.lose", node=command.node, boot=command.boot)
    return {}


def _check_opening(command: OpenSession) -> None:
    if command.by.kind != "agent":
        no("forbidden", "only agents have replicated sessions", rule="role")
    check_ids(command.sid, command.node, command.boot)
    check_by(command.by)
    check_skills(command.skills)
    check_langs(command.langs)
    if not 1 <= command.capacity <= limits.CAPACITY_MAX:
        no("bad_request", f"a capacity of {command.capacity}; 1 to {limits.CAPACITY_MAX}")


def _make_room(change: Change) -> None:
    """Forget the longest known of the agents who are not here, where there are too many."""
    agents = change.state.agents
    if len(agents) < limits.AGENTS_MAX:
        return
    gone = next((name for name, agent in agents.items() if not agent.sessions), None)
    if gone is None:
        no("at_capacity", f"{limits.AGENTS_MAX} agents are here already")
    change.state.drop_agent(gone)


def _known(change: Change, sid: str) -> Session:
    session = change.state.sessions.get(sid)
    if session is None:
        no("not_found", "no such session")
    return session


def _lose_at(change: Change, node: str, *, except_boot: str = "") -> None:
    for sid in sorted(change.state.by_node.get(node, ())):  # an index has no order
        session = change.state.sessions[sid]
        if session.boot != except_boot:
            _lose(change, session)


def _lose(change: Change, session: Session) -> None:
    """Begin the grace period, once: a second loss does not prolong it."""
    if session.lost_ms:
        return
    change.state.put_session(replace(session, lost_ms=max(change.now_ms, 1)))
    change.change_agent(change.agent(session.agent))


def end(change: Change, session: Session) -> None:
    """End a session at once: its agent leaves with the last one."""
    change.state.drop_session(session.sid)
    change.notices.append(SessionGone(session.sid, session.node, session.boot))
    agent = change.agent(session.agent)
    left = tuple(sid for sid in agent.sessions if sid != session.sid)
    agent = change.change_agent(agent, sessions=left)
    if not left:
        leave(change, agent, "lost" if session.lost_ms else "user")
    else:
        settle(change, agent)
