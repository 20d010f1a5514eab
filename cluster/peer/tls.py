"""Mutual TLS between nodes: this node's certificate, renewed while it runs.  Reads files.

    the files              what is done
    as they were           nothing: three `stat` calls
    new, and fit           the next handshakes use them, and links are re-made (`Links`)
    new, and of no use     the ones before stay in use; it is said once, if it is so at the next
                           look too: between two renames a certificate has another's key

    the peer's certificate          the peer must say in its hello
    names a node (`unidesk cert`)   that node's id
    names none                      what the cluster key proves, as ever

The name is a URI among the alternative names, `unidesk:node:n1`.

Source: RFC 8446; RFC 5280, 4.2.1.6 (alternative names).
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509

from cluster.peer.frames import HungUp, PeerRefused, in_words

NODE_URI = "unidesk:node:"
CA_MAX = 16
"""Authorities trusted at once; two during a rotation."""

log = structlog.get_logger()


class TlsRefused(Exception):
    """The files are of no use; the message names one, and the mend."""


@dataclass(frozen=True, slots=True)
class PeerTls:
    """The files: this node's certificate, its key, and the authorities that signed all nodes'."""

    cert: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True)
class TlsStatistics:
    """How the certificate does that is in use."""

    subject: str
    until_ms: int
    """When it ends, UTC."""
    renewals_total: int
    failed: str
    """Why the files on the disk are not those in use, in words; empty when they are."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    client: ssl.SSLContext
    server: ssl.SSLContext
    subject: str
    until: datetime
    foreign: bool
    """Whether none of the authorities signed it itself."""


class Certificates:
    """What this node shows and whom it believes.  Files are read at the first use."""

    def __init__(self, files: PeerTls) -> None:
        self._files = files
        self._stamp: tuple[tuple[int, int], ...] = ()
        self._loaded: _Loaded | None = None
        self._failed = ""
        self._failed_stamp: tuple[tuple[int, int], ...] = ()
        self.generation = 0
        """Counts the certificates that were in use: links of an earlier one are to be re-made."""

    def client(self) -> ssl.SSLContext:
        """Return the context of who dials.  Raises `PeerRefused` without usable files."""
        return self._current().client

    def server(self) -> ssl.SSLContext:
        """Return the context of who accepts.  Raises `PeerRefused` without usable files."""
        return self._current().server

    def look(self) -> None:
        """Take renewed files into use, if they are of use."""
        stamp = self._stamped()
        if self._loaded is not None and stamp == self._stamp:
            self._failed, self._failed_stamp = "", ()
            return
        try:
            self._loaded = _load(self._files)
        except TlsRefused as refused:
            self._note_failure(str(refused), stamp)
            return
        self._stamp, self._failed, self._failed_stamp = stamp, "", ()
        self.generation += 1
        if self.generation > 1:
            log.info("peer certificate renewed", **_words(self._loaded))

    def statistics(self) -> TlsStatistics:
        """Return how the certificate does that is in use."""
        loaded = self._loaded
        return TlsStatistics(
            subject=loaded.subject if loaded is not None else "",
            until_ms=int(loaded.until.timestamp() * 1000) if loaded is not None else 0,
            renewals_total=max(0, self.generation - 1),
            failed=self._failed,
        )

    def explain(self, peer: str, error: BaseException) -> str:
        """Return in words why a handshake with `peer` failed, and what would help.

        Who does not believe this node may end the connection before its alert is read: it hung up.
        """
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):
            cause = cause.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {peer} is not believed: {cause.verify_message}"
                f" (authorities: {self._files.ca}); its log names its file: see `unidesk cert show`"
                " there, and issue it anew with `unidesk cert rotate`"
            )
        loaded = self._loaded
        wrong = _wrong_with(loaded) if loaded is not None else ""
        if wrong and loaded is not None:
            return (
                f"{peer} does not believe this node: {self._files.cert} ({loaded.subject}, until"
                f" {loaded.until:%Y-%m-%d %H:%M}Z) {wrong};"
                " issue it anew with `unidesk cert rotate`"
            )
        reason = cause.reason if isinstance(cause, ssl.SSLError) else None
        if reason:
            return f"TLS with {peer}: {str(reason).replace('_', ' ').lower()}"
        return in_words(error)

    def _current(self) -> _Loaded:
        self.look()
        if self._loaded is None:
            raise PeerRefused(self._failed)
        return self._loaded

    def _note_failure(self, why: str, stamp: tuple[tuple[int, int], ...]) -> None:
        if self._loaded is None:
            self._failed = why  # whoever wants to dial or accept is told
        elif stamp == self._failed_stamp and why != self._failed:
            self._failed = why
            log.error("peer certificate not renewed", why=why, **_words(self._loaded))
        self._failed_stamp = stamp

    def _stamped(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(path) for path in (self._files.cert, self._files.key, self._files.ca))


def explain(certificates: Certificates | None, peer: str, error: BaseException) -> str:
    """Return in words why a link to `peer` failed: what it said, or else what its silence means."""
    silent = not isinstance(error, PeerRefused) or isinstance(error, HungUp)
    if silent and certificates is not None:
        return certificates.explain(peer, error)
    return in_words(error)


def check_name(certificate: dict[str, Any] | None, node: str) -> None:
    """Raise `PeerRefused` when the certificate of a peer names another node than `node`.

    `certificate` is as `ssl.SSLSocket.getpeercert` gives it.
    """
    names = certificate.get("subjectAltName", ()) if certificate else ()
    named = [
        value.removeprefix(NODE_URI)
        for kind, value in names
        if kind == "URI" and value.startswith(NODE_URI)
    ]
    if named and node not in named:
        raise PeerRefused(
            f"a node calls itself {node[:64]!r} and shows the certificate of {named[0][:64]!r}:"
            f" give it its own, `unidesk cert issue {node[:64]}`"
        )


def _load(files: PeerTls) -> _Loaded:
    """Return what the files hold.  Raises `TlsRefused`."""
    found = _certificates(files.cert)
    authorities = _certificates(files.ca)
    if len(authorities) > CA_MAX:
        raise TlsRefused(f"{files.ca}: {len(authorities)} authorities; at most {CA_MAX}")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # the handshake of `cluster.peer.handshake` proves the name
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    for context in (client, server):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(files.cert, files.key, _no_passphrase)
            context.load_verify_locations(files.ca)
        except (OSError, ssl.SSLError) as error:
            raise TlsRefused(
                f"{files.cert} and {files.key} are no certificate with its key: {error};"
                " issue both anew with `unidesk cert rotate`"
            ) from None
    own = found[0]
    return _Loaded(
        client,
        server,
        own.subject.rfc4514_string(),
        own.not_valid_after_utc,
        foreign=len(found) == 1 and not any(_signed(own, one) for one in authorities),
    )


def _certificates(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        raise TlsRefused(f"{path}: {error.strerror}; put it there, or mend [peer.tls]") from None
    except ValueError:
        raise TlsRefused(f"{path}: no certificate in PEM; see `unidesk cert issue`") from None


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # of whatever algorithm: cryptography has a family of its own for each
        return False
    return True


def _words(loaded: _Loaded) -> dict[str, str]:
    return {"in_use": loaded.subject, "until": loaded.until.isoformat()}


def _wrong_with(loaded: _Loaded) -> str:
    if loaded.until <= datetime.now(UTC):
        return "has expired"
    return "is of no authority that this node itself trusts" if loaded.foreign else ""


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)


def _no_passphrase() -> str:
    """Raise what OpenSSL would else ask the terminal for, with the whole node waiting."""
    raise OSError("the key has a passphrase, and nobody types it here: store it without")
