"""Coming in: who is welcomed, with what, and who is sent away and why."""

import itertools
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cluster.port import Unavailable
from cluster.state import commands
from cluster.state.commands import By
from cluster.state.limits import SESSIONS_PER_AGENT_MAX
from node.auth import mint
from node.desk.opening import WELCOMES_AT_ONCE
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Err, Ping, TokenExpiring, Welcome
from tests.node.desk.office import CLUSTER, KEY, MSGPACK, Client, office, settle, token


def bye_of(client: Client) -> Bye:
    (bye,) = client.heard(Bye)
    assert client.wire.closed is not None
    assert client.wire.closed[0] == bye.code
    return bye


async def test_a_visitor_is_welcomed_with_who_they_are_and_where_else_to_go() -> None:
    async with office() as desk:
        visitor = desk.client()
        welcome = await visitor.hello("visitor", "v1", name="Vera")
        assert welcome.you == {"id": "v1", "role": "visitor", "name": "Vera"}
        assert welcome.node == "n1"
        assert welcome.state == "ok"
        assert [node.id for node in welcome.nodes] == ["n1", "n2"]
        assert welcome.limits["text"] == 16 * 1024
        assert welcome.snap is None
        assert not welcome.resumed


async def test_msgpack_is_spoken_as_well_as_json() -> None:
    async with office() as desk:
        visitor = desk.client(subprotocol=MSGPACK)
        assert (await visitor.hello("visitor", "v1")).you["id"] == "v1"
        cv = await desk.opened(visitor)
        assert visitor.seqs(cv)[:2] == [1, 2]


async def test_an_agent_is_welcomed_once_the_session_is_in_the_log() -> None:
    async with office() as desk:
        agent = desk.client()
        welcome = await agent.hello("agent", "a1", name="Ann", capacity=3, skills={"refund": 2})
        session = desk.port().state.sessions[welcome.sid]
        assert (session.agent, session.node) == ("a1", "n1")
        assert desk.port().state.agents["a1"].skills == {"refund": 2}
        assert welcome.snap is not None
        assert welcome.snap["capacity"] == 3
        assert welcome.snap["cvs"] == []


