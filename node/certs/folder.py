"""The folder of a cluster's authority.  Reads and writes files; blocks.

    ca.crt   whom nodes believe: the newest authority first, during a rotation the one before too
    ca.key   the newest authority's key (mode 0600): whoever has it can make nodes
    n1.crt   a node's certificate
    n1.key   its key (mode 0600)

    rotation of the authority      ca.crt      ca.key     nodes' certificates
    before                         A           A          A
    rotate_authority               B A         B          A
    reissue, node by node          B A         B          A, B
    finish_rotation                B           B          B

At each row every node believes every other one, also a node that still has the row before: so the
files may travel to the nodes one after the other.  The key comes before its certificate, and each
is renamed into place: a node that looks in between keeps what it has.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.certs.authority import (
    CA_DAYS,
    NODE_DAYS,
    Pair,
    hosts_of,
    is_signed_by,
    issue,
    make_authority,
    node_of,
    pem_of,
)
from node.tables import NAME

CA = "ca"


class CertificatesRefused(Exception):
    """It cannot be done; the message names the file and the mend."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate and its key are."""

    cert: Path
    key: Path


class CertificateFolder:
    """One cluster's authority and nodes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self, name: str) -> Files:
        """Return where the certificate and the key of `name` are."""
        return Files(self.path / f"{name}.crt", self.path / f"{name}.key")

    # -- the authority

    def begin(self, name: str, *, days: int = CA_DAYS, force: bool = False) -> Pair:
        """Make the authority.

        Raises `CertificatesRefused` when there is one, or no certificate can have the name.
        """
        self._refuse_existing(CA, force=force)
        try:
            made = make_authority(name, days=days)
        except ValueError:
            raise CertificatesRefused("--name: 1 to 64 characters") from None
        self._write(CA, made.key_pem, made.certificate_pem)
        return made

    def rotate_authority(self, *, days: int = CA_DAYS, force: bool = False) -> Pair:
        """Make the next authority; the one before is still believed.

        Raises `CertificatesRefused` when a rotation is under way, or there is no authority.
        """
        current = self.authority()
        believed = self.believed()
        if len(believed) > 1 and not force:
            raise CertificatesRefused(
                f"{self.files(CA).cert}: a rotation is under way already; end it with"
                " `unidesk cert rotate --ca --finish`"
            )
        common = current.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        made = make_authority(str(common[0].value) if common else "unidesk CA", days=days)
        both = made.certificate_pem + pem_of(current.certificate)
        # Believed first: a crash leaves a bundle that is too large, and a key that still works.
        _write(self.files(CA).cert, both, 0o644)
        _write(self.files(CA).key, made.key_pem, 0o600)
        return made

    def finish_rotation(self, *, force: bool = False) -> int:
        """Believe the newest authority alone; return how many are believed no more.

        Raises `CertificatesRefused` while a node's certificate here is of an earlier one.
        """
        newest = self.authority().certificate
        old = [name for name, one in self.nodes().items() if not is_signed_by(one, [newest])]
        if old and not force:
            raise CertificatesRefused(
                f"{', '.join(old)}: still of the authority before; `unidesk cert rotate"
                f" {' '.join(old)}` first, and bring the files to the nodes"
            )
        dropped = len(self.believed()) - 1
        _write(self.files(CA).cert, pem_of(newest), 0o644)
        return dropped

    def authority(self) -> Pair:
        """Return the newest authority.  Raises `CertificatesRefused` when there is none."""
        files = self.files(CA)
        key = _read_key(files.key)
        for one in self.believed():
            if one.public_key() == key.public_key():
                return Pair(one, key)
        raise CertificatesRefused(f"{files.key} is not the key of {files.cert}: put the right one")

    def believed(self) -> list[x509.Certificate]:
        """Return the authorities in ca.crt.  Raises `CertificatesRefused`."""
        return read_certificates(self.files(CA).cert)

    # -- nodes

    def issue(
        self, node: str, hosts: Sequence[str], *, days: int = NODE_DAYS, force: bool = False
    ) -> Pair:
        """Make the certificate of a node.  Raises `CertificatesRefused` when it has one."""
        check_node(node)
        self._refuse_existing(node, force=force)
        authority = self.authority()
        until = authority.certificate.not_valid_after_utc
        if until <= datetime.now(UTC):
            raise CertificatesRefused(
                f"{self.files(CA).cert}: the authority has expired, on {until:%Y-%m-%d}:"
                " `unidesk cert rotate --ca` makes the next one"
            )
        try:
            made = issue(authority, node, hosts, days=days)
        except ValueError as error:
            raise CertificatesRefused(f"--host: {error}") from None
        self._write(node, made.key_pem, made.certificate_pem)
        return made

    def reissue(self, node: str, *, days: int = NODE_DAYS) -> Pair:
        """Make a node's certificate anew, with a new key and the same hosts.

        Raises `CertificatesRefused` when it has none.
        """
        check_node(node)
        before = read_certificates(self.files(node).cert)[0]
        if node_of(before) != node:
            raise CertificatesRefused(
                f"{self.files(node).cert} is the certificate of {node_of(before) or 'no node'!r}:"
                " a node's file has its name"
            )
        return self.issue(node, hosts_of(before), days=days, force=True)

    def nodes(self) -> dict[str, x509.Certificate]:
        """Return the nodes' certificates in the folder, by name."""
        found = {}
        for path in sorted(self.path.glob("*.crt")):
            first = read_certificates(path)[0]
            if node_of(first):
                found[path.stem] = first
        return found

    # -- files

    def _refuse_existing(self, name: str, *, force: bool) -> None:
        for file in (self.files(name).cert, self.files(name).key):
            if file.exists() and not force:
                raise CertificatesRefused(
                    f"{file} exists, and is not overwritten: give --force to replace it"
                )

    def _write(self, name: str, key: bytes, certificate: bytes) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CertificatesRefused(f"{self.path}: {error.strerror}") from None
        files = self.files(name)
        _write(files.key, key, 0o600)
        _write(files.cert, certificate, 0o644)


def check_node(node: str) -> None:
    """Raise `CertificatesRefused` unless it is a node's id, which makes a file's name too."""
    if node == CA:
        raise CertificatesRefused(f"{CA!r} is the authority's name: call the node otherwise")
    if not NAME.fullmatch(node):
        raise CertificatesRefused(
            f"{node[:64]!r} is no id of a node: a-z, 0-9, _ and -, at most 32"
        )


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates in a file.  Raises `CertificatesRefused`."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificatesRefused(
            f"{path}: {error.strerror}; `unidesk cert init` makes an authority,"
            " `unidesk cert issue` a node's certificate"
        ) from None
    except ValueError:
        raise CertificatesRefused(f"{path}: this is no certificate in PEM") from None


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificatesRefused(
            f"{path}: {error.strerror}; this needs the folder where `unidesk cert init` was run"
        ) from None
    except (ValueError, TypeError) as error:
        raise CertificatesRefused(f"{path}: no key without a passphrase: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificatesRefused(f"{path}: no ECDSA key, as `unidesk cert init` makes one")
    return key


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put `data` at `path`, whole or not at all."""
    tmp = path.with_name(path.name + ".tmp")
    try:
        tmp.unlink(missing_ok=True)
        descriptor = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        tmp.replace(path)
    except OSError as error:
        raise CertificatesRefused(f"{path}: {error.strerror}") from None
