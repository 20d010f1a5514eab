"""`node.client`: what a request and an event survive, against nodes that misbehave on purpose."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from node.client import Client, RequestFailed, Stopped, Timing, dialing, open_client
from node.protocol.catalogue import (
    Auth,
    CvOpen,
    CvSub,
    Ev,
    Gap,
    MsgSend,
    OfferPush,
    Push,
    Typing,
    Welcome,
)
from node.protocol.codec import JSON, MSGPACK, Codec
from tests.node.client.loopback import Link, node, same

QUICK = Timing(
    request_s=3.0, retry_s_min=0.01, retry_s_max=0.05, resend_s_min=0.01, resend_s_max=0.05
)
SAY = MsgSend(cv="C1", key="k1", body="hello")


async def stay(link: Link) -> None:
    await link.welcome()
    await link.stay()


async def answer(link: Link) -> None:
    await link.welcome()
    while True:
        await link.ok(await link.next(), seq=1, by=link.number)


async def collect(client: Client, count: int) -> list[Push]:
    """Return the next `count` pushes that are no welcome."""
    seen: list[Push] = []
    with trio.fail_after(30):
        async for push in client.events():
            if not isinstance(push, Welcome):
                seen.append(push)
            if len(seen) == count:
                break
    return seen


def seqs(pushes: list[Push]) -> list[int]:
    return [push.seq for push in pushes if isinstance(push, Ev)]


@pytest.mark.parametrize("codec", [MSGPACK, JSON])
async def test_a_request_gets_its_reply_in_either_encoding(codec: Codec) -> None:
    async with node(answer) as one, open_client([one.url], "t", codec=codec) as client:
        reply = await client.request(CvOpen(key="k", text="你好"))

    assert reply == {"seq": 1, "by": 1}
    assert one.links[0].codec is codec


async def test_a_request_without_an_answer_is_sent_again_at_another_node() -> None:
    heard: list[Any] = []

    async def die(link: Link) -> None:
        await link.welcome()
        heard.append(await link.next())

    async def live(link: Link) -> None:
        await link.welcome()
        heard.append(await link.next())
        await link.ok(heard[-1], seq=7, dup=True)
        await link.stay()

    async with (
        node(die) as first,
        node(live) as second,
        open_client([first.url, second.url], "t", timing=QUICK) as client,
    ):
        assert await client.request(SAY) == {"seq": 7, "dup": True}
        statistics = client.statistics()

    assert same(heard[0], heard[1])
    assert (statistics.reconnects, statistics.resends) == (1, 1)


async def test_unanswered_requests_go_to_the_next_node_in_the_order_of_asking() -> None:
    heard: list[str] = []

    async def die(link: Link) -> None:
        await link.welcome()
        for _ in range(5):
            await link.next()

    async def live(link: Link) -> None:
        await link.welcome()
        while True:
            request = await link.next()
            heard.append(request.key)
            await link.ok(request)

    async with (
        node(die) as first,
        node(live) as second,
        open_client([first.url, second.url], "t", timing=QUICK) as client,
    ):
        await client.wait_welcome()
        async with trio.open_nursery() as nursery:
            for place in range(5):
                nursery.start_soon(client.request, MsgSend(cv="C", key=f"k{place}", body=""))
                await trio.sleep(0.01)

    assert heard == ["k0", "k1", "k2", "k3", "k4"]


async def test_a_refusal_for_now_is_tried_again_with_the_same_key_on_the_same_connection() -> None:
    heard: list[Any] = []

    async def busy(link: Link) -> None:
        await link.welcome()
        for code in ("no_leader", "timeout"):
            heard.append(await link.next())
            await link.err(heard[-1], code, retry=True)
        heard.append(await link.next())
        await link.ok(heard[-1], seq=2)
        await link.stay()

    async with node(busy) as one, open_client([one.url], "t", timing=QUICK) as client:
        assert await client.request(SAY) == {"seq": 2}

    assert [request.key for request in heard] == ["k1"] * 3
    assert len({request.id for request in heard}) == 3


async def test_a_refusal_for_good_is_raised_at_once() -> None:
    async def refuse(link: Link) -> None:
        await link.welcome()
        await link.err(await link.next(), "not_owner", retry=False)
        await link.stay()

    async with node(refuse) as one, open_client([one.url], "t", timing=QUICK) as client:
        with pytest.raises(RequestFailed, match="it is not_owner") as caught:
            await client.request(SAY)

    assert caught.value.code == "not_owner"


async def test_a_deadline_ends_a_request_and_names_the_last_refusal() -> None:
    async def refuse(link: Link) -> None:
        await link.welcome()
        while True:
            await link.err(await link.next(), "minority", retry=True)

    async with node(refuse) as one, open_client([one.url], "t", timing=QUICK) as client:
        with pytest.raises(RequestFailed) as caught:
            await client.request(SAY, timeout_s=1.5)

    assert caught.value.code == "minority"
    assert client.statistics().waiting == 0


async def test_what_may_have_been_done_is_a_timeout_whatever_was_said_last() -> None:
    async def take_and_die(link: Link) -> None:
        await link.welcome()
        await link.next()

    async def refuse(link: Link) -> None:
        await link.welcome()
        while True:
            await link.err(await link.next(), "minority", retry=True)

    async with node(take_and_die, refuse) as one, open_client([one.url], "t", timing=QUICK) as mine:
        with pytest.raises(RequestFailed, match="it is minority") as caught:
            await mine.request(SAY, timeout_s=1.5)
    assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x" * 70_000, "too_large"),
        ({"n": 1 << 70}, "bad_request"),
        ("a\udcffb", "bad_request"),
        (object(), "bad_request"),
    ],
)
async def test_what_no_frame_can_hold_fails_alone(body: Any, code: str) -> None:
    async with node(answer) as one, open_client([one.url], "t", timing=QUICK) as client:
        await client.wait_welcome()
        with pytest.raises(RequestFailed) as caught:
            await client.request(MsgSend(cv="C1", key="k", body=body))
        assert (await client.request(SAY))["seq"] == 1
        statistics = client.statistics()
    assert caught.value.code == code
    assert (statistics.connections, len(one.links)) == (1, 1)


async def test_what_was_asked_before_there_was_a_node_and_no_frame_holds_fails_too() -> None:
    async with node(answer) as one, open_client([one.url], "t", timing=QUICK) as client:
        with pytest.raises(RequestFailed, match="too_large"):
            await client.request(MsgSend(cv="C1", key="k", body="x" * 70_000))
        assert (await client.request(SAY))["seq"] == 1


async def test_following_from_an_event_on_drops_none_and_misses_none() -> None:
    """`from` names the first event that is wanted, and they come right behind the answer."""

    async def serve(link: Link) -> None:
        await link.welcome()
        subscription = await link.next()
        await link.ok(subscription, seq=4)
        for seq in range(subscription.from_, 5):
            await link.event(subscription.cv, seq)
        await link.stay()

    async with node(serve) as one, open_client([one.url], "t", timing=QUICK) as client:
        await client.request(CvSub(cv="C1", from_=3))
        pushes = await collect(client, 2)
        jumps, duplicates = client.jumps, client.statistics().duplicates
    assert [push.seq for push in pushes if isinstance(push, Ev)] == [3, 4]
    assert (jumps, duplicates) == ([], 0)


async def test_a_node_behind_tls_is_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with node(answer, tls=server) as one:
        dialing._context.cache_clear()
        async with open_client([one.url], "t", timing=QUICK) as client:
            with pytest.raises(RequestFailed, match="TLS: "):
                await client.request(SAY, timeout_s=1.5)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        dialing._context.cache_clear()
        async with open_client([one.url], "t", timing=QUICK) as client:
            assert (await client.request(SAY))["seq"] == 1
    dialing._context.cache_clear()


async def test_without_any_node_a_request_says_why_it_had_no_answer() -> None:
    async with node(stay) as one:
        url = one.url
    async with open_client([url], "t", timing=QUICK) as client:
        with pytest.raises(RequestFailed, match="refused") as caught:
            await client.request(SAY, timeout_s=1.5)

    assert caught.value.code == "timeout"


async def test_bye_leads_to_a_node_that_was_not_known() -> None:
    async with node(stay) as other:

        async def send_away(link: Link) -> None:
            await link.welcome()
            await link.bye(4009, other.url)

        async with (
            node(send_away) as first,
            open_client([first.url], "t", timing=QUICK) as client,
        ):
            with trio.fail_after(30):
                while not other.links:
                    await trio.sleep(0.01)
            assert other.url in client.urls


async def test_a_pinned_client_stays_with_its_node() -> None:
    async def send_away(link: Link) -> None:
        await link.welcome()
        await link.bye(4009, "ws://127.0.0.1:1/v1/ws")

    async with (
        node(send_away, stay) as first,
        open_client([first.url], "t", timing=QUICK, pinned=True) as client,
    ):
        with trio.fail_after(30):
            while len(first.links) < 2:
                await trio.sleep(0.01)
        assert client.urls == (first.url,)


async def test_hello_resumes_every_open_conversation_where_it_was_left() -> None:
    async def begin(link: Link) -> None:
        await link.welcome()
        await link.event("A", 1)
        await link.event("A", 2)
        await link.event("B", 1)
        await link.event("B", 2, "closed")
        await trio.sleep(0.05)

    async def go_on(link: Link) -> None:
        hello = await link.welcome()
        assert hello.resume is not None
        resumed.append((hello.resume.sid, hello.resume.epoch, list(hello.resume.cvs)))
        await link.event("A", 2)
        await link.event("A", 3)
        await link.stay()

    resumed: list[Any] = []
    async with node(begin, go_on) as one, open_client([one.url], "t", timing=QUICK) as client:
        pushes = await collect(client, 5)
        statistics = client.statistics()

    assert seqs(pushes) == [1, 2, 1, 2, 3]
    assert resumed == [("S1", "demo", [("A", 2)])]
    assert statistics.duplicates == 1
    assert statistics.jumps == 0


async def test_an_undeclared_hole_is_recorded_and_a_declared_one_is_not() -> None:
    async def holes(link: Link) -> None:
        await link.welcome()
        await link.event("A", 1)
        await link.say(Gap(cv="A", have=1, first=5, last=6))
        await link.event("A", 5)
        await link.event("B", 2)
        await link.stay()

    async with node(holes) as one, open_client([one.url], "t", timing=QUICK) as client:
        await collect(client, 4)
        await trio.sleep(0.02)

    assert [(jump.cv, jump.had, jump.got) for jump in client.jumps] == [("B", 0, 2)]
    assert client.statistics().gaps == 1


@pytest.mark.parametrize("code", [4102, 4103, 4105, 4107])
async def test_a_code_of_41xx_stops_the_client_for_good(code: int) -> None:
    async def refuse(link: Link) -> None:
        await link.accept()
        await link.bye(code, reason="no")

    async with node(refuse) as one, open_client([one.url], "t", timing=QUICK) as client:
        with pytest.raises(Stopped) as caught:
            await client.request(SAY)
        with pytest.raises(Stopped):
            await client.wait_welcome()
        with pytest.raises(Stopped):
            async for _ in client.events():
                pass

    assert caught.value.code == code
    assert len(one.links) == 1


async def test_a_node_that_owes_an_answer_and_says_nothing_is_left() -> None:
    timing = Timing(request_s=5.0, unanswered_s=0.3, retry_s_min=0.01, retry_s_max=0.05)
    async with (
        node(stay) as deaf,
        node(answer) as other,
        open_client([deaf.url, other.url], "t", timing=timing) as client,
    ):
        assert await client.request(SAY) == {"seq": 1, "by": 1}


async def test_a_node_that_never_says_welcome_is_left() -> None:
    async def mute(link: Link) -> None:
        await link.accept()
        await link.stay()

    timing = Timing(welcome_s=0.1, retry_s_min=0.01, retry_s_max=0.05)
    async with (
        node(mute) as first,
        node(answer) as other,
        open_client([first.url, other.url], "t", timing=timing) as client,
    ):
        assert (await client.request(SAY))["seq"] == 1


async def test_leaving_the_block_says_goodbye_with_1000() -> None:
    async with node(stay) as one:
        async with open_client([one.url], "t", timing=QUICK) as client:
            await client.wait_welcome()
        await trio.sleep(0.05)

        assert one.links[0].close_code == 1000


async def test_a_callback_gets_pushes_and_unknown_ones_are_ignored() -> None:
    async def talk(link: Link) -> None:
        await link.welcome()
        await link.say({"op": "from.the.future", "x": 1})
        await link.say(OfferPush(oid="O", cv="C", queue="q", prio=0, exp=1, ttl=1))
        await link.stay()

    got: list[Push] = []
    async with (
        node(talk) as one,
        open_client([one.url], "t", timing=QUICK, on_push=got.append),
    ):
        with trio.fail_after(30):
            while len(got) < 2:
                await trio.sleep(0.01)

    assert [type(push) for push in got] == [Welcome, OfferPush]


async def test_what_has_no_reply_is_sent_and_not_repeated() -> None:
    heard: list[Any] = []

    async def listen(link: Link) -> None:
        await link.welcome()
        heard.append(await link.next())
        await link.stay()

    async with node(listen) as one, open_client([one.url], "t", timing=QUICK) as client:
        client.notify(Typing(cv="C", on=True))
        await client.wait_welcome()
        client.notify(Typing(cv="C", on=False))
        await trio.sleep(0.05)

    assert [request.on for request in heard] == [False]


async def test_a_renewed_token_is_the_one_of_the_next_hello() -> None:
    tokens: list[str] = []

    async def renew(link: Link) -> None:
        tokens.append((await link.welcome()).token)
        await link.ok(await link.next(), exp=1)

    async def again(link: Link) -> None:
        tokens.append((await link.welcome()).token)
        await link.stay()

    async with node(renew, again) as one, open_client([one.url], "old", timing=QUICK) as client:
        await client.request(Auth(token="new"))
        with trio.fail_after(30):
            while len(tokens) < 2:
                await trio.sleep(0.01)

    assert tokens == ["old", "new"]
