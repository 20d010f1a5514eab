"""Where nodes are reached, and sockets as links want them.  Talks to sockets."""

import trio

from cluster.peer.frames import PeerRefused

USER_TIMEOUT_MS = 5_000

Address = tuple[str, int]


def parse_address(text: str) -> Address:
    """Return `host:port` in two parts.  Raises `PeerRefused`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise PeerRefused(f"{text[:64]!r} is no host:port")
    return host, int(port)


def tune(stream: trio.abc.Stream) -> None:
    """Send at once, and notice a dead machine within USER_TIMEOUT_MS."""
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
    if hasattr(trio.socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def address_of(stream: trio.SocketStream) -> str:
    """Return the other end, for people."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return "gone"
    return f"{name[0]}:{name[1]}"
