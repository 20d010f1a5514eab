"""Links with mutual TLS: certificates of one authority, and nobody else."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from cluster.peer import links
from cluster.peer.address import Address
from cluster.peer.frames import HungUp, PeerRefused, encode
from cluster.peer.tls import CA_MAX, Certificates, PeerTls
from node.certs.authority import issue, make_authority
from node.certs.folder import CertificateFolder
from tests.cluster.peer.linked import Node, free_address, until


def certificate(authority: trustme.CA, folder: Path, name: str) -> PeerTls:
    issued = authority.issue_cert(f"{name}.unidesk.test")
    cert, key, ca = (folder / f"{name}.{kind}.pem" for kind in ("cert", "key", "ca"))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    return PeerTls(str(cert), str(key), str(ca))


@pytest.fixture
def addresses() -> dict[str, Address]:
    return {"n1": free_address(), "n2": free_address()}


Pair = Callable[[Mapping[str, PeerTls | None]], Awaitable[tuple[Node, Node]]]


@pytest.fixture
async def running(addresses: dict[str, Address], nursery: trio.Nursery) -> Pair:
    """Start n1 and n2, which know each other and show what they are given."""

    async def start(tls: Mapping[str, PeerTls | None]) -> tuple[Node, Node]:
        one, two = (
            Node(me, addresses[me], {you: addresses[you]}, tls=tls[me])
            for me, you in (("n1", "n2"), ("n2", "n1"))
        )
        await nursery.start(one.links.run)
        await nursery.start(two.links.run)
        return one, two

    return start


async def test_frames_arrive_encrypted_and_in_order(running: Pair, tmp_path: Path) -> None:
    authority = trustme.CA()
    one, two = await running({me: certificate(authority, tmp_path, me) for me in ("n1", "n2")})
    await until(lambda: one.links.connected("n2"))
    for number in range(100):
        one.links.send("n2", encode("raft", {"number": number}))
    await until(lambda: len(two.frames) == 100)
    assert [body["number"] for _, _, body in two.frames] == list(range(100))


@pytest.mark.parametrize("other", ["another authority", "no TLS"])
async def test_who_has_no_certificate_of_the_authority_is_refused(
    running: Pair, tmp_path: Path, other: str
) -> None:
    (tmp_path / "own").mkdir()
    tls = certificate(trustme.CA(), tmp_path / "own", "n1")
    strange = certificate(trustme.CA(), tmp_path, "n2") if other != "no TLS" else None
    one, two = await running({"n1": tls, "n2": strange})
    await until(lambda: len(one.lost) > 1 and len(two.lost) > 1)
    assert not one.links.connected("n2")
    assert not two.links.connected("n1")
    assert not one.frames
    assert not two.frames


# -- certificates of `unidesk cert`


def issued(certs: CertificateFolder, folder: Path, name: str, *, node: str = "") -> PeerTls:
    """Put a node's own copies into `folder`; `node` is whom the certificate names."""
    folder.mkdir(exist_ok=True)
    certs.issue(node or name, ["127.0.0.1"], force=True)
    files = PeerTls(*(str(folder / f"{name}.{kind}") for kind in ("crt", "key", "ca")))
    bring(certs, files, node or name)
    return files


