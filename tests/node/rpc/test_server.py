"""Operations and events by gRPC: what is done there is done everywhere, and nothing breaks it."""

import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cluster.port import Answer, Unavailable
from node.edge.pressure import Level
from node.protocol import catalogue as ops
from node.protocol.proto_codec import message_of
from node.protocol.schema import PACKAGE, SERVICE, methods
from node.rpc.certificate import RpcCertificate
from node.rpc.limits import RpcLimits
from node.rpc.server import RpcListenRefused, RpcServer
from tests.node.desk.office import office, token
from tests.node.rpc.caller import Caller, Refusal, callers, speaking


def service(subject: str = "crm") -> str:
    return token("service", subject)


async def until(condition: Any) -> None:
    with trio.fail_after(30):
        while not condition():
            await trio.sleep(0.01)


async def test_a_conversation_goes_on_over_grpc_and_websocket_alike() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        ear, boss = crm.listen(), await desk.staff("supervisor")
        assert (await ear.hear(1))[0][1]["you"] == {"id": "crm", "role": "service", "name": ""}
        cv = (await crm.call("cv.open", key="order-7", text="my parcel"))["cv"]
        await boss.ok(ops.CvSub(cv=cv))
        assert (await crm.call("msg.send", cv=cv, key="m-1", body="is late"))["seq"] == 3
        assert boss.seqs(cv) == [1, 2, 3]
        await boss.ok(ops.MsgSend(cv=cv, key="b-1", body={"card": [1, 2.5, None]}, type="card"))
        told = [said for name, said in await ear.hear(5) if name == "ev"]
        assert [event["seq"] for event in told] == [1, 2, 3, 4]
        assert told[-1]["data"]["body"] == {"card": [1, 2.5, None]}
        kept = (await crm.call("cv.history", cv=cv, after=2))["events"]
        assert [event["data"]["body"] for event in kept] == ["is late", {"card": [1, 2.5, None]}]
        assert (await crm.call("cv.get", cv=cv))["conv"]["visitor"]["id"] == "crm"
        figures = server.statistics()
        assert (figures.streams, figures.calls_total) == (1, {"OK": 4})


async def test_a_stream_goes_on_at_another_node_where_it_broke() -> None:
    async with (
        office() as desk,
        speaking(desk.desks["n1"]) as first,
        speaking(desk.desks["n2"]) as second,
    ):
        (here,), (there,) = callers(first, service()), callers(second, service())
        cv = (await here.call("cv.open", key="k", text="1"))["cv"]
        ear = here.listen(cv)
        await ear.until("caught")
        ear.call.cancel()
        await there.call("msg.send", cv=cv, key="m", body="2")
        again = there.listen(cv, place=ear.place)
        told = await again.until("caught")
        assert told[0][1]["resumed"]
        assert [said["seq"] for name, said in told if name == "ev"] == [3]
        await until(lambda: first.statistics().streams == 0)


async def test_a_key_may_come_as_metadata_and_must_be_the_same_then() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        opened = await crm.send("cv.open", b"", 10, ("idempotency-key", "k"))
        assert not opened["dup"]
        assert await crm.call("cv.open", key="k") == opened | {"dup": True}
        data = message_of("CvOpenRequest", {"key": "k"}).SerializeToString()
        with pytest.raises(Refusal, match="is not that of the header"):
            await crm.send("cv.open", data, 10, ("idempotency-key", "other"))


