"""What can be asked: each operation as it should go, and refused."""

from typing import Any

import pytest

from cluster.port import Unavailable
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Err, OfferGonePush, OfferPush, Ok
from tests.node.desk.office import JSON, office, settle
from tests.node.golden import samples

ULID = samples.CV


async def test_a_visitor_opens_a_conversation_and_is_told_its_events() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        result = await visitor.ok(ops.CvOpen(key="k", text="hi", tags={"arpu": 6200}, lang="zh"))
        cv = result["cv"]
        conversation = desk.port().state.conversations[cv]
        assert (conversation.visitor, conversation.lang) == ("v1", "zh")
        assert conversation.tags == {"arpu": 6200}
        assert [event.type for event in visitor.events(cv)] == ["opened", "msg"]
        assert visitor.seqs(cv) == [1, 2]


async def test_the_same_key_gives_the_same_conversation() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        first = await visitor.ok(ops.CvOpen(key="k", text="hi"))
        elsewhere = await desk.visitor(node="n2")
        second = await elsewhere.ok(ops.CvOpen(key="k", text="hi"))
        assert second["cv"] == first["cv"]
        assert second["dup"] is True
        assert len(desk.port().state.conversations) == 1


async def test_a_message_is_answered_with_its_place_and_told_to_both_sides() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent(node="n2")
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        result = await agent.ok(ops.MsgSend(cv=cv, key="m1", body="hello", fence=fence))
        for client in (visitor, agent):
            last = client.events(cv)[-1]
            assert (last.seq, last.mid) == (result["seq"], result["mid"])
            assert last.by is not None
            assert (last.by.kind, last.by.id, last.by.name) == ("agent", "a1", "Ann")
            assert last.data["body"] == "hello"


async def test_the_same_key_twice_is_one_message_at_any_node() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        first = await visitor.ok(ops.MsgSend(cv=cv, key="m1", body="hello"))
        again = await visitor.ok(ops.MsgSend(cv=cv, key="m1", body="hello"))
        elsewhere = await desk.visitor(node="n2")
        third = await elsewhere.ok(ops.MsgSend(cv=cv, key="m1", body="hello"))
        assert "dup" not in first
        for copy in (again, third):
            assert copy["dup"] is True
            assert (copy["seq"], copy["mid"]) == (first["seq"], first["mid"])
        assert visitor.seqs(cv) == list(range(1, first["seq"] + 1))


async def test_a_key_does_not_serve_for_another_message() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        await visitor.ok(ops.MsgSend(cv=cv, key="m1", body="hello"))
        assert (await visitor.err(ops.MsgSend(cv=cv, key="m1", body="bye"))).code == "key_reused"


async def test_a_message_with_an_old_fence_is_refused() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent("a1")
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        await agent.ok(ops.CvTransfer(cv=cv, key="t", to={"queue": "vip"}, fence=fence))
        reply = await agent.err(ops.MsgSend(cv=cv, key="m", body="still me", fence=fence))
        assert reply.code == "not_owner"
        assert not reply.retry


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("too_large", {"body": "x" * 17_000}),
        ("too_large", {"type": "card", "body": {"a": ["x" * 17_000, "y" * 17_000]}}),
        ("bad_request", {"body": 7}),
        ("bad_request", {"body": {"text": "in a map"}}),
        ("bad_request", {"type": "card", "body": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}),
        ("bad_request", {"type": "card", "body": {"n": 2**64}}),
        ("bad_request", {"key": ""}),
        ("bad_request", {"key": "k" * 65}),
        ("bad_request", {"fence": -1}),
        ("bad_request", {"after": 2**70}),
        ("too_large", {"reply_to": "x" * 300}),
        ("not_found", {"cv": "no such thing"}),
        ("not_found", {"cv": ULID}),
    ],
)
async def test_a_message_out_of_bounds_is_refused(code: str, changes: dict[str, Any]) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        request = ops.MsgSend(**({"cv": cv, "key": "k", "body": "x"} | changes))
        reply = await visitor.err(request)
        assert reply.code == code
        assert reply.msg
        await visitor.ok(ops.MsgSend(cv=cv, key="k", body="the connection goes on"))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("bad_request", {"tags": {"a": {"b": 1}}}),
        ("bad_request", {"tags": {"a": [[1]]}}),
        ("too_large", {"tags": {"a": "x" * 5000}}),
        ("too_large", {"attrs": {str(n): n for n in range(65)}}),
        ("too_large", {"text": "x" * 17_000}),
        ("too_large", {"channel": "x" * 300}),
        ("too_large", {"hint": {"queue": "x" * 300}}),
    ],
)
async def test_a_conversation_out_of_bounds_is_not_opened(code: str, changes: Any) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        assert (await visitor.err(ops.CvOpen(key="k", **changes))).code == code
        assert desk.port().state.conversations == {}


