"""Loopback ports that nobody has, and that no outgoing connection takes.  Talks to sockets."""

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so a port stays free until it is bound, and that
of a stopped node as well."""
PORT_TRIES_MAX = 200


class NoPort(Exception):
    """None of many ports was free."""


def free_ports(count: int, wanted: Sequence[int] = ()) -> list[int]:
    """Return `count` free ports, those of `wanted` in their places as far as they are free.

    They are held all at once, so that they differ.  Raises `NoPort`.
    """
    chance = random.SystemRandom()
    found: list[int] = []
    with ExitStack() as held:
        for place in range(count):
            tries = [*wanted[place : place + 1], *chance.sample(PORTS, PORT_TRIES_MAX)]
            port = next((port for port in tries if _try_hold(held, port)), None)
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
