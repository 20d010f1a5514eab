"""TLS on the sockets of the edge, without a task or a copy of what is waiting.

Talks to its socket through OpenSSL; never waits.

    accepted -> TlsHandshake --done--> Exchange, whose bytes pass through `Tls`
                             `-> dropped: late, or no TLS; who speaks plain HTTP is told so

A stream with a `Tls` asks it wherever another asks the kernel.  Records are at most 16 KiB, so a
read that asks for as much leaves nothing decrypted behind that no poller would report.  A write
that the kernel does not take has to be repeated with the same bytes: the frame it belongs to
counts as begun (`Stream`).

The certificate may be renewed on disk at any time: whoever comes later is shown the new one.

Source: RFC 8446; SSL_write(3), SSL_read(3) and SSL_shutdown(3) of OpenSSL.
"""

import contextlib
import errno
import select
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import trio

from node.edge.http import Response
from node.edge.stream import Stream

if TYPE_CHECKING:
    from node.edge.reactor import Reactor

RECORD_BYTES_MAX = 16 * 1024
RENEWAL_S = 30.0
"""How often the files are looked at."""
_PLAIN = Response(400, b"this port speaks TLS: use https or wss\n")

log = structlog.get_logger(__name__)


class CertificateRefused(Exception):
    """No such certificate, or not with this key; the message names the files."""


class _Accepted(ssl.SSLSocket):
    """A socket that was connected when it was accepted.

    Of any other `wrap_socket` reads a byte, and raises, if the peer has reset it meanwhile, with
    the descriptor already closed.  Here the handshake meets the reset, as any read does.
    """

    def getpeername(self) -> None:
        """Raise nothing: that is all it is asked for."""


class Certificate:
    """What the server shows, read anew when its files change."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raise `CertificateRefused`."""
        self._files = (cert, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.sslsocket_class = _Accepted
        self._stamp = self._stamped()
        self._load()

    async def keep_fresh(self) -> None:
        """Look at the files now and then, until cancelled."""
        while True:
            await trio.sleep(RENEWAL_S)
            self.renew()

    def renew(self) -> None:
        """Read the files if they have changed; keep what was there if they are of no use."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._load()
            log.info("certificate renewed", cert=str(self._files[0]))
        except CertificateRefused as refused:
            log.error("certificate not renewed", error=str(refused))

    def _load(self) -> None:
        cert, key = self._files
        try:
            trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # a failed load leaves half of it
            for context in (trial, self.context):
                context.load_cert_chain(cert, key, _no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise CertificateRefused(
                f"{cert} and {key} are no certificate with its key: {error}"
            ) from None

    def _stamped(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in self._files)
        except OSError as error:
            raise CertificateRefused(f"{error.filename}: {error.strerror}") from None


def _no_passphrase() -> str:
    """Raise what OpenSSL would else ask the terminal for, with the whole node waiting."""
    raise OSError("the key has a passphrase, and nobody types it here: store it without")


class Tls:
    """One connection's side of TLS, on a descriptor that belongs to its stream.

    Methods raise as the kernel's would: `BlockingIOError`, or another `OSError` when it is over.
    """

    __slots__ = ("_socket",)

    def __init__(self, context: ssl.SSLContext, fd: int) -> None:
        plain = socket.socket(fileno=fd)
        plain.setblocking(False)
        self._socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    def handshake(self) -> int:
        """Go on with the handshake; return the event it waits for, 0 when it is done."""
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return select.EPOLLIN
        except ssl.SSLWantWriteError:
            return select.EPOLLOUT
        return 0

    def read(self) -> bytes:
        """Return the bytes of one record, b"" at the end."""
        try:
            return self._socket.recv(RECORD_BYTES_MAX)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "no whole record yet") from None

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken."""
        try:
            return self._socket.send(data[:RECORD_BYTES_MAX])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "the record is not out yet") from None

    def finish(self) -> None:
        """Say that no more comes, so that the peer can tell the end from a cut."""
        with contextlib.suppress(OSError):  # it waits for the peer's, which nobody needs
            self._socket.unwrap()

    def release(self) -> None:
        """Leave the descriptor to its stream."""
        self._socket.detach()


class TlsHandshake(Stream):
    """One socket on its way to speaking HTTP within TLS."""

    __slots__ = ("_on_done",)

    established = False

    def __init__(
        self,
        reactor: "Reactor",
        fd: int,
        peer: str,
        context: ssl.SSLContext,
        on_done: Callable[["TlsHandshake"], None],
    ) -> None:
        super().__init__(reactor, fd, peer)
        self.tls = Tls(context, fd)
        self._on_done = on_done

    def ready(self, events: int) -> None:
        """Go on with the handshake."""
        assert self.tls is not None
        try:
            wanted = self.tls.handshake()
        except OSError as error:
            self._refuse(error)
            return
        if not wanted:
            self._on_done(self)
        elif wanted != self._watching:
            self._watching = wanted
            self._reactor.modify(self, wanted)

    def check(self, now: float) -> None:
        """Drop a peer that takes too long."""
        if now >= self.deadline:
            self._reactor.counters.refused["tls_late"] += 1
            self.drop()
        else:
            self.look_at(self.deadline)

    def received(self, data: bytes) -> None:
        """Nothing is read before the handshake is done."""
        raise AssertionError

    def settled(self) -> None:
        """Nobody knows of it yet."""

    def fail(self) -> None:
        """Drop it."""
        self.drop()

    def _refuse(self, error: OSError) -> None:
        self._reactor.counters.refused["tls"] += 1
        if isinstance(error, ssl.SSLError) and error.reason == "HTTP_REQUEST":
            assert self.tls is not None
            self.tls.release()
            self.tls = None
            said = _PLAIN.encode(connection="close", date=self._reactor.date)
            self._try_write(said)
        self.drop()