@pytest.mark.parametrize(
    ("op", "data", "status", "words"),
    [
        ("cv.open", b"\xff\xff", "INVALID_ARGUMENT", "body: not a CvOpenRequest"),
        ("cv.open", b"", "INVALID_ARGUMENT", "missing required field `key`"),
        ("cv.open", b"\x0a\x01\xff", "INVALID_ARGUMENT", "body: not a CvOpenRequest"),
        ("cv.open", b"\x0a\x01k" + b"\x42\xf0\xee\x03" + b"x" * 63_344, "INVALID_ARGUMENT", "text"),
        ("cv.get", b"\x0a\x04nope", "NOT_FOUND", "no conversation"),
        ("rules.get", b"", "PERMISSION_DENIED", "not for the role service"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    op: str, data: bytes, status: str, words: str
) -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        with pytest.raises(Refusal) as refused:
            await crm.send(op, data)
        assert refused.value.status == status
        assert words in refused.value.err["msg"]
        assert words in refused.value.words


async def test_numbers_that_json_has_not_are_refused() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        with pytest.raises(Refusal, match="not finite"):
            await crm.call("cv.open", key="k", tags={"x": float("nan")})


async def test_only_who_proves_who_they_are_is_let_in() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        for bearer in ("nonsense", token("service", "crm", ttl_s=-60)):
            (caller,) = callers(server, bearer)
            with pytest.raises(Refusal) as refused:
                await caller.call("cv.get", cv="x")
            assert refused.value.status == "UNAUTHENTICATED"
            assert (await caller.listen().end()).err["code"] == "unauthorized"
        caller.metadata = []
        with pytest.raises(Refusal, match="Bearer TOKEN"):
            await caller.call("cv.get", cv="x")


async def test_a_node_without_quorum_says_so_to_calls_streams_and_probes() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        health = health_pb2_grpc.HealthStub(crm.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=f"{PACKAGE}.{SERVICE}"))
        serving = health_pb2.HealthCheckResponse.SERVING
        await until_status(watch, serving)
        desk.port().stand("fenced", "no leader")
        await until_status(watch, health_pb2.HealthCheckResponse.NOT_SERVING)
        with pytest.raises(Refusal) as refused:
            await crm.call("cv.open", key="k")
        assert refused.value.status == "UNAVAILABLE"
        err = refused.value.err
        assert (err["code"], err["retry"], err["after"]) == ("minority", True, 1000)
        assert [node["id"] for node in err["data"]["nodes"]] == ["n2"]
        assert (await crm.listen().end()).err["code"] == "minority"
        desk.port().stand("serving")
        await until_status(watch, serving)
        watch.cancel()


async def until_status(watch: Any, wanted: int) -> None:
    with trio.fail_after(30):
        while (await trio.to_thread.run_sync(next, watch)).status != wanted:
            pass


async def test_reflection_finds_every_operation() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        stub = reflection_pb2_grpc.ServerReflectionStub(crm.channel)

        def ask() -> tuple[list[str], bytes]:
            asked = [
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(
                    file_containing_symbol=f"{PACKAGE}.{SERVICE}"
                ),
            ]
            listed, file = stub.ServerReflectionInfo(iter(asked))
            names = [one.name for one in listed.list_services_response.service]
            return names, file.file_descriptor_response.file_descriptor_proto[0]

        names, file = await trio.to_thread.run_sync(ask)
        assert f"{PACKAGE}.{SERVICE}" in names
        assert "grpc.health.v1.Health" in names
        for method in methods():
            assert method.name.encode() in file


async def test_a_node_that_stops_says_goodbye_on_streams() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        ear = crm.listen()
        await ear.until("welcome")
        await desk.desks["n1"].drain(1.0)
        (*_, (_, bye)) = await ear.until("bye")
        assert (bye["code"], bye["resume"]) == (4001, True)
        assert (await ear.end()).status == "UNAVAILABLE"
        with pytest.raises(Refusal, match="being stopped"):
            await crm.call("cv.open", key="k")


async def test_a_reader_that_is_too_slow_is_told_so_and_comes_back_for_the_rest() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        slow, crm = callers(server, token("visitor", "v1"), service(), narrow=True)
        cv = (await slow.call("cv.open", key="k", text="hi"))["cv"]
        ear = slow.listen()
        await ear.until("caught")
        sent = 0
        while not server.statistics().slow_consumers_total:
            sent += 1
            assert sent < 500
            await crm.call("msg.send", cv=cv, key=f"m{sent}", body="x" * 16_000)
        told = await ear.until("bye")
        assert told[-1][1]["code"] == 4003
        assert (await ear.end()).status == "RESOURCE_EXHAUSTED"
        seqs = [said["seq"] for name, said in told if name == "ev"]
        assert seqs == list(range(3, 3 + len(seqs)))
        again = slow.listen(place=ear.place)
        more = [said["seq"] for name, said in await again.until("caught") if name == "ev"]
        assert [*seqs, *more] == list(range(3, 3 + sent))


async def test_a_reader_that_takes_nothing_is_let_go() -> None:
    limits = RpcLimits(write_s=0.3, outbox_bytes_max=64 * 1024 * 1024)
    async with office() as desk, speaking(desk.desks["n1"], limits=limits) as server:
        (crm,) = callers(server, service(), narrow=True)
        cv = (await crm.call("cv.open", key="k"))["cv"]
        ear = crm.listen()
        await ear.until("caught")
        sent = 1
        while server.statistics().streams:
            sent += 1
            assert sent < 1_000
            await crm.call("msg.send", cv=cv, key=f"m{sent}", body="x" * 16_000)
        ended = await ear.end()
        assert (ended.status, ended.words) == (
            "RESOURCE_EXHAUSTED",
            "nothing was read for too long",
        )
        heard = int(ear.place.rpartition(":")[2])
        assert 1 < heard < sent
        again = crm.listen(cv, place=ear.place)
        told = [said["seq"] for name, said in await again.until("caught") if name == "ev"]
        assert told == list(range(heard + 1, sent + 1))


async def test_a_call_whose_client_leaves_has_one_effect_or_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        held = trio.Event()
        propose = desk.port().propose

        async def slowly(command: Any) -> Answer:
            await held.wait()
            return await propose(command)

        monkeypatch.setattr(desk.port(), "propose", slowly)
        with pytest.raises(Refusal) as refused:
            await crm.call("cv.open", key="k", text="once", timeout_s=0.2)
        assert refused.value.status == "DEADLINE_EXCEEDED"
        assert server.statistics().calls_running == 1
        held.set()
        await until(lambda: server.statistics().calls_running == 0)
        assert (await crm.call("cv.open", key="k", text="once"))["dup"]
        assert len(desk.port().state.conversations) == 1


async def test_an_outcome_that_nobody_saw_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with office() as desk, speaking(desk.desks["n1"], limits=RpcLimits(call_s=0.2)) as server:
        (crm,) = callers(server, service())

        async def lost(command: Any) -> Answer:
            return Unavailable("timeout", "it may still happen")

        async def never(command: Any) -> Answer:
            await trio.sleep_forever()

        for propose in (lost, never):
            monkeypatch.setattr(desk.port(), "propose", propose)
            with pytest.raises(Refusal) as refused:
                await crm.call("cv.open", key="k")
            assert refused.value.status == "DEADLINE_EXCEEDED"
            assert refused.value.err["code"] == "timeout"
            assert refused.value.err["retry"]


async def test_as_many_calls_and_streams_as_allowed_and_none_under_pressure() -> None:
    level = {"now": Level.CALM}
    limits = RpcLimits(streams_max=2)
    async with (
        office() as desk,
        speaking(desk.desks["n1"], limits=limits, pressure=lambda: level["now"]) as server,
    ):
        (crm,) = callers(server, service())
        ears = [crm.listen(), crm.listen()]
        for ear in ears:
            await ear.hear(1)
        assert (await crm.listen().end()).err["code"] == "overloaded"
        ears[0].call.cancel()
        await until(lambda: server.statistics().streams == 1)
        level["now"] = Level.HIGH
        assert (await crm.listen().end()).err["msg"].startswith("this node lets nobody new in")
        level["now"] = Level.CALM
        await crm.listen().hear(1)


async def test_a_message_beyond_all_bounds_is_refused_and_the_connection_goes_on() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        with pytest.raises(Refusal) as refused:
            await crm.call("cv.open", key="k", text="x" * 3_000_000)
        assert refused.value.status == "RESOURCE_EXHAUSTED"
        with pytest.raises(Refusal) as refused:
            await crm.call("cv.open", key="k", text="x" * 70_000)
        assert refused.value.err["code"] == "too_large"
        await crm.call("cv.open", key="k")


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 3000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff" * 9999,
        bytes(range(256)) * 50,
    ],
)
async def test_noise_on_the_port_ends_that_connection_alone(noise: bytes) -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        (crm,) = callers(server, service())
        await crm.call("cv.open", key="k")

        def shout() -> None:
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
                try:
                    plain.sendall(noise)
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(4096):
                        pass
                except OSError:
                    pass

        for _ in range(5):
            await trio.to_thread.run_sync(shout)
        assert (await crm.call("cv.open", key="k"))["dup"]


