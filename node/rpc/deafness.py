"""Sockets of one port from which this process hears nothing.  Talks to the operating system.

    hear_nothing ──▶ every TCP socket here of that port ──▶ a filter that takes no byte of a packet
    hear         ──▶ the same sockets                   ──▶ none

grpcio keeps its sockets to itself, so they are looked for among all of the process.  To the other
side it is as if the network were gone: nothing is acknowledged, nobody is let in, and when it is
over TCP says again what was lost.  A number may go to another socket while it is looked at, so
what is looked at is a duplicate.  A socket's filter ends with it, and so with the process.

Source: socket(7), SO_ATTACH_FILTER; Linux, Documentation/networking/filter.rst.
"""

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
from pathlib import Path

OPEN_FILES = Path("/proc/self/fd")
_ATTACH_FILTER = 26
_DETACH_FILTER = 27
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""BPF_RET | BPF_K of 0: so much of each packet is taken."""


class Deafness:
    """Of the sockets of one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: dict[int, socket.socket] = {}
        """Duplicates of those that are deaf, by inode."""
        self._others: set[int] = set()
        """Inodes of the rest; there may be ten thousand, and they are looked at often."""

    def hear_nothing(self) -> None:
        """Let all sockets be deaf that are there now; those that were stay so.

        Raises `OSError` where the system cannot, or no descriptor is left: some may be heard then.
        """
        program = ctypes.create_string_buffer(_RETURN_NOTHING)
        address = struct.pack("HL", 1, ctypes.addressof(program))
        for entry in os.listdir(OPEN_FILES):  # noqa: PTH208 - numbers, and very many
            try:
                found = self._duplicate(int(entry))
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise
                continue  # it is closed by now
            if found is not None:
                self._sockets[os.fstat(found.fileno()).st_ino] = found
                found.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, address)

    def hear(self) -> None:
        """Let all of them hear again.  Harmless when none is deaf."""
        deaf, self._sockets = self._sockets, {}
        for one in deaf.values():
            with one, contextlib.suppress(OSError):  # none was attached
                one.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)

    def _duplicate(self, number: int) -> socket.socket | None:
        """Return a duplicate of a descriptor if it is of the port, and not deaf yet.

        Raises `OSError` when it is no descriptor any more.
        """
        if self._is_known(os.fstat(number)):
            return None
        fd = os.dup(number)
        try:
            one = socket.socket(fileno=fd)
        except OSError:  # another has the number by now
            os.close(fd)
            return None
        port = one.getsockname()[1] if _is_tcp(one) else None
        if port == self._port:
            return one
        if port != 0:  # else it may be of the port yet
            self._others.add(os.fstat(fd).st_ino)
        one.close()
        return None

    def _is_known(self, status: os.stat_result) -> bool:
        """Whether it is no socket, or was looked at already."""
        known = status.st_ino in self._sockets or status.st_ino in self._others
        return known or not stat.S_ISSOCK(status.st_mode)


def _is_tcp(one: socket.socket) -> bool:
    return one.type == socket.SOCK_STREAM and one.family in (socket.AF_INET, socket.AF_INET6)
