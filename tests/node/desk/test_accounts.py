"""Operators' doings with accounts and tokens, and what others feel of it at once, everywhere."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, get_args

import jwt
import pytest
import trio

from cluster.state import commands
from cluster.state.commands import By
from node.auth import claimed
from node.desk.calls import OPERATIONS
from node.desk.event_stream import PATH as EVENTS_PATH
from node.desk.looks import AGAIN_S
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Err, Role
from node.protocol.codec import JSON
from node.protocol.codes import Close
from tests.node.desk.office import Client, Office, office, settle, token
from tests.node.desk.test_access import MATRIX, REQUESTS
from tests.node.desk.test_calls import Caller
from tests.node.desk.test_event_stream import Listener
from tests.node.desk.test_over_sockets import listening

SECRET = "correct horse battery"
OLGA = By("operator", "olga")


@asynccontextmanager
async def today(*nodes: str) -> AsyncIterator[Office]:
    """An office whose cluster has the time of the tokens that it is shown."""
    async with office(*nodes) as desk:
        desk.cluster.now_ms = int(time.time() * 1000)
        yield desk


async def asked(client: Client, request: ops.Request) -> Any:
    """Ask, and wait for what needs a thread."""
    number = client.ask(request)
    with trio.fail_after(30):
        while client.session.busy:
            await trio.sleep(0.005)
    await settle()
    return client.answer(number)


def the_bye(client: Client) -> tuple[int, str]:
    (bye,) = client.heard(Bye)
    assert client.wire.closed is not None
    assert client.wire.closed[0] == bye.code
    return bye.code, bye.rule


async def test_an_operator_makes_changes_and_removes_an_account() -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        put = ops.UserPut(key="k1", user="ada", kind="agent", name="Ada", secret=SECRET)
        reply = await asked(olga, put)
        assert reply.r == {"user": "ada", "rev": 1}
        again = await asked(olga, ops.UserPut(key="k1", user="ada", kind="agent", name="Ada"))
        assert again.r == {"user": "ada", "rev": 1, "dup": True}
        await olga.ok(ops.UserPut(key="k2", user="ada", skills={"vip": 3}, capacity=4))
        found = (await olga.ok(ops.UserGet(user="ada")))["user"]
        assert found["skills"] == {"vip": 3}
        assert (found["kind"], found["capacity"], found["secrets"]) == ("agent", 4, 1)
        await olga.ok(ops.UserPut(key="k3", user="bob", kind="service"))
        page = await olga.ok(ops.UserList(limit=1))
        assert ([one["user"] for one in page["users"]], page["more"]) == (["ada"], True)
        page = await olga.ok(ops.UserList(after="ada"))
        assert ([one["user"] for one in page["users"]], page["more"]) == (["bob"], False)
        await olga.ok(ops.UserRemove(key="k4", user="ada"))
        assert (await olga.err(ops.UserGet(user="ada"))).code == "not_found"


async def test_no_answer_event_or_log_entry_ever_holds_a_secret() -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        await asked(olga, ops.UserPut(key="k1", user="ada", kind="service", secret=SECRET))
        await asked(olga, ops.UserSecret(key="k2", user="ada", secret=SECRET + "!", keep=True))
        await olga.ok(ops.UserGet(user="ada"))
        await olga.ok(ops.UserList())
        await olga.ok(ops.AuditList())
        said = b"".join(olga.wire.frames)
        assert b"ada" in said
        assert SECRET.encode() not in said
        assert b"argon2" not in said
        assert SECRET.encode() not in b"".join(desk.cluster.entries)
        assert len(desk.port("n2").state.accounts["ada"].secrets) == 2
        await olga.ok(ops.UserSecret(key="k3", user="ada", keep=True))
        assert len(desk.port("n2").state.accounts["ada"].secrets) == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ops.UserPut(key="k", user="", kind="agent"), "bad_request"),
        (ops.UserPut(key="k", user="a:b", kind="agent"), "bad_request"),
        (ops.UserPut(key="k", user="a\nb", kind="agent"), "bad_request"),
        (ops.UserPut(key="k", user="x" * 257, kind="agent"), "too_large"),
        (ops.UserPut(key="", user="a", kind="agent"), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", secret="short"), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", secret="x" * 2000), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", secret=""), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", skills={"a": 101}), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", skills={"a": -1}), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", skills={"": 1}), "bad_request"),
        (ops.UserPut(key="k", user="a", kind="agent", capacity=0), "bad_request"),
        (ops.UserPut(key="k", user="a"), "not_found"),
        (ops.UserSecret(key="k", user="nobody", secret=SECRET), "not_found"),
        (ops.UserSecret(key="k", user="nobody", keep=True), "not_found"),
        (ops.TokenRevoke(key="k"), "bad_request"),
        (ops.TokenRevoke(key="k", kind="agent"), "bad_request"),
        (ops.TokenRevoke(key="k", user="ada"), "bad_request"),
        (ops.TokenRevoke(key="k", jti="x"), "bad_request"),
        (ops.TokenRevoke(key="k", token="no token"), "bad_request"),
        (ops.TokenRevoke(key="k", token="x" * 9000), "bad_request"),
        (ops.TokenRevoke(key="k", jti="x", exp=1_000), "conflict"),
        (ops.TokenRevoke(key="k", jti="x", exp=5, kind="agent", user="a"), "bad_request"),
        (ops.AuditList(after="yesterday"), "bad_request"),
        (ops.AuditList(after="-1"), "bad_request"),
    ],
)
async def test_what_makes_no_sense_is_refused(request_: ops.Request, code: str) -> None:
    async with today() as desk:
        reply = await asked(await desk.staff("operator"), request_)
        assert isinstance(reply, Err)
        assert reply.code == code
        assert desk.port().state.accounts == {}


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000", "\U0001f511", "ж" * 200])
async def test_names_of_any_script_are_refused_or_kept_as_they_are(text: str) -> None:
    async with today() as desk, listening(desk.desks["n1"]) as port:
        olga = Caller(port, "operator", "olga")
        body = f'{{"key": "k", "user": "{text}", "kind": "agent", "name": "{text}"}}'
        heard = await olga.call("user.put", body.encode())
        if heard.status == 200:
            assert list(desk.port("n2").state.accounts) == [text]
        else:
            assert heard.body["code"] in ("bad_request", "too_large")
            assert desk.port().state.accounts == {}


async def test_a_revoked_token_ends_its_connection_at_every_node_and_opens_none() -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        ada = token("agent", "ada")
        here, there = desk.client("n1"), desk.client("n2")
        for client in (here, there):
            client.say(ops.Hello(ver="1", token=ada))
        other = await desk.agent("ada", "n2")
        await settle()
        await olga.ok(ops.TokenRevoke(key="k", token=ada))
        for client in (here, there):
            assert the_bye(client) == (Close.LOGGED_OUT, "token.revoked")
        assert other.heard(Bye) == [], "another token of the same principal"
        late = desk.client("n2")
        late.say(ops.Hello(ver="1", token=ada))
        await settle()
        assert the_bye(late) == (Close.LOGGED_OUT, "token.revoked")


async def test_an_agent_who_is_logged_out_is_gone_at_once_and_their_work_goes_on() -> None:
    async with today() as desk:
        olga, visitor, agent = (
            await desk.staff("operator"),
            await desk.visitor(),
            await desk.agent("ada", "n2"),
        )
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent, "ada")
        await olga.ok(ops.TokenRevoke(key="k", kind="agent", user="ada"))
        assert the_bye(agent) == (Close.LOGGED_OUT, "token.revoked")
        agent.hang_up()
        await settle()
        assert desk.port().state.sessions == {}
        assert desk.port().state.conversations[cv].state == "waiting"


@pytest.mark.parametrize("role", get_args(Role))
async def test_all_tokens_of_a_principal_are_revoked_whatever_its_role(role: Role) -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        one, namesake = desk.client("n2"), desk.client("n2")
        await one.hello(role, "x")
        await namesake.hello("visitor" if role != "visitor" else "agent", "x")
        await olga.ok(ops.TokenRevoke(key="k", kind=role, user="x"))
        assert the_bye(one) == (Close.LOGGED_OUT, "token.revoked")
        assert namesake.heard(Bye) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (ops.UserPut(key="k", user="ada", disabled=True), "account.disabled"),
        (ops.UserPut(key="k", user="ada", kind="supervisor"), "token.revoked"),
        (ops.UserPut(key="k", user="ada", secret=SECRET + "?"), "token.revoked"),
        (ops.UserSecret(key="k", user="ada", secret=SECRET + "?"), "token.revoked"),
        (ops.UserRemove(key="k", user="ada"), "token.revoked"),
    ],
)
async def test_who_may_no_more_is_sent_away(change: ops.Request, rule: str) -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        await olga.ok(ops.UserPut(key="k0", user="ada", kind="agent"))
        ada = await desk.agent("ada", "n2")
        await asked(olga, change)
        assert the_bye(ada) == (Close.LOGGED_OUT, rule)


async def test_new_skills_count_at_once_and_nobody_is_sent_away() -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        await olga.ok(ops.UserPut(key="k0", user="ada", kind="agent", capacity=2))
        ada = await desk.agent("ada", "n2")
        assert desk.port().state.agents["ada"].capacity == 2, "not the 5 of the token"
        await olga.ok(ops.UserPut(key="k1", user="ada", capacity=7, skills={"vip": 1}))
        assert desk.port().state.agents["ada"].capacity == 7
        assert ada.heard(ops.Inbox)[-1].capacity == 7
        assert ada.heard(Bye) == []


async def test_a_token_revoked_while_its_bearer_waits_to_be_let_in_lets_nobody_in() -> None:
    async with today() as desk:
        port = desk.port("n1")
        other = desk.client("n1")
        port.held = True
        other.say(ops.Hello(ver="1", token=token("agent", "bob")))
        await settle()
        assert other.heard(ops.Welcome) == []
        desk.cluster.commit(
            desk.port("n2"), commands.RevokeTokens(OLGA, "k2", "agent", "bob"), lambda _: None
        )
        port.release()
        await settle()
        assert other.heard(ops.Welcome) == []
        assert the_bye(other) == (Close.LOGGED_OUT, "token.revoked")


async def test_a_node_that_jumps_to_a_snapshot_sends_away_whom_it_revokes() -> None:
    async with today() as desk:
        port = desk.port("n2")
        ada = await desk.agent("ada", "n2")
        port.held = True
        desk.cluster.do(commands.RevokeTokens(OLGA, "k", "agent", "ada"))
        assert ada.heard(Bye) == []
        port.install_snapshot_of(desk.port("n1"))
        assert the_bye(ada) == (Close.LOGGED_OUT, "token.revoked")


async def test_a_connection_is_not_renewed_by_a_revoked_token() -> None:
    async with today() as desk:
        ada = await desk.agent("ada")
        newer = token("agent", "ada")
        jti, exp_s = claimed(newer)
        desk.cluster.do(commands.RevokeTokens(OLGA, "k", jti=jti, exp_s=exp_s))
        refused = await ada.err(ops.Auth(token=newer))
        assert (refused.code, refused.data["rule"]) == ("unauthorized", "token.revoked")
        other = await ada.err(ops.Auth(token=token("agent", "bob")))
        assert other.data["rule"] == "token.other_principal"
        assert await ada.ok(ops.Auth(token=token("agent", "ada")))


async def test_by_http_a_revoked_token_gets_nothing_and_its_event_stream_ends() -> None:
    async with today() as desk, listening(desk.desks["n1"]) as port:
        crm, olga = Caller(port), Caller(port, "operator", "olga")
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        listener = Listener(stream)
        await listener.ask(crm.token)
        assert listener.status == 200
        revoked = await olga.call("token.revoke", {"key": "k", "token": crm.token})
        assert revoked.status == 200, revoked.body
        events = await listener.until("bye")
        assert (events[-1].data["code"], events[-1].data["rule"]) == (4109, "token.revoked")
        heard = await crm.call("cv.open", {"key": "k"})
        assert (heard.status, heard.body["data"]) == (401, {"rule": "token.revoked"})
        assert "invalid_token" in heard.headers["www-authenticate"]
        await trio.aclose_forcefully(stream)
        disabled = {"key": "k2", "user": "bot", "kind": "service", "disabled": True}
        assert (await olga.call("user.put", disabled)).status == 200
        heard = await Caller(port, "service", "bot").call("cv.open", {"key": "k"})
        assert (heard.status, heard.body["data"]) == (403, {"rule": "account.disabled"})
        assert EVENTS_PATH == "/v1/events"


async def test_a_refusal_names_its_rule_by_websocket_and_by_http_alike() -> None:
    async with today() as desk, listening(desk.desks["n1"]) as port:
        for column, role in enumerate(get_args(Role)):
            client, caller = desk.client(), Caller(port, role, "p1")
            await client.hello(role, "p1")
            for op, row in MATRIX.items():
                if row.split()[column] == "yes":
                    continue
                refused = await client.err(REQUESTS[op])
                assert (refused.code, refused.data) == ("forbidden", {"rule": "role"}), op
                if op in OPERATIONS:
                    body = JSON.encode(REQUESTS[op])
                    heard = await caller.call(op, body)
                    assert (heard.status, heard.body["data"]) == (403, refused.data), op


KEY = b"sixteen bytes ok".ljust(32, b"\0")


def forged(key: bytes = KEY, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": "unidesk", "aud": "demo", "sub": "a", "role": "agent", "exp": now + 60}
    return jwt.encode(claims | changes, key, algorithm="HS256")


@pytest.mark.parametrize(
    ("make", "code", "rule"),
    [
        (lambda: "", Close.UNAUTHORIZED, "token.malformed"),
        (lambda: "x" * 9_000, Close.UNAUTHORIZED, "token.malformed"),
        (lambda: forged(b"another key!" * 3), Close.UNAUTHORIZED, "token.signature"),
        (lambda: forged(aud="other"), Close.UNAUTHORIZED, "token.audience"),
        (lambda: forged(iss="other"), Close.UNAUTHORIZED, "token.issuer"),
        (lambda: forged(role="admin"), Close.UNAUTHORIZED, "token.claims"),
        (lambda: forged(sub=""), Close.UNAUTHORIZED, "token.claims"),
        (lambda: forged(jti="x" * 257), Close.UNAUTHORIZED, "token.claims"),
        (lambda: forged(jti="\ud800"), Close.UNAUTHORIZED, "token.claims"),
        (lambda: forged(iat="now"), Close.UNAUTHORIZED, "token.claims"),
        (lambda: forged(nbf=int(time.time()) + 600), Close.UNAUTHORIZED, "token.not_yet"),
        (lambda: forged(exp=1), Close.TOKEN_EXPIRED, "token.expired"),
    ],
)
async def test_a_token_that_is_none_is_refused_by_the_rule_it_broke(
    make: Callable[[], str], code: Close, rule: str
) -> None:
    bearer = make()  # only now: a suite takes longer than such a token lives
    async with today() as desk, listening(desk.desks["n1"]) as port:
        client = desk.client()
        client.say(ops.Hello(ver="1", token=bearer))
        await settle()
        assert the_bye(client) == (code, rule)
        caller = Caller(port)
        caller.token = bearer or "none"
        heard = await caller.call("cv.open", {"key": "k"})
        assert (heard.status, heard.body["data"]["rule"]) == (401, rule)


async def test_the_audit_log_is_read_by_cursor_without_a_line_lost_or_twice() -> None:
    async with today() as desk:
        olga = await desk.staff("operator")
        for number in range(12):
            together = [
                commands.AddAudit(OLGA, "conversation.read", {"cv": f"{number}.{which}"})
                for which in range(number % 3 + 1)
            ]
            desk.cluster.do_together(*together)
        wanted = [record.detail for record in desk.port().state.audit]
        found, after = [], "0"
        for _ in range(100):
            page = await olga.ok(ops.AuditList(after=after, limit=2))
            assert len(page["lines"]) <= 2
            assert not page["gap"]
            found += [line["detail"] for line in page["lines"]]
            after = page["next"]
            if not page["more"]:
                break
        assert found == wanted
        newest = await olga.ok(ops.AuditList(limit=3))
        assert [line["detail"] for line in newest["lines"]] == wanted[-3:]
        assert newest["next"] == after
        assert (await olga.ok(ops.AuditList(after=after)))["lines"] == []


async def test_who_looks_into_a_conversation_without_a_part_in_it_is_written_down() -> None:
    async with today() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor")
        agent, service = await desk.agent(), await desk.staff("service")
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        for client in (visitor, agent, service, boss):
            await client.ok(ops.CvGet(cv=cv))
            await client.ok(ops.CvHistory(cv=cv))
        await boss.ok(ops.CvSub(cv=cv))
        looks = [line for line in desk.port().state.audit if line.what == "conversation.read"]
        assert [(line.by.id, line.detail) for line in looks] == [
            ("supervisor-1", {"cv": cv, "node": "n1"})
        ]
        resuming = desk.client("n2")
        resume = ops.Resume(epoch="demo", cvs=[(cv, 1)])
        await resuming.hello("supervisor", "sam", resume=resume)
        assert desk.port().state.audit[-1].by.id == "sam"
        assert AGAIN_S > 0


async def test_changes_of_rules_and_members_are_in_the_audit_log_with_their_node() -> None:
    async with today() as desk:
        olga = await desk.staff("operator", "n1")
        rules = '[ruleset]\nversion = 1\n[queue.desk]\naccept = "9s"\n[fallback]\nroute = "desk"\n'
        await asked(olga, ops.RulesApply(files={"main.toml": rules}))
        await asked(olga, ops.MembersChange(change="remove", node="n2"))
        lines = {line.what: line for line in desk.port().state.audit}
        assert lines["rules.apply"].detail["node"] == "n1"
        assert lines["members.change"].by.id == "operator-1"
        assert lines["members.change"].detail == {
            "change": "remove",
            "member": "n2",
            "node": "n1",
        }
