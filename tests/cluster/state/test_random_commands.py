"""Random commands from everybody, of every kind, on three machines at once; see `trio`."""

import itertools
from typing import Any, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from cluster.routing.service import due_service
from cluster.state import commands as c
from cluster.state import limits, tokens
from cluster.state.commands import By, Command
from cluster.state.outcome import Done
from cluster.state.route import Queue, Route, ServiceLevel, Step
from tests.cluster.state.desk import routed
from tests.cluster.state.giving import Giving
from tests.cluster.state.trio import (
    AGENTS,
    CVS,
    DONE,
    NODES,
    OPS,
    QUEUES,
    SUE,
    VISITORS,
    Trio,
    agents,
    cvs,
    keys,
    people,
    waits_ms,
)
from tests.cluster.state.working import Working

HASH = "$argon2id$of-something"


class Desks(Giving, Working, Trio):
    # -- what people do

    @rule(cv=cvs, by=st.sampled_from(VISITORS), key=keys, text=st.sampled_from(["", "help"]))
    def open(self, cv: str, by: By, key: str, text: str) -> None:
        self.run(c.OpenConversation(cv, by, f"open-{cv}-{key}", text=text, mid="m"))

    @rule(
        cv=cvs,
        by=people,
        key=keys,
        note=st.booleans(),
        fence=st.sampled_from([None, None, 1, 2]),
        after=st.sampled_from([None, None, 0, 4]),
        node=st.sampled_from(NODES),
    )
    def send(
        self, cv: str, by: By, key: str, note: bool, fence: Any, after: Any, node: str
    ) -> None:
        visibility: c.Visibility = "agents" if note else "all"
        mid = f"m{next(self.ids)}"
        body = f"{cv} {note}"
        key = f"send-{key}"
        (outcome,) = self.run(
            c.SendMessage(cv, mid, by, key, "text", body, visibility, "", fence, after), node=node
        )
        if isinstance(outcome, Done) and not outcome.dup and by.kind == "agent" and not note:
            conversation = self.one.state.conversations[cv]
            assert conversation.owner == by.id
            assert fence in (None, conversation.fence)

    @rule(by=agents, sid=st.integers(1, 2), capacity=st.integers(1, 3), node=st.sampled_from(NODES))
    def come(self, by: By, sid: int, capacity: int, node: str) -> None:
        boot = f"{node}-{self.boots[node]}"
        skills = {"refund": 1} if capacity > 1 else {}
        self.run(
            c.OpenSession(f"{by.id}-{sid}", by, node, boot, skills, capacity),
            c.SetStatus(by, by.id, "online"),
            node=node,
        )

    @rule(by=agents, sid=st.integers(1, 2), logout=st.booleans())
    def go(self, by: By, sid: int, logout: bool) -> None:
        name = f"{by.id}-{sid}"
        session = self.one.state.sessions.get(name)
        if logout or session is None:
            self.run(c.CloseSession(name))
        else:
            self.run(c.LoseSession(name, session.node, session.boot))

    @rule(
        by=st.sampled_from((*AGENTS, SUE)),
        agent=agents,
        status=st.sampled_from(["online", "online", "away", "busy", "offline", "transfer_only"]),
    )
    def set_status(self, by: By, agent: By, status: Any) -> None:
        self.run(c.SetStatus(by, agent.id, status))

    @rule(cv=cvs, by=people, key=keys, to=st.sampled_from((*QUEUES, "bob", "li", "nobody")))
    def transfer(self, cv: str, by: By, key: str, to: str) -> None:
        to_queue = to if to in QUEUES else ""
        to_agent = "" if to_queue else to
        key = f"transfer-{key}"
        self.run(c.TransferConversation(cv, by, key, to_agent, to_queue, "note" * len(cv)))

    @rule(cv=cvs, by=people, key=keys)
    def close(self, cv: str, by: By, key: str) -> None:
        self.run(c.CloseConversation(cv, by, f"close-{key}"))

    @rule(cv=cvs, by=people, key=keys, score=st.integers(0, 6))
    def rate(self, cv: str, by: By, key: str, score: int) -> None:
        (outcome,) = self.run(c.RateConversation(cv, by, f"rate-{key}-{score}", score, "fine"))
        if isinstance(outcome, Done) and not outcome.dup:
            rating = self.one.state.conversations[cv].rating
            assert rating is not None
            assert rating.score == score
            assert self.one.state.ratings[rating.row].counts[score - 1] > 0

    @rule(by=people, key=keys, shortcut=st.sampled_from(["hi", "bye"]), rev=st.integers(0, 2))
    def write_canned(self, by: By, key: str, shortcut: str, rev: int) -> None:
        texts = {"en": "Hello"}
        self.run(c.PutCanned(by, f"put-{key}-{rev}", shortcut, "A title", texts, rev_expected=rev))

    @rule(by=people, key=keys, shortcut=st.sampled_from(["hi", "bye"]))
    def remove_canned(self, by: By, key: str, shortcut: str) -> None:
        self.run(c.RemoveCanned(by, f"remove-{key}", shortcut))

    # -- those who take part

    @rule(cv=cvs, by=people, agent=agents, warm=st.booleans(), keep=st.booleans(), key=keys)
    def ask_in(self, cv: str, by: By, agent: By, warm: bool, keep: bool, key: str) -> None:
        """Its owner does as often as others."""
        iid = f"i{next(self.ids)}"
        owned = [one for one in self.one.state.conversations.values() if one.owner]
        if by.kind == "agent" and owned:
            cv, by = owned[0].cv, By("agent", owned[0].owner)
        if warm:
            to_agent, to_queue = ("", QUEUES[0]) if keep else (agent.id, "")
            command: Command = c.TransferConversation(
                cv, by, f"warm-{key}", to_agent, to_queue, warm=True, keep=keep, iid=iid
            )
        else:
            command = c.InviteAgent(cv, by, agent.id, iid, 20_000)
        self.run(command)

    @rule(data=st.data(), accept=st.booleans(), agent=agents)
    def answer_invitation(self, data: st.DataObject, accept: bool, agent: By) -> None:
        """One owner throughout, whoever takes over; the fence rises by one with each."""
        invitations = self.one.state.invitations
        if not invitations:
            return
        iid = data.draw(st.sampled_from(sorted(invitations)))
        asked = invitations[iid].agent
        if not asked:
            free = [name for _, name in self.one.state.free]
            self.run(c.AskColleague(iid, (*free, agent.id)[-1 if accept else 0], 20_000))
            return
        by = By("agent", asked)
        command = c.AcceptOffer(iid, by, f"in-{iid}") if accept else c.DeclineOffer(iid, by)
        (outcome,) = self.run(command)
        assert isinstance(outcome, Done) or outcome.code == "at_capacity" or not self.may_act(by)

    @rule(cv=cvs, by=people, agent=agents)
    def leave_conversation(self, cv: str, by: By, agent: By) -> None:
        known = self.one.state.agents.get(agent.id)
        helps = known.helps if known is not None else ()
        self.run(c.LeaveConversation((*helps, cv)[0], by, agent.id))

    @rule(
        cv=cvs,
        by=people,
        mode=st.sampled_from(["monitor", "whisper", "barge", "leave"]),
        node=st.sampled_from(NODES),
    )
    def supervise(self, cv: str, by: By, mode: Any, node: str) -> None:
        boot = f"{node}-{self.boots[node]}"
        if mode == "leave":
            self.run(c.EndSupervision(cv, by))
        else:
            self.run(c.JoinConversation(cv, by, mode, "s", node, boot))

    @rule(cv=cvs, by=people, what=st.sampled_from(["tags", "attrs"]), value=st.integers(0, 2))
    def set_fields(self, cv: str, by: By, what: Any, value: int) -> None:
        self.run(c.SetFields(cv, by, what, {"n": value} if value else {}, () if value else ("n",)))

    @rule(data=st.data(), cv=cvs, by=people, key=keys, delete=st.booleans())
    def correct(self, data: st.DataObject, cv: str, by: By, key: str, delete: bool) -> None:
        conversation = self.one.state.conversations.get(cv)
        events = conversation.tail if conversation is not None else ()
        mids = sorted({event.mid for event in events} - {""})
        if not mids:
            return
        mid = data.draw(st.sampled_from(mids))
        authors = {event.mid: event.by for event in events if "body" in event.data}
        by = data.draw(st.sampled_from((by, authors.get(mid, by))))
        if not delete:
            self.run(c.EditMessage(cv, mid, by, f"edit-{key}", "corrected"))
            return
        (outcome,) = self.run(c.DeleteMessage(cv, mid, by, f"del-{key}"))
        if isinstance(outcome, Done) and not outcome.dup:
            kept = self.one.state.conversations[cv].tail
            assert not any("body" in event.data for event in kept if event.mid == mid)

    @rule(cv=cvs, by=people, key=keys)
    def reopen(self, cv: str, by: By, key: str) -> None:
        self.run(c.ReopenConversation(cv, by, f"reopen-{key}"))

    @rule(cv=cvs, by=people, key=keys, name=st.sampled_from(["", "night"]))
    def to_the_rules(self, cv: str, by: By, key: str, name: str) -> None:
        self.run(c.TransferConversation(cv, by, f"rule-{key}", to_rule=name))

    @rule(by=agents, sid=st.integers(1, 2), idle=st.booleans())
    def fall_silent(self, by: By, sid: int, idle: bool) -> None:
        session = self.one.state.sessions.get(f"{by.id}-{sid}")
        if session is not None:
            self.run(c.IdleSession(by.id, idle, session.sid, session.node, session.boot))

    # -- what the leader does

    @rule(cv=cvs, wait_ms=waits_ms)
    def route_under_a_level(self, cv: str, wait_ms: int) -> None:
        self.now_ms += wait_ms
        rules = self.one.state.rules
        if rules is None:
            level = ServiceLevel(10_000, 5_000, 30_000)
            self.run(
                c.ApplyRules(OPS, {"a": "b"}, dict.fromkeys(QUEUES, Queue()), slas={"g": level})
            )
        route = Route((Step("vip"),), "r", 1, sla="g")
        self.run(c.RouteConversation(cv, route))

    @rule()
    def tell_what_is_due(self) -> None:
        """What the index says is due is never refused, and told once."""
        for command in list(due_service(self.one.state, self.now_ms, bool)):
            (outcome,) = self.run(command)
            assert isinstance(outcome, Done), outcome
        assert not list(due_service(self.one.state, self.now_ms, bool))

    @rule(cv=cvs, queue=st.sampled_from(QUEUES))
    def tell_what_is_not(self, cv: str, queue: str) -> None:
        self.run(c.SlaDue(cv), c.QueueAlert(queue))

    @rule(cv=cvs, queue=st.sampled_from(QUEUES), priority=st.integers(0, 2), skill=st.booleans())
    def route(self, cv: str, queue: str, priority: int, skill: bool) -> None:
        skills = ("refund",) if skill else ()
        self.run(routed(cv, queue, priority, "r", 1, skills))

    @rule(data=st.data(), accept=st.booleans(), key=keys)
    def answer(self, data: st.DataObject, accept: bool, key: str) -> None:
        if self.pending:
            oid = data.draw(st.sampled_from(sorted(self.pending)))
            by = By("agent", self.one.state.offers[oid].agent)
            key = f"accept-{oid}-{key}"
            command = c.AcceptOffer(oid, by, key) if accept else c.DeclineOffer(oid, by)
            (outcome,) = self.run(command)
            assert isinstance(outcome, Done) is self.may_act(by)

    @rule(data=st.data(), wait_ms=waits_ms)
    def race(self, data: st.DataObject, wait_ms: int) -> None:
        """An acceptance and the expiry of the same offer, in one moment, either way round."""
        if self.pending:
            oid = data.draw(st.sampled_from(sorted(self.pending)))
            by = By("agent", self.one.state.offers[oid].agent)
            both: list[Command] = [c.AcceptOffer(oid, by, f"race-{oid}"), c.ExpireOffer(oid)]
            self.now_ms += wait_ms
            self.run(*data.draw(st.permutations(both)))
            assert oid not in self.pending

    @rule(wait_ms=waits_ms)
    def expire_what_is_due(self, wait_ms: int) -> None:
        self.now_ms += wait_ms
        state = self.one.state
        due: list[Command] = [
            c.ExpireOffer(oid) for at_ms, oid in state.deadlines if at_ms <= self.now_ms
        ]
        due += [
            c.ExpireSession(sid)
            for at_ms, sid in state.lost
            if at_ms + limits.SESSION_GRACE_MS <= self.now_ms
        ]
        for command in due:
            self.run(command)
        assert state.deadlines.first is None or state.deadlines.first[0] > self.now_ms

    @rule(node=st.sampled_from(NODES), kill=st.booleans())
    def lose_or_restart(self, node: str, kill: bool) -> None:
        if kill:
            other = NODES[1 - NODES.index(node)]
            self.run(c.LoseNode(node, f"{node}-{self.boots[node]}"), node=other)
        else:
            self.boots[node] += 1
            self.numbers[node] = itertools.count(1)
            self.run(c.BootNode(node, f"{node}-{self.boots[node]}", ""), node=node)

    @rule(days=st.sampled_from([0, 1, 8]))
    def forget(self, days: int) -> None:
        self.now_ms += days * 24 * 3600 * 1000
        if days:
            self.messages.clear()  # the keys are forgotten; what follows is new
        self.run(c.PurgeConversations(CVS))

    @rule(
        by=st.sampled_from((OPS, OPS, SUE)),
        name=st.sampled_from(("bob", "li", "pos")),
        kind=st.sampled_from((None, "agent", "service")),
        capacity=st.sampled_from((None, 1, 4)),
        disabled=st.sampled_from((None, None, False, True)),
        key=keys,
    )
    def put_account(
        self, by: By, name: str, kind: Any, capacity: Any, disabled: Any, key: str
    ) -> None:
        skills, secret = ({"refund": 2}, HASH) if capacity else (None, "")
        key = f"put-{key}"
        self.run(
            c.PutAccount(
                by, key, name, kind, None, skills, capacity, disabled=disabled, secret=secret
            )
        )

    @rule(name=st.sampled_from(("bob", "li", "pos")), keep=st.booleans(), key=keys)
    def set_secret(self, name: str, keep: bool, key: str) -> None:
        self.run(c.SetSecret(OPS, f"secret-{key}", name, f"{HASH}-{key}", keep))

    @rule(name=st.sampled_from(("bob", "li", "pos")), key=keys)
    def remove_account(self, name: str, key: str) -> None:
        self.run(c.RemoveAccount(OPS, f"remove-{key}", name))

    @rule(name=st.sampled_from(("bob", "ann")), jti=st.sampled_from(("", "t1", "t2")), key=keys)
    def revoke(self, name: str, jti: str, key: str) -> None:
        """From here on nothing that was issued before counts, and only time forgets that."""
        exp_s = self.now_ms // 1000 + 30
        kind: Any = None if jti else "agent"
        self.run(c.RevokeTokens(OPS, f"revoke-{key}-{jti}", kind, "" if jti else name, jti, exp_s))

    @rule(name=st.sampled_from(("bob", "li", "pos")), life_s=st.sampled_from((60, 3_600)))
    def issue(self, name: str, life_s: int) -> None:
        account = self.one.state.accounts.get(name)
        if account is None:
            return
        command = c.IssueToken(By(account.kind, name), f"j{next(self.ids)}", life_s, account.rev)
        (outcome,) = self.run(command)
        assert isinstance(outcome, Done) is not account.disabled
        if isinstance(outcome, Done):
            at_s = outcome.result["iat"]
            state = self.one.state
            assert not tokens.is_revoked(state, account.kind, name, jti=command.jti, iat_s=at_s)
            self.issued.append((account.kind, name, at_s))

    @invariant()
    def a_token_of_before_a_change_counts_no_more_and_never_again(self) -> None:
        state = self.one.state
        out = {
            one
            for one in self.issued
            if tokens.is_revoked(state, one[0], one[1], jti="", iat_s=one[2])
        }
        assert out >= self.out
        self.out = out
        for kind, name, at_s in self.issued:
            account = state.accounts.get(name)
            if account is None or account.kind != kind or account.disabled:
                assert (kind, name, at_s) in out


TestDesks = Desks.TestCase
TestDesks.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


def test_in_a_month_every_command_there_is_is_done() -> None:
    """Random ones reach as far as this shows: nothing is refused whenever it is proposed."""
    DONE.clear()
    for day, rules in enumerate("abca" * 7):
        desks = Desks()
        desks.begin_a_day(rules, Route((Step("general"),), "r", 1, sla="g"), 3)
        for number in range(40):
            desks.work(1_000 * day + number, 8)
        desks.all_are_the_same()
        missing = [one.__name__ for one in get_args(Command) if not DONE[one]]
        if not missing:
            return
    assert not missing
