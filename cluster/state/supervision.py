"""Supervisors who join a conversation.  No I/O.

    mode       hears        says to the visitor    says to agents    who is told
    monitor    everything   nothing                nothing           nobody; the audit log
    whisper    everything   nothing                `whisper`         agents; the audit log
    barge      everything   `msg`                  `whisper`         everybody; the audit log

`sup.join` again changes the mode: they leave as they were, and join as they are.  They are in it as
long as the session from which they joined; it ends with that, with its node, and with the close.
A supervisor who has not joined may speak and note as ever: joining to monitor is a promise not to.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_ids
from cluster.state.commands import By, EndSupervision, JoinConversation
from cluster.state.company import Overseer
from cluster.state.limits import OVERSEERS_MAX
from cluster.state.model import Conversation
from cluster.state.parting import end_supervision, joined, tell_supervision


def join(change: Change, command: JoinConversation) -> dict[str, Any]:
    """Let a supervisor in, or let them go on in another mode or from another session."""
    by = command.by
    if by.kind != "supervisor":
        no("forbidden", "only supervisors join so", rule="role")
    check_by(by)
    check_ids(command.sid, command.node, command.boot)
    conversation = change.open_conversation(command.cv)
    info = change.state.nodes.get(command.node)
    if info is None or info.boot != command.boot or info.lost_ms:
        no("conflict", "the node is not known, or has begun anew; nobody would notice its end")
    before = joined(conversation, by)
    if before is None and len(conversation.overseers) >= OVERSEERS_MAX:
        no("at_capacity", f"{OVERSEERS_MAX} supervisors have joined already")
    now = Overseer(
        by.id, by.name, command.mode, command.sid, command.node, command.boot, change.now_ms
    )
    others = tuple(one for one in conversation.overseers if one.id != by.id)
    if before is not None and before.mode == now.mode:
        conversation = change.put(conversation, overseers=(*others, now))
        _move(change, conversation, before, now)
        return {"seq": conversation.seq}
    if before is not None:
        conversation = end_supervision(change, conversation, before, by)
    conversation = change.put(conversation, overseers=(*others, now))
    if now.mode != "monitor":
        data = {"supervisor": by.id, "name": by.name, "mode": now.mode}
        hidden = now.mode == "whisper"
        conversation = change.append(conversation, "joined", by, data=data, hidden=hidden)
    _move(change, conversation, before, now)
    change.note(by, "supervise", cv=conversation.cv, mode=now.mode)
    return {"seq": conversation.seq}


def leave(change: Change, command: EndSupervision) -> dict[str, Any]:
    """Let a supervisor leave: they say so, or the node says so when their session is over."""
    conversation, by = change.open_conversation(command.cv), command.by
    if by.kind not in ("supervisor", "system"):
        no("forbidden", f"a {by.kind} has not joined so", rule="role")
    who = command.supervisor if by.kind == "system" else by.id
    overseer = joined(conversation, By("supervisor", who))
    if overseer is None:
        no("conflict", "you have not joined it")
    if command.sid and command.sid != overseer.sid:
        no("conflict", "they joined from another session since")
    conversation = end_supervision(change, conversation, overseer, by)
    tell_supervision(change, conversation, overseer, has_joined=False)
    supervisor = By("supervisor", overseer.id, overseer.name)
    change.note(supervisor, "supervise.end", cv=conversation.cv, mode=overseer.mode)
    return {"seq": conversation.seq}


def _move(
    change: Change, conversation: Conversation, before: Overseer | None, now: Overseer
) -> None:
    """Say from which session the supervisor follows, and from which no more."""
    if before is not None and before.sid != now.sid:
        tell_supervision(change, conversation, before, has_joined=False)
    tell_supervision(change, conversation, now, has_joined=True)
