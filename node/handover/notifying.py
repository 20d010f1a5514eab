"""What the service manager is told, if there is one that listens.  Talks to a datagram socket.

    READY=1                        it serves
    RELOADING=1                    an upgrade has begun
    MAINPID=..., READY=1           another process is the node now

Source: sd_notify(3); systemd.service(5), Type=notify.
"""

import contextlib
import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"


def ready() -> None:
    """Say that this process serves."""
    _notify("READY=1")


def reloading() -> None:
    """Say that an upgrade has begun; `ready` or `goes_on_in` is due."""
    _notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")


def goes_on_in(pid: int) -> None:
    """Say that another process is the one to watch, and that it serves."""
    _notify(f"MAINPID={pid}", "READY=1")


def _notify(*words: str) -> None:
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as handle, contextlib.suppress(OSError):
        handle.setblocking(False)
        handle.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
        handle.send("\n".join(words).encode())
