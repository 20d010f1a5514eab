"""Loopback ports that nobody has, and that no outgoing connection takes.  Talks to sockets, a file.

    found free ──claimed──▶ the caller's ──▶ bound by a node, free again, bound …
                              until the caller's process ends

A node binds its ports seconds after they were found, and not while it is down: meanwhile they look
free to everybody.  So whoever finds ports claims them, by a lock on a byte of a file in the
system's folder for what is temporary; the kernel gives it back when the process ends.
"""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so a port stays free until it is bound, and that
of a stopped node as well."""
PORT_TRIES_MAX = 200
_claimed: set[int] = set()
"""By this process: its own locks do not keep it off."""


class NoPort(Exception):
    """None of many ports was free."""


def free_ports(count: int, wanted: Sequence[int] = ()) -> list[int]:
    """Return `count` free ports, those of `wanted` in their places as far as they are free.

    They are held all at once, so that they differ, and are not found again, by whomever, while this
    process lives; `wanted` ones are only kept from others.  Raises `NoPort`.
    """
    chance = random.SystemRandom()
    found: list[int] = []
    with ExitStack() as held:
        for place in range(count):
            fresh = [port for port in chance.sample(PORTS, PORT_TRIES_MAX) if port not in _claimed]
            tries = [*wanted[place : place + 1], *fresh]
            port = next((port for port in tries if _try_hold(held, port) and _claim(port)), None)
            if port is None:
                raise NoPort("no free port on loopback")
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Say whether nobody listens on `port`."""
    with ExitStack() as held:
        return _try_hold(held, port)


def _try_hold(held: ExitStack, port: int) -> bool:
    listener = held.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        return False
    return True


def _claim(port: int) -> bool:
    """Say whether `port` is this process's now, also where no claims can be kept."""
    claims = _claims()
    if claims is not None:
        try:
            fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
    _claimed.add(port)
    return True


@cache
def _claims() -> int | None:
    """Open the file of the claims of this user; it is never closed, which would end them."""
    path = Path(tempfile.gettempdir()) / f"unidesk-ports-{os.getuid()}"
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
