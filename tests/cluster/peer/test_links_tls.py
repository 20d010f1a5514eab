"""Links with mutual TLS: certificates of one authority, and nobody else."""

from pathlib import Path

import pytest
import trio
import trustme

from cluster.peer.frames import encode
from cluster.peer.links import Address
from cluster.peer.tls import PeerTls
from tests.cluster.peer.test_links import Node, free_address, until


def certificate(authority: trustme.CA, folder: Path, name: str) -> PeerTls:
    issued = authority.issue_cert(f"{name}.unidesk.test")
    cert, key, ca = (folder / f"{name}.{kind}.pem" for kind in ("cert", "key", "ca"))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    return PeerTls(str(cert), str(key), str(ca))


@pytest.fixture
async def addresses() -> dict[str, Address]:
    return {"n1": await free_address(), "n2": await free_address()}


async def test_frames_arrive_encrypted_and_in_order(
    addresses: dict[str, Address], nursery: trio.Nursery, tmp_path: Path
) -> None:
    authority = trustme.CA()
    one, two = (
        Node(me, addresses[me], {you: addresses[you]}, tls=certificate(authority, tmp_path, me))
        for me, you in (("n1", "n2"), ("n2", "n1"))
    )
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2"))
    for number in range(100):
        one.links.send("n2", encode("raft", {"number": number}))
    await until(lambda: len(two.frames) == 100)
    assert [body["number"] for _, _, body in two.frames] == list(range(100))


@pytest.mark.parametrize("other", ["another authority", "no TLS"])
async def test_who_has_no_certificate_of_the_authority_is_refused(
    addresses: dict[str, Address], nursery: trio.Nursery, tmp_path: Path, other: str
) -> None:
    (tmp_path / "own").mkdir()
    tls = certificate(trustme.CA(), tmp_path / "own", "n1")
    strange = certificate(trustme.CA(), tmp_path, "n2") if other != "no TLS" else None
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]}, tls=tls)
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]}, tls=strange)
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: len(one.lost) > 1 and len(two.lost) > 1)
    assert not one.links.connected("n2")
    assert not two.links.connected("n1")
    assert not one.frames
    assert not two.frames
