"""Clients that operators send away: `unidesk sessions move`, `close`.  No I/O.

    named by        who goes                            every node is told (`Dismissed`), and
    sid             one session of an agent             the node that has the socket says goodbye
    kind and id     all connections of a principal

    stop            the goodbye                         an agent's session
    no              go to another node and resume       goes on there
    yes             stop until somebody logs in         ends at once, also where its node is dead

Who is a visitor and where is not replicated (ADR 0007): whether anybody was there, no log can say.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_operator
from cluster.state.commands import DismissSession
from cluster.state.model import Session
from cluster.state.outcome import Dismissed
from cluster.state.sessions import end


def dismiss(change: Change, command: DismissSession) -> dict[str, Any]:
    """Have a client sent away; return which sessions of agents that concerns."""
    by, state = command.by, change.state
    check_operator(by, "send others away")
    if command.to and command.to not in state.nodes:
        no("not_found", f"no node {command.to[:64]}; there are {', '.join(state.nodes)}")
    if command.to and state.nodes[command.to].drained_ms:
        no("conflict", f"{command.to} is drained: it takes no clients")
    kind, principal, concerned = _meant(change, command)
    what = "session.close" if command.stop else "session.move"
    change.note_here(by, what, kind=kind, id=principal, sid=command.sid, to=command.to)
    # Before the sessions end: whoever holds the socket says this goodbye, and no other.
    change.notices.append(Dismissed(kind, principal, command.sid, command.stop, command.to))
    if command.stop:
        for session in concerned:
            end(change, session)
    return {"kind": kind, "who": principal, "sids": [session.sid for session in concerned]}


def _meant(change: Change, command: DismissSession) -> tuple[str, str, list[Session]]:
    """Return principal and sessions."""
    state = change.state
    if command.sid:
        check_ids(command.sid)
        session = state.sessions.get(command.sid)
        if session is None:
            no("not_found", "no agent has such a session; see `unidesk sessions list`")
        return "agent", session.agent, [session]
    if command.kind is None or command.kind == "system":
        no("bad_request", "name a session by its sid, or a principal by kind and id")
    check_ids(command.id)
    if command.kind != "agent":
        return command.kind, command.id, []
    agent = state.agents.get(command.id)
    if agent is None or not agent.sessions:
        no("not_found", f"agent {command.id} is not here")
    return "agent", command.id, [state.sessions[sid] for sid in agent.sessions]
