"""Agents: what they want to be, and what becomes of their work when they go.  No I/O.

    status      whoever sets it: the agent, a supervisor, an operator
    presence    a live session, see `sessions`
    eligible    online, present, and load below capacity

    leaves by                  offers       conversations    passed on to them by name
    ---------                  ------       -------------    -------------------------
    status offline             put back     stay             wait for anyone
    last session gone          put back     put back         wait for anyone
    other status, socket broke stay         stay             wait for them

Invitations go as offers do; who takes part in others' conversations stays until the last session
is gone.  What is put back waits with its original age.  A conversation never waits for somebody
who is not there.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_names
from cluster.state.commands import SYSTEM, SetStatus
from cluster.state.conversations import release
from cluster.state.model import Agent, OfferEnd, StatusSource
from cluster.state.offers import put_back
from cluster.state.parting import end_invitations_of, end_memberships_of
from cluster.state.statuses import become, until
from cluster.state.wrap_up import let_all_go

_SETS_OTHERS = frozenset({"supervisor", "operator", "system"})


def set_status(change: Change, command: SetStatus) -> dict[str, Any]:
    """Set what the agent wants to be; going online begins a new idle time."""
    by = command.by
    own = (by.kind, by.id) == ("agent", command.agent)
    if not own and by.kind not in _SETS_OTHERS:
        message = f"this {by.kind} does not set the status of {command.agent[:64]!r}"
        no("forbidden", message, rule="status.not_yours")
    agent = change.agent(command.agent)
    check_by(by)
    check_names(command.reason)
    if not agent.sessions and (command.status != "offline" or command.until_ms):
        no("conflict", f"{agent.agent} is not here")
    agent = become(
        change,
        agent,
        command.status,
        "user" if own else "admin",
        reason=command.reason,
        **until(change, agent, command),
    )
    if command.status == "offline":
        _send_on(change, agent, "withdrawn", "agent_offline")
    if not own:
        change.note(by, "status", agent=agent.agent, status=command.status)
    return {"status": command.status, **({"until": agent.until_ms} if agent.until_ms else {})}


def leave(change: Change, agent: Agent, src: StatusSource = "user") -> None:
    """The agent's last session is gone: nothing stays with somebody who is not there."""
    agent = let_all_go(change, agent)
    agent = become(change, agent, "offline", src)
    end_memberships_of(change, agent, "agent_lost")
    _send_on(change, agent, "lost", "agent_lost")
    for cv in agent.conversations:
        conversation = release(change, change.conversation(cv))
        data = {"agent": agent.agent, "reason": "agent_lost"}
        conversation = change.append(conversation, "unassigned", SYSTEM, data=data, passed=())
        change.requeue(conversation, "agent_lost")


def _send_on(change: Change, agent: Agent, why: OfferEnd, reason: str) -> None:
    """Put back what the agent was offered, and what waits for this agent only."""
    for oid in agent.offers:
        put_back(change, change.state.offers[oid], why)
    end_invitations_of(change, agent, why)
    for cv in sorted(change.state.by_target.get(agent.agent, ())):  # an index has no order
        conversation = change.put(change.conversation(cv), target="")
        change.requeue(conversation, reason, agent=agent.agent)
