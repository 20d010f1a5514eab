"""Who may do what: a table of roles, and nobody as somebody else."""

from typing import get_args

import msgspec
import pytest
import trio

from cluster.state.commands import By, PutAccount, SendMessage
from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ev, Role
from tests.node.desk.office import Client, office, settle
from tests.node.golden import samples

ULID = samples.CV
REQUESTS: dict[str, ops.Request] = {
    "auth": ops.Auth(token="x"),
    "pong": ops.Pong(),
    "cv.open": ops.CvOpen(key="k"),
    "cv.get": ops.CvGet(cv=ULID),
    "cv.history": ops.CvHistory(cv=ULID),
    "cv.sub": ops.CvSub(cv=ULID),
    "cv.unsub": ops.CvUnsub(cv=ULID),
    "msg.send": ops.MsgSend(cv=ULID, key="k", body="x"),
    "ack": ops.Ack(cv=ULID, seq=1),
    "read": ops.Read(cv=ULID, seq=1),
    "typing": ops.Typing(cv=ULID, on=True),
    "status.set": ops.StatusSet(status="away"),
    "offer.accept": ops.OfferAccept(oid=ULID, key="k"),
    "offer.decline": ops.OfferDecline(oid=ULID),
    "cv.take": ops.CvTake(cv=ULID, key="k5"),
    "wrap.done": ops.WrapDone(cv=ULID),
    "cv.transfer": ops.CvTransfer(cv=ULID, key="k", to={"queue": "vip"}),
    "cv.close": ops.CvClose(cv=ULID, key="k"),
    "rules.apply": ops.RulesApply(files={"main.toml": "x ="}),
    "rules.get": ops.RulesGet(),
    "members.get": ops.MembersGet(),
    "members.change": ops.MembersChange(change="remove", node="n9"),
    "user.put": ops.UserPut(key="k1", user="bo", kind="agent"),
    "user.secret": ops.UserSecret(key="k2", user="bo", secret="x"),
    "user.get": ops.UserGet(user="bo"),
    "user.list": ops.UserList(),
    "user.remove": ops.UserRemove(key="k3", user="bo"),
    "token.revoke": ops.TokenRevoke(key="k4", kind="agent", user="bo"),
    "audit.list": ops.AuditList(),
    "heal.log": ops.HealLog(),
    "heal.status": ops.HealStatus(),
    "cv.rate": ops.CvRate(cv=ULID, key="k5", score=5),
    "cv.ratings": ops.CvRatings(),
    "cv.missed": ops.CvMissed(),
    "canned.put": ops.CannedPut(key="k6", shortcut="hi", title="Hi", texts={"en": "Hi"}),
    "canned.remove": ops.CannedRemove(key="k7", shortcut="hi"),
    "canned.get": ops.CannedGet(shortcut="hi"),
    "canned.list": ops.CannedList(),
    "canned.find": ops.CannedFind(q="hi"),
    "cv.list": ops.CvList(),
    "queue.list": ops.QueueList(),
    "queue.watch": ops.QueueWatch(),
    "agent.list": ops.AgentList(),
    "cv.tag": ops.CvTag(cv=ULID, set={"a": 1}),
    "cv.attr": ops.CvAttr(cv=ULID, set={"a": 1}),
    "cv.invite": ops.CvInvite(cv=ULID, agent="a2"),
    "cv.leave": ops.CvLeave(cv=ULID),
    "sup.join": ops.SupJoin(cv=ULID, mode="monitor"),
    "sup.leave": ops.SupLeave(cv=ULID),
    "msg.edit": ops.MsgEdit(cv=ULID, mid=ULID, key="k5", body="x"),
    "msg.del": ops.MsgDel(cv=ULID, mid=ULID, key="k6"),
    "cv.reopen": ops.CvReopen(cv=ULID, key="k7"),
    "rules.history": ops.RulesHistory(),
    "rules.rollback": ops.RulesRollback(rev=1),
    "rules.plan": ops.RulesPlan(files={"main.toml": "x ="}),
    "rules.simulate": ops.RulesSimulate(contact=ops.Contact()),
    "rules.stats": ops.RulesStats(),
    "why": ops.Why(cv=ULID),
    "leader.transfer": ops.LeaderTransfer(node="n2"),
    "node.drain": ops.NodeDrain(node="n2"),
    "session.list": ops.SessionList(),
    "session.dismiss": ops.SessionDismiss(do="move", kind="visitor", who="ann"),
    "chaos.start": ops.ChaosStart(key="k8", kind="kill", groups=["n1"]),
    "chaos.stop": ops.ChaosStop(),
    "chaos.status": ops.ChaosStatus(),
}
#                  visitor agent supervisor operator service
MATRIX = {
    "auth":          "yes   yes   yes   yes   yes",
    "pong":          "yes   yes   yes   yes   yes",
    "cv.open":       "yes   no    no    no    yes",
    "cv.get":        "yes   yes   yes   yes   yes",
    "cv.history":    "yes   yes   yes   yes   yes",
    "cv.sub":        "yes   yes   yes   yes   yes",
    "cv.unsub":      "yes   yes   yes   yes   yes",
    "msg.send":      "yes   yes   yes   no    yes",
    "ack":           "yes   yes   yes   yes   yes",
    "read":          "yes   yes   yes   yes   yes",
    "typing":        "yes   yes   yes   yes   yes",
    "status.set":    "no    yes   yes   yes   no",
    "offer.accept":  "no    yes   no    no    no",
    "offer.decline": "no    yes   no    no    no",
    "cv.take":       "no    yes   no    no    no",
    "wrap.done":     "no    yes   no    no    no",
    "cv.transfer":   "no    yes   yes   no    yes",
    "cv.close":      "yes   yes   yes   no    yes",
    "rules.apply":   "no    no    no    yes   no",
    "rules.get":     "no    no    yes   yes   no",
    "members.get":   "no    no    no    yes   no",
    "members.change": "no   no    no    yes   no",
    "user.put":      "no    no    no    yes   no",
    "user.secret":   "no    no    no    yes   no",
    "user.get":      "no    no    no    yes   no",
    "user.list":     "no    no    no    yes   no",
    "user.remove":   "no    no    no    yes   no",
    "token.revoke":  "no    no    no    yes   no",
    "audit.list":    "no    no    no    yes   no",
    "heal.log":      "no    no    yes   yes   no",
    "heal.status":   "no    no    yes   yes   no",
    "cv.rate":       "yes   no    no    no    yes",
    "cv.ratings":    "no    no    yes   yes   no",
    "cv.missed":     "no    no    yes   yes   yes",
    "canned.put":    "no    no    yes   yes   no",
    "canned.remove": "no    no    yes   yes   no",
    "canned.get":    "no    yes   yes   yes   no",
    "canned.list":   "no    yes   yes   yes   no",
    "canned.find":   "no    yes   yes   yes   no",
    "cv.list":       "yes   yes   yes   yes   yes",
    "queue.list":    "no    no    yes   yes   yes",
    "queue.watch":   "no    no    yes   yes   yes",
    "agent.list":    "no    no    yes   yes   yes",
    "cv.tag":        "no    yes   yes   no    yes",
    "cv.attr":       "no    yes   yes   no    yes",
    "cv.invite":     "no    yes   yes   no    yes",
    "cv.leave":      "no    yes   yes   no    no",
    "sup.join":      "no    no    yes   no    no",
    "sup.leave":     "no    no    yes   no    no",
    "msg.edit":      "yes   yes   yes   no    yes",
    "msg.del":       "yes   yes   yes   no    yes",
    "cv.reopen":     "yes   yes   yes   no    yes",
    "rules.history":  "no   no    yes   yes   no",
    "rules.rollback": "no   no    no    yes   no",
    "rules.plan":     "no   no    no    yes   no",
    "rules.simulate": "no   no    yes   yes   no",
    "rules.stats":    "no   no    yes   yes   no",
    "why":            "no   yes   yes   yes   no",
    "leader.transfer": "no  no    no    yes   no",
    "node.drain":      "no  no    no    yes   no",
    "session.list":    "no  no    no    yes   no",
    "session.dismiss": "no  no    no    yes   no",
    "chaos.start":   "no    no    no    yes   no",
    "chaos.stop":    "no    no    no    yes   no",
    "chaos.status":  "no    no    no    yes   no",
}  # fmt: skip


