"""Lines that somebody types, without blocking whatever else goes on.  Talks to standard input.

A terminal or a pipe is waited for by the loop; a plain file, which cannot be, is read by a thread.
"""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio

LINE_BYTES_MAX = 64 * 1024
"""What is typed beyond is not read: a line of so much is refused for its size when it is sent."""
_CHUNK_BYTES = 4_096


@asynccontextmanager
async def open_lines(fd: int = 0) -> AsyncIterator[AsyncIterator[str]]:
    """Yield what comes in at `fd`, line by line, without the ends of lines."""
    async with aclosing(_lines(fd)) as lines:
        yield lines


async def _lines(fd: int) -> AsyncGenerator[str, None]:
    rest = b""
    while True:
        data = await _read(fd)
        if not data:
            break
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield _text(line)
        if len(rest) > LINE_BYTES_MAX:
            rest = rest[:LINE_BYTES_MAX]
    if rest:
        yield _text(rest)


async def _read(fd: int) -> bytes:
    try:
        await trio.lowlevel.wait_readable(fd)
    except OSError:  # epoll refuses plain files: they are always ready
        return await trio.to_thread.run_sync(_read_now, fd)
    return _read_now(fd)


def _read_now(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK_BYTES)
    except OSError:  # the terminal went away, or is none
        return b""


def _text(line: bytes) -> str:
    return line.decode(errors="replace").strip("\r")


def say_line(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
