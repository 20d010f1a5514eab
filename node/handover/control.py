"""The door of a node for commands on its own machine.  Talks to a Unix socket.

The socket is in the node's data folder, for its own user alone; whoever else gets there is told so.
Its name is bound while the folder is locked, so that a name that is there before is a stale one.
Folders may have longer names than a socket's: they are gone through by descriptor.

Source: unix(7), sun_path, SO_PEERCRED; proc(5), /proc/pid/fd.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import structlog
import trio

from node.handover.asking import LINE_BYTES_MAX, Asked, Told, line, read_asked
from node.handover.errors import HandoverFailed, NodeLost

NAME = "control.sock"
ASK_S = 5.0
"""For a command to say what it wants."""
ASKING_MAX = 8
_CREDENTIALS = struct.Struct("3i")

log = structlog.get_logger(__name__)

Serve = Callable[[Asked, Callable[[str], None]], Awaitable[int]]


class Control:
    """Serves commands, one upgrade at a time."""

    def __init__(
        self, folder: Path, upgrade: Serve, *, on_done: Callable[[], None] = lambda: None
    ) -> None:
        """`upgrade` returns a pid; raises `HandoverFailed` or `NodeLost`.

        `on_done` is called when who asked has been told of an upgrade that is done.
        """
        self._on_done = on_done
        self._folder = folder
        self._upgrade = upgrade
        self._upgrading = False
        self._asking = 0
        self.bound = False
        """Whether who looks for this node finds this process."""

    async def serve(self) -> None:
        """Serve until cancelled; then nobody finds the socket any more.

        Raises `NodeLost`, in a group, when that became of an upgrade.
        """
        try:
            bound = self._bind()
        except OSError as error:
            log.warning("no upgrades: the door cannot be opened", why=str(error))
            return
        with bound as listener:
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
            try:
                await trio.serve_listeners(self._answer, listeners)
            finally:
                self.leave()

    def leave(self) -> None:
        """Leave the name to another process."""
        if self.bound:
            self.bound = False
            (self._folder / NAME).unlink(missing_ok=True)

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        try:
            os.fchmod(listener.fileno(), 0o600)
            (self._folder / NAME).unlink(missing_ok=True)
            with _by_descriptor(self._folder) as path:
                listener.bind(path)
            listener.listen(ASKING_MAX)
        except OSError:
            listener.close()
            raise
        self.bound = True
        return listener

    async def _answer(self, stream: trio.SocketStream) -> None:
        if self._asking >= ASKING_MAX:
            await stream.aclose()
            return
        self._asking += 1
        try:
            async with stream:
                await self._serve_one(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # whoever asked is not interested any more
        finally:
            self._asking -= 1

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        try:
            asked = await self._asked(stream)
        except ValueError as error:
            await stream.send_all(line(Told(f"not understood: {error}", refused=True)))
            return
        if self._upgrading:
            await stream.send_all(line(Told("an upgrade is under way already", refused=True)))
            return
        self._upgrading = True
        try:
            await self._upgrade_for(stream, asked)
        finally:
            self._upgrading = False

    async def _upgrade_for(self, stream: trio.SocketStream, asked: Asked) -> None:
        """Do it, whether or not the one who asked hears it out."""

        def tell(text: str) -> None:
            log.info("upgrade", step=text)
            steps_in.send_nowait(Told(text))

        steps_in, steps_out = trio.open_memory_channel[Told](16)
        lost: NodeLost | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_on, steps_out, stream)
            with steps_in:
                try:
                    pid = await self._upgrade(asked, tell)
                    last = Told(f"process {pid} is the node", done=True, pid=pid)
                except HandoverFailed as failed:
                    last = Told(str(failed), refused=True)
                    log.warning("upgrade refused", why=str(failed))
                except NodeLost as error:
                    last, lost = Told(str(error), refused=True, lost=True), error
                steps_in.send_nowait(last)
        if lost is not None:
            raise lost
        if last.done:
            self._on_done()

    async def _asked(self, stream: trio.SocketStream) -> Asked:
        """Return the request.  Raises `ValueError`."""
        credentials = stream.socket.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        if uid not in (0, os.geteuid()):
            raise ValueError("this node is another user's")
        data = b""
        with trio.move_on_after(ASK_S):
            while b"\n" not in data:
                more = await stream.receive_some(LINE_BYTES_MAX)
                data += more
                if not more or len(data) > LINE_BYTES_MAX:
                    break
        asked, end, _ = data.partition(b"\n")
        if not end:
            raise ValueError(f"no line of at most {LINE_BYTES_MAX} bytes within {ASK_S:g} s")
        return read_asked(asked)


async def _pass_on(steps: trio.MemoryReceiveChannel[Told], stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for told in steps:
            with trio.move_on_after(ASK_S):
                await stream.send_all(line(told))


def connect(folder: Path) -> socket.socket:
    """Return a connection to the node whose data is in `folder`.  Raises `OSError`."""
    handle = socket.socket(socket.AF_UNIX)
    try:
        with _by_descriptor(folder) as path:
            handle.connect(path)
    except OSError:
        handle.close()
        raise
    return handle


@contextlib.contextmanager
def _by_descriptor(folder: Path) -> Iterator[str]:
    """Yield a short name of the socket in `folder`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)