async def test_an_offer_goes_to_every_device_and_is_gone_from_every_device() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        phone, laptop = await desk.agent(), await desk.agent(node="n2")
        cv = await desk.opened(visitor, "my card was declined")
        desk.routed(cv, "vip")
        oid = desk.offered(cv)
        for device in (phone, laptop):
            (offer,) = device.heard(OfferPush)
            assert (offer.oid, offer.cv, offer.queue, offer.prio) == (oid, cv, "vip", 10)
            assert offer.why == {"rule": "everything", "rev": 1}
            assert offer.cust == {"name": "Vera", "lang": "", "tags": {"arpu": 1}}
            assert offer.preview == "my card was declined"
            assert offer.exp - offer.ttl > 0
        result = await phone.ok(ops.OfferAccept(oid=oid, key="k"))
        assert result["cv"] == cv
        for device in (phone, laptop):
            assert [(gone.oid, gone.why) for gone in device.heard(OfferGonePush)] == [
                (oid, "accepted")
            ]
            assert device.seqs(cv) == list(range(1, result["seq"] + 1))


async def test_a_declined_offer_is_gone_and_cannot_be_accepted() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        desk.routed(cv)
        oid = desk.offered(cv)
        await agent.ok(ops.OfferDecline(oid=oid, reason="busy"))
        assert (await agent.err(ops.OfferAccept(oid=oid, key="k"))).code == "offer_gone"
        assert [gone.why for gone in agent.heard(OfferGonePush)] == ["declined"]


async def test_an_offer_to_somebody_else_cannot_be_accepted() -> None:
    async with office() as desk:
        visitor, _, other = await desk.visitor(), await desk.agent("a1"), await desk.agent("a2")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        oid = desk.offered(cv, "a1")
        assert other.heard(OfferPush) == []
        assert (await other.err(ops.OfferAccept(oid=oid, key="k"))).code in (
            "forbidden",
            "offer_gone",
        )
        assert (await other.err(ops.OfferAccept(oid="x", key="k"))).code == "offer_gone"


async def test_an_agent_sees_a_preview_of_what_is_offered_and_no_more_once_it_is_gone() -> None:
    async with office() as desk:
        visitor, agent, other = await desk.visitor(), await desk.agent(), await desk.agent("a2")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        oid = desk.offered(cv)
        await agent.ok(ops.CvSub(cv=cv))
        assert agent.seqs(cv)[0] == 1
        assert (await other.err(ops.CvSub(cv=cv))).code == "forbidden"
        await agent.ok(ops.OfferDecline(oid=oid))
        seen = agent.seqs(cv)
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="secret"))
        assert agent.seqs(cv) == seen


async def test_a_transfer_needs_one_target() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        for to in ({}, {"agent": "a2", "queue": "vip"}, {"rule": "", "queue": "vip"}):
            reply = await agent.err(ops.CvTransfer(cv=cv, key="t", to=to))
            assert reply.code == "bad_request"