async def test_within_tls_and_a_renewed_certificate_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.rpc.certificate.LOOK_S", 0.0)
    first, second = trustme.CA(), trustme.CA()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def show(authority: trustme.CA) -> None:
        issued = authority.issue_cert("localhost")
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)

    def trusting(authority: trustme.CA, server: RpcServer) -> Caller:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        local = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.secure_channel(f"localhost:{server.port}", credentials, local)
        return Caller(channel, service())

    show(first)
    async with (
        office() as desk,
        speaking(desk.desks["n1"], certificate=RpcCertificate(cert, key)) as server,
    ):
        old = trusting(first, server)
        await old.call("cv.open", key="k")
        show(second)
        assert (await trusting(second, server).call("cv.open", key="k"))["dup"]
        key.write_text("nonsense")
        assert (await trusting(second, server).call("cv.open", key="k"))["dup"]
        assert (await old.call("cv.open", key="k"))["dup"]
        with pytest.raises(Refusal):
            await next(callers(server, service())).call("cv.open", key="k", timeout_s=2)
        context = ssl.create_default_context(cadata=second.cert_pem.bytes().decode())
        context.set_alpn_protocols(["h2"])

        def negotiated() -> str | None:
            with (
                socket.create_connection(("localhost", server.port), timeout=30) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                return secured.selected_alpn_protocol()

        assert await trio.to_thread.run_sync(negotiated) == "h2"


async def test_a_port_that_is_taken_is_named() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        second = RpcServer(desk.desks["n1"], ("127.0.0.1", server.port))
        with pytest.raises(ExceptionGroup) as refused:
            await second.serve()
        (error,) = refused.value.exceptions
        assert isinstance(error, RpcListenRefused)
        assert f"127.0.0.1:{server.port}" in str(error)
