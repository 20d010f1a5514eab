"""Descriptors on their way to another process.  Talks to one end of a socket pair; never waits.

    predecessor                                      successor
    send: in flight, before the message about them   take, when that message comes

A message here is a number and the descriptors that belong together; packets keep them apart.

Source: unix(7), SCM_RIGHTS; recvmsg(2), MSG_CMSG_CLOEXEC.
"""

import os
import socket
from array import array
from collections.abc import Iterable, Sequence

FDS_MAX = 253
_NUMBER_BYTES = 8


class Mismatch(Exception):
    """Other descriptors came than were spoken of: the two processes are at odds."""


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends, the first of which never blocks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def send(channel: socket.socket, number: int, fds: Sequence[int]) -> None:
    """Pass copies of `fds`.  Raises `BlockingIOError`: nothing was passed, try again."""
    assert 0 < len(fds) <= FDS_MAX
    socket.send_fds(channel, [number.to_bytes(_NUMBER_BYTES, "big")], fds)


def take(channel: socket.socket, number: int, count: int) -> list[int]:
    """Return the `count` descriptors that were sent as `number`.  Raises `Mismatch`."""
    flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
    room = socket.CMSG_LEN(FDS_MAX * array("i").itemsize)
    try:
        # Not `socket.recv_fds`, which forgets the flags it is given (CPython 3.11).
        data, control, _, _ = channel.recvmsg(_NUMBER_BYTES, room, flags)
    except BlockingIOError:
        raise Mismatch(f"no descriptors came with message {number}") from None
    fds = _descriptors(control)
    if int.from_bytes(data, "big") != number or len(fds) != count:
        for fd in fds:
            os.close(fd)
        raise Mismatch(f"{len(fds)} descriptors came, not the {count} of message {number}")
    return fds


def _descriptors(control: Iterable[tuple[int, int, bytes]]) -> list[int]:
    fds = array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)
