"""A cluster's own authority, and the certificates of its nodes.  No I/O; draws keys and serials.

    certificate   subject                  key          says
    authority     CN=unidesk CA ID         ECDSA P-256  CA, path length 0; signs certificates, CRLs
    node          CN=n1                    ECDSA P-256  digital signature; server and client
                  URI unidesk:node:n1,
                  DNS and IP of its hosts

The URI is what nodes compare with the id in a peer's hello (`cluster.peer.tls`).  A certificate
counts from an hour before it was made: clocks of machines differ.

Source: RFC 5280, 4.2.1 (extensions); RFC 5480 (P-256); CA/Browser Forum baseline requirements, 7.1
(serial numbers of 64 bits of chance or more).
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.peer.tls import NODE_URI

HOST_CHARACTERS_MAX = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

CA_DAYS = 3650
NODE_DAYS = 365
EARLIER = timedelta(hours=1)
_NO_USES = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """PKCS #8, without a passphrase: a node starts unattended."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def make_authority(name: str, *, days: int = CA_DAYS, now: datetime | None = None) -> Pair:
    """Return a new authority, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, key.public_key(), days, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: Pair,
    node: str,
    hosts: Sequence[str] = (),
    *,
    days: int = NODE_DAYS,
    now: datetime | None = None,
) -> Pair:
    """Return a new certificate of `node`, with a new key; it does not outlive its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(NODE_URI + node)]
    names += [_host(host) for host in hosts]
    builder = (
        _builder(
            subject, issuer.subject, key.public_key(), days, now, latest=issuer.not_valid_after_utc
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def node_of(certificate: x509.Certificate) -> str:
    """Return the node that a certificate names; empty when it names none."""
    names = _alternative_names(certificate)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    return next((uri.removeprefix(NODE_URI) for uri in uris if uri.startswith(NODE_URI)), "")


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses of hosts in a certificate."""
    names = _alternative_names(certificate)
    if names is None:
        return []
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def is_signed_by(certificate: x509.Certificate, authorities: Collection[x509.Certificate]) -> bool:
    """Whether one of `authorities` signed it itself."""
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception:  # noqa: S112 - a family of its own for each algorithm
            continue
        return True
    return False


def pem_of(certificate: x509.Certificate) -> bytes:
    """Return a certificate as files hold it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    days: int,
    now: datetime | None,
    *,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    now = now or datetime.now(UTC)
    until = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(until if latest is None else min(until, latest))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**(_NO_USES | dict.fromkeys(uses, True)))


def is_host(text: str) -> bool:
    """Whether a machine may have this address or name (RFC 1123; and `_`, which many have)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.split(".")
        return len(text) <= HOST_CHARACTERS_MAX and all(map(_LABEL.fullmatch, labels))
    return True


def _host(host: str) -> x509.GeneralName:
    """Return an address or a name.  Raises `ValueError` for what is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
