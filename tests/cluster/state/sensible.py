"""Commands that somebody has reason for: what a state calls for.

Commands from everybody about anything are refused most of the time; these get far enough for
features to meet.
"""

from collections.abc import Iterator

from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.levels import LEVEL
from cluster.state.model import Agent, Conversation
from cluster.state.route import Overflow, Route, Step
from cluster.state.state import State

OPS = By("operator", "ops")
SUE = By("supervisor", "sue")
QUEUES = ("general", "vip")
HASH = "$argon2id$of-something"


def sensible(state: State, now_ms: int, new: str) -> Iterator[Command]:
    """Yield what somebody may want to do; `new` is an id and a key that nobody had."""
    for conversation in state.conversations.values():
        yield from about(state, conversation, new)
    for agent in state.agents.values():
        yield from by_agent(state, agent, now_ms, new)
    for offer in state.offers.values():
        by = By("agent", offer.agent)
        yield c.AcceptOffer(offer.oid, by, new)
        yield c.DeclineOffer(offer.oid, by)
    free = [name for _, name in state.free]
    for invitation in state.invitations.values():
        by = By("agent", invitation.agent)
        if invitation.agent:
            yield c.AcceptOffer(invitation.iid, by, new)
            yield c.DeclineOffer(invitation.iid, by)
        else:
            yield from (c.AskColleague(invitation.iid, name, 20_000) for name in free)
    yield from (c.QueueAlert(queue) for queue in state.unstaffed)
    yield from (c.RollbackRules(OPS, record.rev) for record in state.rule_sets)
    yield from (c.EndStatus(name) for _, name in state.status_ends)
    yield from (c.SlaDue(cv) for _, cv in state.sla_due)
    yield c.OpenConversation(new, By("visitor", "ann"), new, text="help", mid="m")
    yield c.PurgeConversations(tuple(state.conversations))
    yield c.AddAudit(SUE, "conversation.read", {"cv": new})
    yield from (c.LoseNode(node.node, node.boot) for node in list(state.nodes.values())[1:])
    yield c.RevokeTokens(OPS, new, "agent", "bob")
    if state.level < LEVEL:
        yield c.RaiseLevel(LEVEL)
    yield c.NoteHeal(9, "slow syncs", "hand over", "done", now_ms)
    yield from (
        c.DrainNode(node, OPS, drained=not one.drained_ms) for node, one in state.nodes.items()
    )
    yield from (c.DismissSession(OPS, sid, stop=True) for sid in state.sessions)
    yield c.DismissSession(OPS, kind="visitor", id="ann")
    known = [(one.node, one.boot) for one in state.nodes.values()]
    yield from (c.AllowChaos(boot, "dc1") for _, boot in known)
    agreeing = {one.node: one.boot for one in state.consents.values()}
    agreed = [node for node, boot in known if agreeing.get(node) == boot]
    if agreed:
        yield c.StartChaos(OPS, new, new, "pause", (tuple(agreed),), 5_000)
    if len(agreed) > 1:
        apart = (tuple(agreed[:1]), tuple(agreed[1:]))
        yield c.StartChaos(OPS, new, new, "partition", apart, 5_000, clients=True, zone="dc1")
    if state.faults:
        yield c.EndChaos(OPS)
    for account in state.accounts.values():
        if account.kind == "service":
            yield c.SetSecret(OPS, new, account.id, HASH)
            yield c.IssueToken(By("service", account.id), new, 60, account.rev)
        else:
            yield c.RemoveAccount(OPS, new, account.id)
    yield c.PutCanned(SUE, new, "hi", "Hi", {"en": "Hello"})
    yield from (c.RemoveCanned(SUE, new, shortcut) for shortcut in state.canned)
    ended = (*state.deadlines, *state.invitation_ends)
    yield from (c.ExpireOffer(oid) for at_ms, oid in ended if at_ms <= now_ms)
    yield from (c.EndWrapUp(agent, cv) for _, agent, cv in state.wrap_ends)
    yield from (c.OverflowConversation(cv) for _, cv in state.overflows)
    for _, cv in state.step_ends:
        step = state.conversations[cv].step
        yield c.AdvanceStep(cv, step, step + 1)


def about(state: State, one: Conversation, new: str) -> Iterator[Command]:
    cv = one.cv
    visitor = By(one.visitor_kind, one.visitor)
    yield c.SetFields(cv, SUE, "attrs", {"n": new})
    for event in one.tail:
        if event.mid and "body" in event.data:
            yield c.EditMessage(cv, event.mid, event.by, new, f"better {new}.")
            yield c.DeleteMessage(cv, event.mid, event.by, new)
    if one.state == "new":
        steps = (Step("vip", for_ms=10), Step("general"))
        yield c.RouteConversation(cv, Route(steps, sla="g", overflow=Overflow(2_000, "message")))
    if one.state == "closed":
        yield c.ReopenConversation(cv, visitor, new)
        yield c.RateConversation(cv, visitor, new, 4)
        return
    for by in (visitor, By("agent", one.owner)) if one.owner else (visitor,):
        yield c.SendMessage(cv, new, by, new, "text", f"words {new}.")
        yield c.CloseConversation(cv, by, new)
    node = next(iter(state.nodes.values()))
    yield c.JoinConversation(cv, SUE, "barge", "s", node.node, node.boot)
    yield from (c.EndSupervision(cv, By("supervisor", over.id)) for over in one.overseers)
    yield from (c.LeaveConversation(cv, By("agent", member.agent)) for member in one.members)
    for name in sorted(state.here):
        yield c.InviteAgent(cv, SUE, name, new, 20_000)
        if one.state == "waiting":
            yield c.TakeConversation(cv, By("agent", name), new)
            yield c.MakeOffer(new, cv, name, 20_000)
            yield c.TransferConversation(cv, SUE, new, name)
        elif one.owner:
            by, keep = By("agent", one.owner), name < one.owner
            yield c.TransferConversation(cv, by, new, name, warm=True, keep=keep, iid=new)
    if one.owner:
        by = By("agent", one.owner)
        for queue in QUEUES:
            yield c.TransferConversation(cv, by, new, "", queue)
            yield c.TransferConversation(cv, by, new, "", queue, warm=True, iid=new)


def by_agent(state: State, agent: Agent, now_ms: int, new: str) -> Iterator[Command]:
    by = By("agent", agent.agent)
    yield from (c.FinishWrapUp(by, one.cv) for one in agent.wrap_ups)
    for sid in agent.sessions:
        yield c.CloseSession(sid)
        session = state.sessions[sid]
        where = (sid, session.node, session.boot)
        yield c.OpenSession(f"{by.id}-2", by, *where[1:], {"refund": 1}, 2)
        yield c.LoseSession(*where)
        yield c.ExpireSession(sid)
        yield c.IdleSession(by.id, not session.idle, *where)
    if agent.sessions and agent.status != "online":
        yield c.SetStatus(by, by.id, "online")
    if agent.sessions:
        yield c.SetStatus(by, by.id, "away", "", now_ms + 5_000)
    skills = {} if agent.skills else {"refund": 1}
    yield c.PutAccount(OPS, new, by.id, "agent", skills=skills, capacity=2)
