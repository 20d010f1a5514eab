"""One message of every kind, and how it looks on the wire in both encodings.

    python -m tests.node.golden.samples     writes `v1.txt` anew

`v1.txt` is frozen: clients in the field speak it.  A line may be added; one that changes breaks
them, and needs another version of the protocol.
"""

from pathlib import Path

from cluster.state.commands import By
from node.protocol import catalogue as ops
from node.protocol.codec import JSON, MSGPACK
from node.protocol.results import QueueRow

FILE = Path(__file__).parent / "v1.txt"
CV = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OID = "01ARZ3NDEKTSV4RRFFQ69G5FAW"
MID = "01ARZ3NDEKTSV4RRFFQ69G5FAX"
SID = "01ARZ3NDEKTSV4RRFFQ69G5FAY"
AT = 1_760_000_000_000
N2 = ops.NodeAddress(id="n2", url="ws://127.0.0.1:7102/v1/ws")

REQUESTS: tuple[ops.Request, ...] = (
    ops.Hello(
        id=1,
        ver="1",
        token="t",
        client={"name": "widget"},
        lang="zh",
        resume=ops.Resume(sid=SID, epoch="demo", cvs=[(CV, 7)]),
    ),
    ops.Auth(id=2, token="t"),
    ops.CvOpen(
        id=3,
        key="k1",
        lang="zh",
        tags={"arpu": 6200.5, "vip": True},
        attrs={"intent": "refund"},
        hint={"queue": "refunds"},
        text="你好",
    ),
    ops.CvGet(id=4, cv=CV),
    ops.CvHistory(id=5, cv=CV, after=3, limit=50),
    ops.CvSub(id=6, cv=CV, from_=4),
    ops.CvUnsub(id=7, cv=CV),
    ops.MsgSend(id=8, cv=CV, key="k2", body="hello", fence=2, after=9),
    ops.MsgSend(id=9, cv=CV, key="k3", type="card", body={"title": "Bill"}, vis="agents"),
    ops.Ack(cv=CV, seq=8),
    ops.Read(cv=CV, seq=8),
    ops.Typing(cv=CV, on=True, text="hel"),
    ops.StatusSet(id=10, status="away", reason="lunch"),
    ops.OfferAccept(id=11, oid=OID, key="k4"),
    ops.OfferDecline(id=12, oid=OID, reason="busy"),
    ops.CvTransfer(id=13, cv=CV, key="k5", to={"queue": "vip"}, note="angry", fence=2),
    ops.CvClose(id=14, cv=CV, key="k6", reason="solved"),
    ops.RulesApply(id=15, files={"main.toml": "[fallback]\n"}, rev_expected=3),
    ops.RulesGet(id=16),
    ops.MembersGet(id=17),
    ops.MembersChange(id=18, change="replace", node="n2", new="n4", address="10.0.0.4:7201"),
    ops.Pong(),
    ops.UserPut(
        id=19,
        key="k7",
        user="ada",
        kind="agent",
        name="Ada",
        skills={"refund": 3},
        capacity=4,
        disabled=False,
        secret="correct horse battery",
        rev_expected=0,
    ),
    ops.UserSecret(id=20, key="k8", user="pos", secret="correct horse battery", keep=True),
    ops.UserGet(id=21, user="ada"),
    ops.UserList(id=22, after="ada", limit=50),
    ops.UserRemove(id=23, key="k9", user="ada"),
    ops.TokenRevoke(id=24, key="k10", jti="00112233", exp=AT),
    ops.TokenRevoke(id=25, key="k11", kind="agent", user="ada"),
    ops.AuditList(id=26, after="1760000000000.1", limit=50),
    ops.CvRate(id=27, cv=CV, key="k12", score=4, text="quick"),
    ops.CvRatings(id=28, days=30, rows="owner", queue="vip", owner="ada"),
    ops.CvMissed(id=29, list="callback", queue="vip", why="abandoned", after=f"{AT}.{CV}", limit=9),
    ops.CannedPut(
        id=30,
        key="k13",
        shortcut="hi",
        title="A greeting",
        texts={"en": "Hello {{visitor.name}}", "zh": "您好"},
        queues=["vip"],
        rev_expected=2,
    ),
    ops.CannedRemove(id=31, key="k14", shortcut="hi", rev_expected=3),
    ops.CannedGet(id=32, shortcut="hi"),
    ops.CannedList(id=33, after="hi", limit=50),
    ops.CannedFind(id=34, q="退款", lang="zh", cv=CV, queue="vip", limit=5),
    ops.CvList(
        id=27,
        filter=ops.ConversationFilter(state="open", queue="refunds", tags={"vip": True}, q="退款"),
        cursor=f"{AT}.{CV}",
        limit=20,
        order="oldest",
    ),
    ops.QueueList(id=28, queues=["refunds"]),
    ops.QueueWatch(id=29, queues=["refunds"]),
    ops.AgentList(id=30, queue="refunds", status="online", here=True, after="ada", limit=50),
    ops.CvTag(id=27, cv=CV, set={"topic": "refund"}, unset=["vip"]),
    ops.CvAttr(id=28, cv=CV, set={"order": 4711}),
    ops.CvInvite(id=29, cv=CV, agent="li", note="knows the till"),
    ops.CvLeave(id=30, cv=CV),
    ops.SupJoin(id=31, cv=CV, mode="whisper"),
    ops.SupLeave(id=32, cv=CV),
    ops.MsgEdit(id=33, cv=CV, mid=MID, key="k12", body="hello!"),
    ops.MsgDel(id=34, cv=CV, mid=MID, key="k13"),
    ops.CvReopen(id=35, cv=CV, key="k14"),
    ops.StatusSet(id=36, status="away", reason="lunch", until=AT, agent="li"),
    ops.CvTransfer(id=37, cv=CV, key="k15", to={"agent": "li"}, warm=True, keep=True),
    ops.CvTransfer(id=38, cv=CV, key="k16", to={"rule": ""}),
    ops.CvTake(id=27, cv=CV, key="k12"),
    ops.WrapDone(id=28, cv=CV),
    ops.RulesHistory(id=29),
    ops.RulesRollback(id=30, rev=3, rev_expected=5),
    ops.RulesPlan(id=31, files={"main.toml": "[fallback]\n"}, after=500, until=9_000, since=AT),
    ops.RulesSimulate(id=32, contact=ops.Contact(channel="web", tags={"arpu": 6200.5})),
    ops.RulesSimulate(id=33, cv=CV, files={"main.toml": "[fallback]\n"}),
    ops.RulesStats(id=34),
    ops.Why(id=35, cv=CV, at=4),
    ops.LeaderTransfer(id=70, node="n2"),
    ops.NodeDrain(id=71, node="n2", undrain=True),
    ops.SessionList(id=72, limit=50, after=SID),
    ops.SessionDismiss(id=73, do="move", sid=SID, to="n2"),
    ops.SessionDismiss(id=74, do="close", kind="visitor", who="ann"),
    ops.ChaosStart(id=60, key="k60", kind="partition", zone="dc2", for_ms=30_000, clients=True),
    ops.ChaosStop(id=61, faults=[OID]),
    ops.ChaosStatus(id=62),
    ops.HealLog(id=36, node="n1", rule=9, before=f"{AT}.1", limit=50),
    ops.HealStatus(id=37),
)

