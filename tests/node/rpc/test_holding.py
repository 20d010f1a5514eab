"""Clients of gRPC without a network: nothing is heard, nothing leaves, and all goes on after."""

import errno
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from node.protocol import catalogue as ops
from node.rpc.deafness import Deafness
from tests.node.desk.office import office, token
from tests.node.rpc.caller import Refusal, callers, speaking

SHORT_S = 0.2


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(10)
        yield found


def connect(listener: socket.socket, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=timeout_s)


def test_a_deaf_port_hears_nobody_and_what_was_said_meanwhile_afterwards(
    listener: socket.socket,
) -> None:
    deafness = Deafness(listener.getsockname()[1])
    with connect(listener) as client, socket.create_server(("127.0.0.1", 0)) as other:
        server, _ = listener.accept()
        with server:
            deafness.hear_nothing()
            deafness.hear_nothing()
            client.sendall(b"anybody?")
            server.settimeout(SHORT_S)
            with pytest.raises(TimeoutError):
                server.recv(100)
            with pytest.raises(TimeoutError):
                connect(listener, SHORT_S)
            connect(other).close()
            deafness.hear()
            deafness.hear()
            server.settimeout(10)
            assert server.recv(100) == b"anybody?"
    connect(listener).close()


def test_a_socket_that_is_closed_while_it_is_deaf_does_no_harm(listener: socket.socket) -> None:
    deafness = Deafness(listener.getsockname()[1])
    with connect(listener):
        server, _ = listener.accept()
        deafness.hear_nothing()
        server.close()
        listener.close()
        deafness.hear()


def test_where_no_descriptor_is_left_it_is_said_that_somebody_is_heard(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(number: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        Deafness(listener.getsockname()[1]).hear_nothing()


def test_thousands_of_other_sockets_are_looked_at_once(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    dup = os.dup

    def counted(number: int) -> int:
        looked_at.append(number)
        return dup(number)

    monkeypatch.setattr(os, "dup", counted)
    deafness = Deafness(listener.getsockname()[1])
    with socket.create_server(("127.0.0.1", 0)) as other, connect(other), connect(listener):
        deafness.hear_nothing()
        assert len(looked_at) >= 4
        looked_at.clear()
        newcomer, _ = listener.accept()
        with newcomer:
            deafness.hear_nothing()
            assert looked_at == [newcomer.fileno()]
    deafness.hear()


async def test_clients_that_are_held_hear_and_say_nothing_until_they_are_let_go() -> None:
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        crm, other = callers(server, token("service", "crm"), token("service", "crm"))
        boss = await desk.staff("supervisor")
        cv = (await crm.call("cv.open", key="k", text="one"))["cv"]
        await boss.ok(ops.CvSub(cv=cv))
        ear = crm.listen(cv)
        await ear.until("caught")
        heard_s: list[float] = []

        async def listen() -> None:
            while (await ear.until("ev"))[-1][1]["data"].get("body") != "two":
                pass
            heard_s.append(time.monotonic())

        async with trio.open_nursery() as nursery:
            server.hold(True)
            server.hold(True)
            nursery.start_soon(listen)
            await boss.ok(ops.MsgSend(cv=cv, key="b", body="two"))
            for caller in (crm, other):  # one has a connection, the other would have to make one
                with pytest.raises(Refusal) as refused:
                    await caller.call("msg.send", SHORT_S, cv=cv, key="m", body="three")
                assert refused.value.status in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
            assert [one["data"].get("body") for one in await kept(boss, cv)][-1] == "two"
            held_until_s = time.monotonic()
            assert not heard_s
            server.hold(False)
            server.hold(False)
        assert heard_s[0] >= held_until_s
        assert (await crm.call("msg.send", cv=cv, key="m", body="three"))["seq"] > 0
        assert (await other.call("msg.send", cv=cv, key="m", body="three"))["dup"]


async def kept(boss: Any, cv: str) -> list[Any]:
    found: list[Any] = (await boss.ok(ops.CvHistory(cv=cv)))["events"]
    return found
