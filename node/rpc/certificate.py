"""The node's client certificate, as gRPC is shown it.  Reads files.

gRPC asks for each handshake whether there is a newer one, so that one that was renewed on disk is
found as by HTTP; files that are of no use leave what was there.
"""

import threading
import time
from pathlib import Path
from typing import Any

import grpc
import structlog

from node.edge.tls import Certificate, CertificateRefused

LOOK_S = 1.0
"""How often the files are looked at, at most."""

log = structlog.get_logger(__name__)


class RpcCertificate:
    """Credentials from two files."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raise `CertificateRefused` when they are no certificate with its key."""
        self._files = (cert, key)
        Certificate(cert, key)
        self._stamp = self._stamped()
        self._looked_s = 0.0
        self._lock = threading.Lock()  # handshakes are in threads of gRPC

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a server is opened with.  Raises `CertificateRefused`."""
        newer: Any = self._newer  # which says None for "none", unlike grpcio's stubs
        return grpc.dynamic_ssl_server_credentials(self._read(), newer)

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate if the files have changed to another good one."""
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._looked_s + LOOK_S:
                return None
            self._looked_s = now_s
            try:
                stamp = self._stamped()
                if stamp == self._stamp:
                    return None
                self._stamp = stamp
                Certificate(*self._files)
                return self._read()
            except CertificateRefused as refused:
                log.error("certificate not renewed for gRPC", error=str(refused))
                return None

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key = self._files
        try:
            return grpc.ssl_server_certificate_configuration(
                [(key.read_bytes(), cert.read_bytes())]
            )
        except OSError as error:
            raise CertificateRefused(f"{error.filename}: {error.strerror}") from None

    def _stamped(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in self._files)
        except OSError as error:
            raise CertificateRefused(f"{error.filename}: {error.strerror}") from None