async def test_after_a_transfer_the_former_owner_hears_no_more() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        result = await agent.ok(ops.CvTransfer(cv=cv, key="t", to={"queue": "vip"}, fence=fence))
        assert agent.events(cv)[-1].type == "transferred"
        last = agent.seqs(cv)[-1]
        assert last < result["seq"]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="anybody?"))
        assert agent.seqs(cv)[-1] == last


async def test_a_closed_conversation_takes_no_message() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        await agent.ok(ops.CvClose(cv=cv, key="c", reason="solved"))
        assert visitor.events(cv)[-1].type == "closed"
        assert (await visitor.err(ops.MsgSend(cv=cv, key="m", body="wait"))).code == "closed"


async def test_cv_get_tells_visitors_less_than_agents() -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        mine = (await visitor.ok(ops.CvGet(cv=cv)))["conv"]
        full = (await boss.ok(ops.CvGet(cv=cv)))["conv"]
        assert mine["state"] == full["state"] == "waiting"
        assert full["tags"] == {"arpu": 1}
        assert full["queue"] == "general"
        assert not {"tags", "attrs", "fence", "rule", "visitor"} & mine.keys()


async def test_history_is_read_in_pages_and_names_what_is_kept() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        for number in range(8):
            await visitor.ok(ops.MsgSend(cv=cv, key=f"m{number}", body="x"))
        page = await visitor.ok(ops.CvHistory(cv=cv, after=2, limit=3))
        assert [event["seq"] for event in page["events"]] == [3, 4, 5]
        assert (page["more"], page["first"], page["last"], page["gap"]) == (True, 1, 10, False)
        rest = await visitor.ok(ops.CvHistory(cv=cv, after=5))
        assert [event["seq"] for event in rest["events"]] == [6, 7, 8, 9, 10]
        assert rest["more"] is False


async def test_a_page_of_history_is_about_as_large_as_a_frame() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        for number in range(8):
            await visitor.ok(ops.MsgSend(cv=cv, key=f"m{number}", body="x" * 16_000))
        page = await visitor.ok(ops.CvHistory(cv=cv))
        assert page["more"] is True
        assert 1 <= len(page["events"]) <= 6
        assert max(len(frame) for frame in visitor.wire.frames) < 64 * 1024


async def test_a_conversation_of_a_moment_ago_is_found_at_a_node_that_lags() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        elsewhere = await desk.visitor(node="n2")
        desk.port("n2").held = True
        cv = await desk.opened(visitor)
        assert (await elsewhere.ok(ops.CvGet(cv=cv)))["conv"]["cv"] == cv
        assert desk.port("n2").barriers == 1


async def test_what_cannot_be_looked_up_says_why_and_where_else() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        desk.port().unavailable = Unavailable("no_leader", "an election is on")
        reply = await visitor.err(ops.CvGet(cv=ULID))
        assert (reply.code, reply.retry) == ("no_leader", True)
        assert reply.data["nodes"] == [{"id": "n2", "url": "ws://n2/v1/ws"}]


async def test_requests_behind_one_that_waits_keep_their_order() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        visitor.say(
            ops.CvGet(id=11, cv=ULID),  # has to wait for a barrier
            ops.MsgSend(id=12, cv=cv, key="a", body="first"),
            ops.CvUnsub(id=13, cv=cv),
            ops.MsgSend(id=14, cv=cv, key="b", body="second"),
        )
        await settle()
        replies = [message.id for message in visitor.all() if isinstance(message, Ok | Err)][-4:]
        assert replies == [11, 12, 13, 14]
        bodies = [event.data.get("body") for event in visitor.events(cv)]
        assert "first" in bodies
        assert "second" not in bodies, "the subscription had ended by then"


async def test_an_operation_that_nobody_knows_is_refused_by_name() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        visitor.say({"op": "cv.fly", "id": 9})
        reply = visitor.answer(9)
        assert isinstance(reply, Err)
        assert reply.code == "unknown_op"
        assert "cv.fly" in reply.msg


