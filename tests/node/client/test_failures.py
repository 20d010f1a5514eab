"""What a failure is called when people are told of it."""

import socket
import ssl

import pytest

from node.client.failures import plainly


def _plain_port() -> ssl.SSLError:
    """What OpenSSL says of an answer that is no TLS."""
    received = ssl.MemoryBIO()
    received.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    tls = ssl.create_default_context().wrap_bio(received, ssl.MemoryBIO(), server_hostname="x")
    with pytest.raises(ssl.SSLError) as told:
        tls.do_handshake()
    return told.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(111, "whatever"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "temporary failure in name"),
        (ExceptionGroup("all", [OSError(113, "x"), OSError(111, "y")]), "no route to host"),
        (ssl.SSLError(1, "bad"), "TLS: "),
        (_plain_port(), "TLS: the other end speaks none; if it is a node without it, write ws://"),
        (ValueError(), "ValueError"),
    ],
)
def test_it_is_told_in_the_words_of_the_system_without_names_of_classes(
    error: BaseException, words: str
) -> None:
    assert plainly(error).startswith(words)
    assert "unknown" not in plainly(error)
