"""The load on etcd says what etcd answered, and nothing better."""

import socket
from collections.abc import Iterator

import pytest

from scripts.bench_consensus import etcd_client
from scripts.bench_consensus.etcd_client import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    Connection,
    Refused,
    frame,
    put_request,
)


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname()[1])
        server, _ = listener.accept()
        with server, connection.socket:
            yield connection, server


def test_a_put_is_a_grpc_message_with_key_and_value() -> None:
    request = put_request(b"k" * 16)
    assert request[:5] == b"\x00" + (len(request) - 5).to_bytes(4, "big")
    assert request[5:7] == b"\x0a\x10"
    assert request.endswith(b"\x12\x64" + etcd_client.VALUE)


def test_an_answer_counts_when_its_data_and_its_end_came(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, server = pair
    answered: list[int] = []
    connection.put(b"one", lambda: answered.append(1))
    connection.put(b"two", lambda: answered.append(2))
    connection.flush()
    assert server.recv(65_536).startswith(PREFACE)
    server.sendall(frame(HEADERS, 0, 3, b"h") + frame(DATA, 0, 3, b"d"))
    connection.on_readable()
    assert answered == []
    server.sendall(frame(HEADERS, END_STREAM, 3, b"t"))
    connection.on_readable()
    assert answered == [2]


def test_an_error_for_an_answer_is_no_write(pair: tuple[Connection, socket.socket]) -> None:
    connection, server = pair
    connection.put(b"one", lambda: pytest.fail("counted"))
    server.sendall(frame(HEADERS, END_STREAM, 1, b"grpc-status"))
    with pytest.raises(Refused):
        connection.on_readable()


def test_frames_may_come_in_any_pieces(pair: tuple[Connection, socket.socket]) -> None:
    connection, server = pair
    answered: list[int] = []
    connection.put(b"one", lambda: answered.append(1))
    parts = (
        frame(HEADERS, 0, 1, b"h") + frame(DATA, 0, 1, b"d") + frame(HEADERS, END_STREAM, 1, b"")
    )
    for place in range(len(parts)):
        assert answered == []
        server.sendall(parts[place : place + 1])
        connection.on_readable()
    assert answered == [1]


def test_a_ping_is_answered(pair: tuple[Connection, socket.socket]) -> None:
    connection, server = pair
    server.recv(65_536)
    server.sendall(frame(PING, 0, 0, b"12345678"))
    connection.on_readable()
    connection.flush()
    assert server.recv(65_536).endswith(frame(PING, ACK, 0, b"12345678"))