async def test_whoever_says_nothing_for_five_seconds_is_sent_away(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        silent = desk.client()
        await trio.sleep(4.5)
        assert silent.wire.open
        await trio.sleep(1)
        assert bye_of(silent).code == 4101


async def test_whoever_asks_before_hello_is_refused_and_may_still_say_it() -> None:
    async with office() as desk:
        client = desk.client()
        reply = await client.err(ops.CvOpen(key="k"))
        assert reply.code == "unauthorized"
        await client.hello("visitor", "v1")


async def test_hello_is_said_once() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        reply = await visitor.err(ops.Hello(ver="1", token=token("operator", "o1")))
        assert reply.code == "bad_request"
        assert (await visitor.err(ops.RulesGet())).code == "forbidden"


@pytest.mark.parametrize(
    ("code", "hello"),
    [
        (4105, ops.Hello(ver="2", token=token("visitor", "v1"))),
        (4103, ops.Hello(ver="1", token="nonsense")),
        (
            4103,
            ops.Hello(
                ver="1", token=mint(b"x" * 16, CLUSTER, role="agent", subject="a", ttl_s=900)
            ),
        ),
        (4103, ops.Hello(ver="1", token=mint(KEY, "other", role="agent", subject="a", ttl_s=900))),
        (4102, ops.Hello(ver="1", token=token("visitor", "v1", ttl_s=-60))),
    ],
    ids=["version", "no token", "foreign key", "foreign cluster", "expired"],
)
async def test_a_bad_hello_is_answered_by_a_goodbye_that_says_why(
    code: int, hello: ops.Hello
) -> None:
    async with office() as desk:
        client = desk.client()
        client.say(hello)
        bye = bye_of(client)
        assert bye.code == code
        assert bye.reason
        assert not bye.resume
        assert client.heard(Welcome) == []


@pytest.mark.parametrize("standing", ["starting", "catching_up", "fenced"])
async def test_a_node_without_quorum_sends_clients_to_the_other_nodes(standing: str) -> None:
    async with office() as desk:
        desk.port().stand(standing)  # type: ignore[arg-type]
        client = desk.client()
        client.say(ops.Hello(ver="1", token=token("visitor", "v1")))
        bye = bye_of(client)
        assert bye.code == 4009
        assert bye.resume
        assert [node.id for node in bye.nodes] == ["n2"]


async def test_an_agent_waits_for_a_leader_and_is_then_let_in(autojump_clock: MockClock) -> None:
    async with office() as desk:
        desk.port().unavailable = Unavailable("no_leader", "an election is on")
        agent = desk.client()
        agent.say(ops.Hello(ver="1", token=token("agent", "a1")))
        await trio.sleep(1)
        assert agent.all() == []
        desk.port().unavailable = None
        await trio.sleep(1)
        assert len(agent.heard(Welcome)) == 1


async def test_an_agent_whom_no_leader_lets_in_is_sent_elsewhere(autojump_clock: MockClock) -> None:
    async with office() as desk:
        desk.port().unavailable = Unavailable("no_leader", "an election is on")
        agent = desk.client()
        agent.say(ops.Hello(ver="1", token=token("agent", "a1")))
        await trio.sleep(10)
        assert bye_of(agent).code == 4009


async def test_requests_sent_right_behind_hello_wait_for_the_welcome() -> None:
    async with office() as desk:
        agent = desk.client()
        agent.say(
            ops.Hello(ver="1", token=token("agent", "a1")),
            ops.StatusSet(id=1, status="online"),
            ops.StatusSet(id=2, status="away"),
        )
        assert agent.all() == []
        await settle()
        assert isinstance(agent.all()[0], Welcome)
        agent.answer(1)
        agent.answer(2)
        assert desk.port().state.agents["a1"].status == "away"


async def test_a_broken_socket_starts_the_grace_period_and_a_resume_ends_it() -> None:
    async with office() as desk:
        agent = await desk.agent()
        sid = agent.session.sid
        agent.leave()
        assert desk.port().state.sessions[sid].lost_ms
        back = desk.client("n2")
        welcome = await back.hello("agent", "a1", resume=ops.Resume(sid=sid))
        assert welcome.sid == sid
        assert welcome.resumed
        session = desk.port().state.sessions[sid]
        assert (session.node, session.lost_ms) == ("n2", 0)
        assert desk.port().state.agents["a1"].sessions == (sid,)


async def test_nobody_resumes_the_session_of_another_agent() -> None:
    async with office() as desk:
        agent = await desk.agent("a1")
        thief = desk.client("n2")
        welcome = await thief.hello("agent", "a2", resume=ops.Resume(sid=agent.session.sid))
        assert welcome.sid != agent.session.sid
        assert desk.port().state.sessions[agent.session.sid].agent == "a1"
        assert agent.wire.open


@pytest.mark.parametrize("code", [1000, 4109])
async def test_a_client_that_logs_out_leaves_no_session(code: int) -> None:
    async with office() as desk:
        agent = await desk.agent()
        agent.leave(code)
        assert desk.port().state.sessions == {}


async def test_a_session_that_goes_on_elsewhere_closes_the_old_socket() -> None:
    async with office() as desk:
        agent = await desk.agent()
        again = desk.client("n2")
        await again.hello("agent", "a1", resume=ops.Resume(sid=agent.session.sid))
        assert bye_of(agent).code == 4107
        agent.hang_up()
        assert desk.port().state.sessions[agent.session.sid].lost_ms == 0


async def test_a_session_resumed_at_its_own_node_is_not_lost_by_the_old_socket() -> None:
    async with office() as desk:
        agent = await desk.agent()
        again = desk.client("n1")
        await again.hello("agent", "a1", resume=ops.Resume(sid=agent.session.sid))
        assert bye_of(agent).code == 4107
        agent.hang_up()
        assert desk.port().state.sessions[agent.session.sid].lost_ms == 0
        assert again.wire.open


async def test_a_session_that_ended_in_the_log_sends_its_client_back_to_hello() -> None:
    async with office() as desk:
        agent = await desk.agent()
        desk.cluster.do(commands.CloseSession(agent.session.sid))
        bye = bye_of(agent)
        assert bye.code == 4008
        assert bye.resume


async def test_the_end_of_a_session_is_proposed_until_it_has_an_outcome(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        agent = await desk.agent()
        sid = agent.session.sid
        desk.port().unavailable = Unavailable("no_leader", "an election is on")
        agent.leave()
        await trio.sleep(3)
        assert desk.port().state.sessions[sid].lost_ms == 0
        desk.port().unavailable = None
        await trio.sleep(1.5)
        assert desk.port().state.sessions[sid].lost_ms > 0
        proposed = len(desk.port().submitted)
        await trio.sleep(3)
        assert len(desk.port().submitted) == proposed, "it goes on proposing"


async def test_a_live_session_that_the_log_lost_is_opened_again(autojump_clock: MockClock) -> None:
    async with office() as desk:
        agent = await desk.agent()
        desk.cluster.do(commands.LoseNode("n1", desk.port().boot))
        assert desk.port().state.sessions[agent.session.sid].lost_ms > 0
        await trio.sleep(2)
        assert desk.port().state.sessions[agent.session.sid].lost_ms == 0
        assert agent.wire.open


async def test_who_leaves_while_the_session_is_opened_leaves_no_live_session() -> None:
    async with office() as desk:
        desk.port().held = True
        agent = desk.client()
        agent.say(ops.Hello(ver="1", token=token("agent", "a1")))
        await trio.lowlevel.checkpoint()
        agent.leave()
        desk.port().release()
        await settle()
        assert all(session.lost_ms for session in desk.port().state.sessions.values())


async def test_the_end_of_a_token_is_announced_and_then_comes(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitor = desk.client()
        await visitor.hello("visitor", "v1", ttl_s=100)
        await trio.sleep(35)
        assert visitor.heard(TokenExpiring) == []
        await trio.sleep(10)
        (expiring,) = visitor.heard(TokenExpiring)
        assert expiring.exp % 1000 == 0
        await trio.sleep(50)
        assert visitor.wire.open
        await trio.sleep(10)
        assert bye_of(visitor).code == 4102


async def test_a_newer_token_keeps_the_connection(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitor = desk.client()
        await visitor.hello("visitor", "v1", ttl_s=100)
        await trio.sleep(50)
        result = await visitor.ok(ops.Auth(token=token("visitor", "v1", ttl_s=3600)))
        assert result["exp"] > 10**12
        await trio.sleep(100)
        assert visitor.wire.open


@pytest.mark.parametrize(
    "other",
    [token("visitor", "v2"), token("agent", "v1"), "nonsense", token("visitor", "v1", ttl_s=-60)],
)
async def test_a_connection_does_not_become_somebody_else(other: str) -> None:
    async with office() as desk:
        visitor = await desk.visitor("v1")
        assert (await visitor.err(ops.Auth(token=other))).code == "unauthorized"
        assert visitor.session.principal is not None
        assert visitor.session.principal.by == By("visitor", "v1", "Vera")


async def test_a_quiet_client_is_pinged_so_that_it_knows_the_node_lives(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor = desk.client()
        welcome = await visitor.hello("visitor", "v1")
        await trio.sleep(2 * welcome.ping_ms / 1000 + 1)
        assert len(visitor.heard(Ping)) == 2
        visitor.say(ops.Pong())
        assert visitor.heard(Err) == []


async def test_an_agent_with_too_many_sessions_is_told_so() -> None:
    async with office() as desk:
        for _ in range(SESSIONS_PER_AGENT_MAX):
            await desk.client().hello("agent", "a1")
        late = desk.client()
        late.say(ops.Hello(ver="1", token=token("agent", "a1")))
        await settle()
        assert bye_of(late).code == 4106
        late.hang_up()
        assert len(desk.port().state.sessions) == SESSIONS_PER_AGENT_MAX


async def test_an_opening_that_comes_late_leaves_the_living_alone() -> None:
    """A socket to n2 was given up while its opening was on its way; the agent is at n1 again."""
    async with office() as desk:
        agent = await desk.agent(node="n1")
        sid = agent.heard(Welcome)[0].sid
        agent.leave(1006)
        far, late = desk.port("n2"), []
        submit = far.submit
        far.submit = lambda *arguments: late.append(arguments)  # type: ignore[method-assign]
        hello = ops.Hello(
            ver="1",
            token=token("agent", "a1", name="Ann", capacity=5),
            resume=ops.Resume(sid, CLUSTER, []),
        )
        given_up = desk.client("n2")
        given_up.say(hello)
        await settle()
        given_up.leave(1006)
        living = desk.client("n1")
        living.say(hello)
        await settle()
        far.submit = submit  # type: ignore[method-assign]
        assert late
        for arguments in late:
            submit(*arguments)
        await settle()
        assert living.heard(Welcome)
        assert living.wire.closed is None
        session = desk.port().state.sessions[sid]
        assert (session.node, session.lost_ms) == ("n1", 0)


async def test_an_opening_that_saw_an_old_place_looks_again() -> None:
    async with office() as desk:
        agent = await desk.agent(node="n1")
        sid = agent.heard(Welcome)[0].sid
        agent.leave(1006)
        port = desk.port("n2")
        submit = port.submit
        moved: list[commands.Command] = []

        def move_first(command: commands.Command, *rest: Any) -> None:
            if isinstance(command, commands.OpenSession) and not moved:
                moved.append(command)
                elsewhere = replace(command, node="n1", boot=desk.port("n1").boot)
                desk.port("n1").submit(elsewhere, lambda _: None)
            submit(command, *rest)

        port.submit = move_first  # type: ignore[method-assign, assignment]
        client = desk.client("n2")
        client.say(
            ops.Hello(
                ver="1",
                token=token("agent", "a1", name="Ann", capacity=5),
                resume=ops.Resume(sid, CLUSTER, []),
            )
        )
        await settle()
        assert moved
        assert client.heard(Welcome)
        assert desk.port().state.sessions[sid].node == "n2"


async def test_a_crowd_that_resumes_is_let_in_a_few_at_a_time() -> None:
    async with office() as desk:
        crowd = [desk.client() for _ in range(3 * WELCOMES_AT_ONCE)]
        for number, client in enumerate(crowd):
            who = token("supervisor", f"s{number}")
            client.say(ops.Hello(ver="1", token=who, resume=ops.Resume(sid="x", cvs=[])))
        welcomed = [0]
        with trio.fail_after(30):
            while welcomed[-1] < len(crowd):
                await trio.lowlevel.checkpoint()
                welcomed.append(sum(client.session.live for client in crowd))
        steps = [after - before for before, after in itertools.pairwise(welcomed)]
        assert max(steps) <= WELCOMES_AT_ONCE