def put(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


def content(path: str | Path) -> bytes:
    return Path(path).read_bytes()


def bring(certs: CertificateFolder, files: PeerTls, name: str) -> None:
    for source, target in (
        (certs.files(name).key, files.key),
        (certs.files(name).cert, files.cert),
        (certs.files("ca").cert, files.ca),
    ):
        Path(target + ".new").write_bytes(source.read_bytes())
        Path(target + ".new").replace(target)


@pytest.fixture
def certs(tmp_path: Path) -> CertificateFolder:
    folder = CertificateFolder(tmp_path / "certs")
    folder.begin("shop")
    return folder


async def test_who_shows_another_nodes_certificate_is_refused_although_it_has_the_key(
    running: Pair,
    tmp_path: Path,
    certs: CertificateFolder,
) -> None:
    tls = {
        "n1": issued(certs, tmp_path / "1", "n1"),
        "n2": issued(certs, tmp_path / "2", "n2", node="n3"),
    }
    one, two = await running(tls)
    await until(lambda: len(one.lost) > 1 and len(two.lost) > 1)
    why = one.links.statistics()["n2"].refused
    assert "calls itself 'n2' and shows the certificate of 'n3'" in why
    assert "the certificate of 'n3'" in two.links.statistics()["n1"].refused


async def test_a_certificate_that_names_no_node_is_believed_as_ever(
    running: Pair, tmp_path: Path, certs: CertificateFolder
) -> None:
    """Those of an authority that knows nothing of unidesk, on one side or on both."""
    other = trustme.CA()
    old, new = certificate(other, tmp_path, "n1"), issued(certs, tmp_path / "2", "n2")
    both = content(old.ca) + content(new.ca)
    put(old.ca, both)
    put(new.ca, both)
    one, two = await running({"n1": old, "n2": new})
    await until(lambda: one.links.connected("n2") and two.links.connected("n1"))


@pytest.mark.parametrize("wrong", ["has expired", "is of no authority that this node itself"])
async def test_a_certificate_that_is_not_believed_is_named_with_its_end_and_the_mend(
    running: Pair,
    tmp_path: Path,
    certs: CertificateFolder,
    wrong: str,
) -> None:
    tls = {name: issued(certs, tmp_path / name, name) for name in ("n1", "n2")}
    authority = certs.authority() if wrong == "has expired" else make_authority("another")
    earlier = datetime.now(UTC) - timedelta(days=9)
    bad = issue(authority, "n2", days=5 if wrong == "has expired" else 50, now=earlier)
    put(tls["n2"].cert, bad.certificate_pem)
    put(tls["n2"].key, bad.key_pem)
    one, two = await running(tls)
    await until(lambda: len(one.lost) > 1 and len(two.lost) > 1)
    assert not one.links.connected("n2")
    assert not two.links.connected("n1")
    at_n2 = two.links.statistics()["n1"].refused
    assert f"{tls['n2'].cert} (CN=n2, until {bad.certificate.not_valid_after_utc:%Y-%m-%d}" in at_n2
    assert wrong in at_n2
    assert "unidesk cert rotate" in at_n2
    at_n1 = one.links.statistics()["n2"].refused
    assert "the certificate of n2 is not believed" in at_n1
    assert tls["n1"].ca in at_n1


# -- files of no use at the start


def cut_short(tls: PeerTls) -> None:
    put(tls.cert, content(tls.cert)[:200])


def without_authority(tls: PeerTls) -> None:
    Path(tls.ca).unlink()


def without_key(tls: PeerTls) -> None:
    Path(tls.key).unlink()


def of_the_whole_world(tls: PeerTls) -> None:
    put(tls.ca, content(tls.ca) * (CA_MAX + 1))


def behind_a_passphrase(tls: PeerTls) -> None:
    key = load_pem_private_key(content(tls.key), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    locked = BestAvailableEncryption(b"secret")
    put(tls.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))


@pytest.mark.parametrize(
    ("spoil", "file", "told"),
    [
        (cut_short, "cert", "no certificate in PEM; see `unidesk cert issue`"),
        (without_authority, "ca", "No such file or directory; put it there, or mend [peer.tls]"),
        (without_key, "key", "are no certificate with its key"),
        (of_the_whole_world, "ca", f"{CA_MAX + 1} authorities; at most {CA_MAX}"),
        (behind_a_passphrase, "key", "has a passphrase, and nobody types it here"),
    ],
)
def test_files_that_cannot_be_used_are_named_until_they_can(
    tmp_path: Path,
    certs: CertificateFolder,
    spoil: Callable[[PeerTls], None],
    file: str,
    told: str,
) -> None:
    tls = issued(certs, tmp_path, "n1")
    kept = {path: content(path) for path in (tls.cert, tls.key, tls.ca)}
    spoil(tls)
    certificates = Certificates(tls)
    for use in (certificates.client, certificates.server):
        with pytest.raises(PeerRefused) as refused:
            use()
        assert getattr(tls, file) in str(refused.value)
        assert told in str(refused.value)
    assert certificates.statistics().failed == str(refused.value)
    assert certificates.statistics().until_ms == 0
    for path, data in kept.items():
        put(path, data)
    certificates.client()
    assert certificates.statistics().failed == ""


def test_a_failure_that_is_no_matter_of_certificates_is_told_as_it_is() -> None:
    certificates = Certificates(PeerTls("none", "none", "none"))
    assert (
        certificates.explain("n2", ConnectionResetError("reset")) == "ConnectionResetError: reset"
    )


def test_who_hangs_up_on_an_expired_certificate_is_understood(
    tmp_path: Path, certs: CertificateFolder
) -> None:
    """Not every OpenSSL lets the other side's alert be read before its end."""
    tls = issued(certs, tmp_path, "n1")
    earlier = datetime.now(UTC) - timedelta(days=9)
    bad = issue(certs.authority(), "n1", days=5, now=earlier)
    put(tls.cert, bad.certificate_pem)
    put(tls.key, bad.key_pem)
    certificates = Certificates(tls)
    certificates.client()
    assert "n2 does not believe this node" in certificates.explain("n2", HungUp("hung up"))


async def test_a_renewed_certificate_is_taken_into_use_without_losing_the_link_or_a_frame(
    running: Pair,
    tmp_path: Path,
    certs: CertificateFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "LOOK_S", 0.05)
    monkeypatch.setattr(links, "REMAKE_S", (0.0, 0.01))
    tls = {name: issued(certs, tmp_path / name, name) for name in ("n1", "n2")}
    one, two = await running(tls)
    await until(lambda: one.links.connected("n2"))
    lost = len(one.lost), len(two.lost)

    sent = 0
    for total in (1, 2, 3):
        certs.reissue("n1")
        bring(certs, tls["n1"], "n1")
        while one.links.statistics()["n2"].remade_total < total:
            one.links.send("n2", encode("raft", {"number": sent}))
            sent += 1
            await trio.sleep(0.001)
    await until(lambda: len(two.frames) == sent)
    assert sorted(body["number"] for _, _, body in two.frames) == list(range(sent))
    assert one.links.statistics()["n2"].connects_total == 1
    assert one.links.statistics()["n2"].dropped_total == 0
    assert (len(one.lost), len(two.lost)) == lost
    figures = one.links.tls_statistics()
    assert figures is not None
    assert (figures.renewals_total, figures.failed) == (3, "")


async def test_files_of_no_use_leave_the_old_certificate_in_use_and_are_told(
    running: Pair,
    tmp_path: Path,
    certs: CertificateFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "LOOK_S", 0.05)
    tls = {name: issued(certs, tmp_path / name, name) for name in ("n1", "n2")}
    one, _ = await running(tls)
    await until(lambda: one.links.connected("n2"))
    whole = content(tls["n1"].cert)
    put(tls["n1"].cert, content(certs.files("ca").cert))  # not of this key

    def failed() -> str:
        figures = one.links.tls_statistics()
        return figures.failed if figures is not None else ""

    await until(failed)
    assert tls["n1"].cert in failed()
    assert one.links.connected("n2")
    assert one.links.statistics()["n2"].remade_total == 0
    put(tls["n1"].cert, whole)
    await until(lambda: not failed())
