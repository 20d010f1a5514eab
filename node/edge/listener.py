"""A listening TCP socket, set up for very many small answers.  Talks to the operating system.

Accepted sockets inherit the options on Linux, so that none costs a system call per connection:
TCP_NODELAY because answers are written whole, TCP_NOTSENT_LOWAT because a peer that does not
read shall fill our bounded outbox and not mebibytes of the kernel's.
"""

import errno
import socket

BACKLOG = 2048
NOTSENT_LOWAT_BYTES = 16 * 1024
PORT_MAX = 65_535

_TCP_NOTSENT_LOWAT: int = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # 25 on Linux


class ListenRefused(Exception):
    """No listening socket there; the message names the address and what to do."""


def open_listener(host: str, port: int) -> socket.socket:
    """Return a non-blocking socket that listens on `host` and `port`; port 0 takes a free one.

    Raises `ListenRefused` when the address is taken, unknown or not allowed.
    """
    listener = _open(host, port, shared=False)
    listener.listen(BACKLOG)
    return listener


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps `host` and `port` for those who `share` it, and takes nothing.

    Raises `ListenRefused`, also when others have it who would share it.
    """
    _open(host, port, shared=False).close()
    return share(host, port)


def share(host: str, port: int) -> socket.socket:
    """Return one of several sockets on an address, each given new connections in turn.

    It takes none before it listens: the kernel deals out to whoever does (SO_REUSEPORT), and what
    it deals out waits for that process alone.  Raises `ListenRefused`.
    """
    return _open(host, port, shared=True)


def _open(host: str, port: int, *, shared: bool) -> socket.socket:
    if not 0 <= port <= PORT_MAX:
        raise ListenRefused(f"cannot listen on {host}:{port}: a port is 0 to {PORT_MAX}")
    try:
        flags = socket.AI_PASSIVE
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=flags
        )[0]
    except socket.gaierror as error:
        raise ListenRefused(f"cannot listen on {host}:{port}: unknown host ({error})") from None
    listener = socket.socket(family, kind, protocol)
    try:
        _set_options(listener)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ListenRefused(f"cannot listen on {host}:{port}: {_mend(error, port)}") from None
    return listener


def _set_options(listener: socket.socket) -> None:
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
    except OSError:
        pass  # an old kernel: a slow peer then costs more kernel memory, nothing else


def _mend(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is taken; stop what listens there or choose another port"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; choose one of its own, or 0.0.0.0 for all"
        case errno.EACCES:
            return f"not allowed; ports under 1024 (here {port}) need a privilege"
        case _:
            return str(error.strerror or error)
