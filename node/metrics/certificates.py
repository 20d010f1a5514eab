"""Until when the certificates of this node hold.  Talks to the file system.

    use      which
    client   what clients are shown
    peer     what other nodes are shown
    peer_ca  whom this node believes

A file is read again when it has changed; one that cannot be read has no line, and whoever needs
it says why in the log.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from prometheus_client.core import Metric

from node.config import Config
from node.metrics.families import gauges


class Certificates:
    """Files and what they said last."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._known: dict[Path, tuple[int, float]] = {}

    @classmethod
    def of(cls, config: Config) -> "Certificates":
        """Return those that a configuration names."""
        files = {}
        if config.client.tls is not None:
            files["client"] = config.client.tls.cert
        if config.peer.tls is not None:
            files |= {"peer": config.peer.tls.cert, "peer_ca": config.peer.tls.ca}
        return cls(files)

    def not_after_s(self) -> dict[str, float]:
        """Return the end of each, in seconds since 1970: of the first in a file to end."""
        found = {}
        for use, path in self._files.items():
            try:
                found[use] = self._end_s(path)
            except (OSError, ValueError):
                continue
        return found

    def _end_s(self, path: Path) -> float:
        changed_ns = path.stat().st_mtime_ns
        known = self._known.get(path)
        if known is None or known[0] != changed_ns:
            ends = [one.not_valid_after_utc for one in _read(path)]
            self._known[path] = known = (changed_ns, min(ends).timestamp())
        return known[1]


def _read(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def of_certificates(certificates: Certificates) -> Iterator[Metric]:
    """Yield when each ends."""
    ends = certificates.not_after_s()
    text = "When a certificate ends, since 1970"
    yield gauges("certificate_not_after_timestamp_seconds", text, "use", ends)