WHOM = (ops.StatusSet, ops.CvInvite, ops.CvLeave)
"""Where `agent` is whom it is about, never who asks."""


@pytest.mark.parametrize("column", range(5), ids=get_args(Role))
async def test_each_role_may_ask_what_the_table_says(column: int) -> None:
    role: Role = get_args(Role)[column]
    assert MATRIX.keys() | {"hello"} == ops.BY_NAME.keys()
    async with office() as desk:
        client = desk.client()
        await client.hello(role, "p1")
        proposed = len(desk.port().submitted)
        for op, row in MATRIX.items():
            reply = await _reply(client, REQUESTS[op])
            refused = reply is not None and reply.code == "forbidden"
            assert refused == (row.split()[column] == "no"), (op, reply)
            if refused:
                assert len(desk.port().submitted) == proposed, f"{op} reached the log"
            proposed = len(desk.port().submitted)


async def _reply(client: Client, request: ops.Request) -> Err | None:
    """The error a request is answered with, if it is."""
    number = client.ask(request)
    await settle()
    with trio.move_on_after(5):
        while client.session.busy:
            await trio.sleep(0.01)
    errors = [reply for reply in client.heard(Err) if reply.id == number]
    return errors[0] if errors else None


def test_the_log_is_never_told_another_principal_than_the_token_proved() -> None:
    """Requests have no field for who acts: it cannot be claimed."""
    for request in get_args(ops.AnyRequest):
        fields = set(request.__struct_fields__)
        assert not {"by", "from_agent", "sender"} & fields
        assert "agent" not in fields or request in WHOM
    assert "by" in SendMessage.__struct_fields__