async def test_one_bad_map_in_a_frame_does_not_stop_the_others() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        visitor.say(
            {"op": "cv.open", "id": 1, "key": "a", "text": "one"},
            {"op": "cv.open", "id": 2, "key": 7},
            {"op": "nonsense", "id": 3},
            {"op": "cv.open", "id": 4, "key": "b", "text": "two"},
        )
        await settle()
        assert isinstance(visitor.answer(1), Ok)
        assert isinstance(visitor.answer(2), Err)
        assert isinstance(visitor.answer(3), Err)
        assert isinstance(visitor.answer(4), Ok)


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[]x",
        b"7",
        b"\xff\xfe",
        b'{"op":"pong"',
        b"[" + b",".join([b'{"op":"pong"}'] * 65) + b"]",
        b'{"op":"pong","id":4294967296}',
        b'{"op":"pong","id":-1}',
    ],
    ids=["no json", "rest", "no map", "no UTF-8", "cut", "65 maps", "id too large", "id negative"],
)
async def test_a_frame_that_is_none_ends_the_connection_with_4100(payload: bytes) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        visitor.say_bytes(payload)
        (bye,) = visitor.heard(Bye)
        assert bye.code == 4100
        assert not bye.resume
        assert visitor.wire.closed is not None
        visitor.say(ops.CvOpen(id=1, key="late"))
        assert desk.port().state.conversations == {}


async def test_binary_frames_do_not_pass_as_json() -> None:
    async with office() as desk:
        visitor = await desk.visitor(subprotocol=JSON)
        desk.desks["n1"].on_message(visitor.connection, b'{"op":"pong"}', False)
        assert [bye.code for bye in visitor.heard(Bye)] == [4100]


async def test_the_65th_request_in_flight_is_refused_and_the_others_are_not() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        desk.port().held = True
        numbers = [visitor.ask(ops.MsgSend(cv=cv, key=f"m{n}", body="x")) for n in range(65)]
        refused = visitor.answer(numbers[-1])
        assert isinstance(refused, Err)
        assert (refused.code, refused.retry) == ("overloaded", True)
        desk.port().release()
        assert all(isinstance(visitor.answer(number), Ok) for number in numbers[:-1])
        await visitor.ok(ops.MsgSend(cv=cv, key="m64", body="x"))


async def test_an_ok_comes_only_after_the_command_was_applied_here() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        desk.port().held = True
        number = visitor.ask(ops.MsgSend(cv=cv, key="m", body="x"))
        await settle()
        assert not [reply for reply in visitor.heard(Ok) if reply.id == number]
        desk.port().release()
        assert isinstance(visitor.answer(number), Ok)


async def test_a_request_without_a_number_is_done_and_not_answered() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        visitor.forget()
        visitor.say(ops.CvOpen(key="k", text="hi"))
        assert len(desk.port().state.conversations) == 1
        assert visitor.heard(Ok) == []


async def test_who_asks_for_more_than_is_read_is_answered_in_order_as_it_is_read() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        visitor.wire.outbox_bytes = 100_000
        numbers = [visitor.ask(ops.CvHistory(cv=cv)) for _ in range(3)]
        numbers.append(visitor.ask(ops.MsgSend(cv=cv, key="m", body="behind them")))
        await settle()
        assert not [one for one in visitor.heard(Ok) if one.id in numbers]
        visitor.wire.outbox_bytes = 0
        desk.desks["n1"]._requests.go_on()
        await settle()
        assert [one.id for one in visitor.heard(Ok) if one.id in numbers] == numbers
        assert not desk.desks["n1"]._requests.holding
        visitor.wire.outbox_bytes = 100_000
        visitor.ask(ops.CvHistory(cv=cv))
        visitor.leave()
        desk.desks["n1"]._requests.go_on()
        assert not desk.desks["n1"]._requests.holding