ANSWERS: tuple[ops.Reply | ops.Push, ...] = (
    ops.Ok(id=8, r={"seq": 10, "mid": MID, "ts": AT, "dup": True}),
    ops.Err(id=9, code="minority", msg="no quorum", retry=True, after=250, data={"nodes": []}),
    ops.Welcome(
        sid=SID,
        epoch="demo",
        node="n1",
        you={"id": "v1", "role": "visitor", "name": "王五"},
        resumed=True,
        ping_ms=25_000,
        now=AT,
        limits={"frame": 65_536},
        nodes=[N2],
        state="ok",
        snap={"status": "online", "load": 1, "capacity": 3, "cvs": []},
    ),
    ops.Ev(
        cv=CV,
        seq=2,
        type="msg",
        by=By("visitor", "v1", "王五"),
        ts=AT,
        mid=MID,
        data={"type": "text", "body": "你好"},
    ),
    ops.Ev(cv=CV, seq=3, type="hidden", ts=AT),
    ops.Caught(cv=CV, seq=3),
    ops.Gap(cv=CV, have=1, first=5, last=9),
    ops.Receipt(cv=CV, who="a1", recv=3, read=2, kind="agent"),
    ops.TypingPush(cv=CV, who="v1", on=True, text="hel", kind="visitor"),
    ops.OfferPush(
        oid=OID,
        cv=CV,
        queue="vip",
        prio=80,
        exp=AT + 20_000,
        ttl=20_000,
        why={"rule": "vip_user", "rev": 3},
        cust={"name": "王五"},
        preview="你好",
    ),
    ops.OfferGonePush(oid=OID, why="timeout"),
    ops.Inbox(status="online", load=1, capacity=3),
    ops.RulesPush(rev=4, by="Olga"),
    ops.ClusterPush(state="degraded", leader="n2", nodes=[N2]),
    ops.TokenExpiring(exp=AT),
    ops.Bye(
        code=4009,
        reason="no quorum",
        resume=True,
        retry={"min_ms": 0, "max_ms": 250},
        nodes=[N2],
    ),
    ops.Ping(),
    ops.ClusterPush(state="ok", leader="n1", nodes=[N2], draining=["n3"]),
    ops.Bye(code=4109, reason="revoked", resume=False, rule="token.revoked"),
    ops.QueueAlertPush(queue="vip", staffed=False, since=AT),
    ops.QueuePush(cv=CV, pos=3, of=9, eta_s=120, conf="low"),
    ops.QueueRowsPush(
        rows=[
            QueueRow(
                queue="refunds",
                waiting=9,
                oldest=AT,
                offered=1,
                assigned=4,
                available=0,
                full=2,
                away=1,
                answered=40,
                in_time=75,
                handle_s=310,
                eta_s=780,
                conf="high",
            )
        ],
        now=AT + 60_000,
    ),
    ops.PresencePush(
        who="li", name="李雷", status="away", since=AT, src="user", reason="lunch", until=AT
    ),
    ops.ViewersPush(cv=CV, list_=[ops.Viewer(kind="agent", id="li", name="李雷")]),
    ops.OfferPush(
        oid=OID,
        cv=CV,
        queue="vip",
        prio=80,
        exp=AT + 30_000,
        ttl=30_000,
        why={"by": "Ada"},
        cust={"name": "王五"},
        preview="你好",
        asks="join",
        note="knows the till",
    ),
)


def lines() -> list[str]:
    """Return the corpus: per sample its JSON, and its msgpack in hexadecimal."""
    made = []
    for sample in (*REQUESTS, *ANSWERS):
        made.append(JSON.encode(sample).decode())
        made.append(MSGPACK.encode(sample).hex())
    return made


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n")