@pytest.mark.parametrize("role", get_args(Role))
async def test_whatever_a_request_claims_the_log_is_told_the_principal_of_the_token(
    role: Role,
) -> None:
    """Every operation of every role, with every field by which one might pose as somebody else."""
    boss = ["operator", "boss", "Boss"]
    posing = {
        "by": boss,
        "principal": boss,
        "role": "operator",
        "sub": "boss",
        "agent": "boss",
        "visitor": "boss",
        "from": 0,
        "token": "x",
        "node": "n9",
        "as": "boss",
    }
    async with office() as desk:
        desk.cluster.do(PutAccount(By("operator", "olga"), "k", "bo", "agent"))
        seen = 0
        for number, (op, request) in enumerate(REQUESTS.items()):
            client = desk.client()
            me = f"p{number}"  # one agent has no more than 32 sessions
            await client.hello(role, me, name="Me")
            before = len(desk.port().submitted)
            fields = msgspec.to_builtins(request)
            client.say({**posing, **fields, "op": op, "id": 7})
            await settle()
            with trio.move_on_after(5):
                while client.session.busy:
                    await trio.sleep(0.01)
            for command in desk.port().submitted[before:]:
                by = getattr(command, "by", None)
                assert by in (None, By(role, me, "Me")), (op, command)
                seen += by is not None
            client.leave(1000)  # an agent has 32 sessions, those in their grace included
        assert seen


async def test_a_visitor_cannot_speak_as_an_agent() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor("a1"), await desk.agent("a1")
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        # The same id, the fence, and names in the body: what counts is the token.
        body = {"text": "refund granted", "by": {"kind": "agent", "id": "a1"}, "agent": "a1"}
        await visitor.ok(ops.MsgSend(cv=cv, key="m", type="card", body=body, fence=fence))
        said = agent.events(cv)[-1].by
        assert said is not None
        assert said.kind == "visitor"
        for forbidden in (
            ops.StatusSet(status="offline"),
            ops.OfferAccept(oid=ULID, key="k"),
            ops.CvTransfer(cv=cv, key="k", to={"queue": "vip"}),
        ):
            assert (await visitor.err(forbidden)).code == "forbidden"
        hidden = ops.MsgSend(cv=cv, key="m2", body="note", vis="agents")
        assert (await visitor.err(hidden)).code == "forbidden"


async def test_an_agent_does_not_speak_for_a_visitor_of_the_same_id() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor("x"), await desk.agent("x")
        cv = await desk.opened(visitor)
        assert (await agent.err(ops.MsgSend(cv=cv, key="m", body="me too"))).code in (
            "not_owner",
            "forbidden",
        )
        assert (await agent.err(ops.CvHistory(cv=cv))).code == "forbidden"


async def test_a_stranger_neither_reads_nor_writes() -> None:
    async with office() as desk:
        visitor, stranger = await desk.visitor("v1"), await desk.visitor("v2")
        cv = await desk.opened(visitor)
        for request in (
            ops.CvGet(cv=cv),
            ops.CvHistory(cv=cv),
            ops.CvSub(cv=cv),
            ops.MsgSend(cv=cv, key="m", body="x"),
            ops.CvClose(cv=cv, key="c"),
        ):
            assert (await stranger.err(request)).code == "forbidden", request
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="private"))
        assert stranger.heard(Ev) == []
