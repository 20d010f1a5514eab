"""`unidesk cert`, and the drill: all certificates rotated under live conversations."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509

from node.certs.authority import hosts_of, is_signed_by, issue, make_authority, node_of
from node.certs.folder import CertificateFolder, CertificatesRefused, read_certificates
from node.cli.app import run_app
from node.client import Client, Timing, open_client
from node.client.http import get
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend

UNIDESK = [sys.executable, "-m", "node", "cert"]
ONE_TRY = Timing(request_s=10.0, resend_s_max=10.0)
TIMING = {"timing": {"heartbeat": "100ms", "election": "1500ms-3s"}}
"""Slow elections: a change of leadership would be the rotation's fault, not this machine's."""


@pytest.fixture
def certs(tmp_path: Path) -> CertificateFolder:
    folder = CertificateFolder(tmp_path / "certs")
    folder.begin("the shop")
    return folder


# -- the folder


def test_a_certificate_names_its_node_and_hosts_and_is_of_the_authority(
    certs: CertificateFolder,
) -> None:
    made = certs.issue("n1", ["10.0.0.1", "desk.test"]).certificate
    assert node_of(made) == "n1"
    assert hosts_of(made) == ["desk.test", "10.0.0.1"]
    assert is_signed_by(made, certs.believed())
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    for name in ("ca", "n1"):
        assert certs.files(name).key.stat().st_mode & 0o777 == 0o600


def test_a_node_s_certificate_does_not_outlive_its_authority() -> None:
    authority = make_authority("short", days=3)
    made = issue(authority, "n1", days=365).certificate
    assert made.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("node", ["../n1", "a/b", "n1\n", "", "N1", "x" * 33, "ca"])
def test_what_is_no_node_s_id_makes_no_file(certs: CertificateFolder, node: str) -> None:
    certs.issue("n1", [])
    before = sorted(certs.path.parent.rglob("*"))
    with pytest.raises(CertificatesRefused):
        certs.issue(node, [])
    with pytest.raises(CertificatesRefused):
        certs.reissue(node)
    assert sorted(certs.path.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["", "x" * 65, "\udc80"])
def test_an_authority_s_name_fits_into_a_certificate(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificatesRefused, match="--name: 1 to 64 characters"):
        CertificateFolder(tmp_path).begin(name)


def test_a_file_of_another_node_s_name_is_not_made_anew(certs: CertificateFolder) -> None:
    certs.issue("n1", [])
    shutil.copy(certs.files("n1").cert, certs.files("n2").cert)
    with pytest.raises(CertificatesRefused, match="the certificate of 'n1'"):
        certs.reissue("n2")


def test_an_authority_that_has_expired_says_so(tmp_path: Path) -> None:
    folder = CertificateFolder(tmp_path)
    old = make_authority("old", days=1, now=datetime.now(UTC) - timedelta(days=3))
    folder._write("ca", old.key_pem, old.certificate_pem)
    with pytest.raises(CertificatesRefused, match=r"has expired.*rotate --ca"):
        folder.issue("n1", [])


def test_nothing_is_overwritten_unasked(certs: CertificateFolder) -> None:
    certs.issue("n1", [])
    before = certs.files("n1").cert.read_bytes()
    with pytest.raises(CertificatesRefused, match="--force"):
        certs.begin("x")
    with pytest.raises(CertificatesRefused, match="--force"):
        certs.issue("n1", [])
    assert certs.files("n1").cert.read_bytes() == before
    certs.issue("n1", [], force=True)
    assert certs.files("n1").cert.read_bytes() != before


def test_at_each_step_of_a_rotation_every_node_believes_every_other(
    certs: CertificateFolder,
) -> None:
    for node in ("n1", "n2"):
        certs.issue(node, ["127.0.0.1"])

    def believe_all(before: list[x509.Certificate]) -> bool:
        """Whether a node with the files of the step before, and one of this, go together."""
        return all(
            is_signed_by(one, authorities)
            for authorities in (before, certs.believed())
            for one in certs.nodes().values()
        )

    before = certs.believed()
    certs.rotate_authority()
    assert believe_all(before)
    before = certs.believed()
    with pytest.raises(CertificatesRefused, match="n1, n2: still of the authority before"):
        certs.finish_rotation()
    with pytest.raises(CertificatesRefused, match="under way"):
        certs.rotate_authority()
    certs.reissue("n1")
    assert believe_all(before)
    certs.reissue("n2")
    assert hosts_of(certs.nodes()["n2"]) == ["127.0.0.1"]
    before = certs.believed()
    assert certs.finish_rotation() == 1
    assert believe_all(before)
    assert len(certs.believed()) == 1


@pytest.mark.parametrize(("name", "data"), [("ca.crt", b"x"), ("ca.key", b"x"), ("ca.key", None)])
def test_a_broken_folder_is_named_with_the_mend(
    certs: CertificateFolder, name: str, data: bytes | None
) -> None:
    if data is None:
        (certs.path / name).unlink()
    else:
        (certs.path / name).write_bytes(data)
    with pytest.raises(CertificatesRefused, match=rf"{name}: "):
        certs.issue("n1", [])


# -- the drill


async def cert(*arguments: object) -> None:
    done = await trio.run_process(
        [*UNIDESK, *map(str, arguments)], capture_stdout=True, capture_stderr=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


class Shop(LocalCluster):
    """Three nodes with TLS between them; each has its own copies of its files."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "desk", sections={**TIMING, **UNLIMITED})
        self.certs = CertificateFolder(path / "certs")
        write = self.folder.write_configs

        def with_tls(*given: Any, **more: Any) -> None:
            write(*given, **more)
            for name in self.names:
                with self.folder.config(name).open("a") as file:
                    file.write(f'[peer.tls]\ncert = "{name}/{name}.crt"\n')
                    file.write(f'key = "{name}/{name}.key"\nca = "{name}/ca.crt"\n')

        self.folder.write_configs = with_tls  # type: ignore[method-assign]

    def bring(self, name: str, *files: str) -> None:
        """Copy files of the authority's folder to a node, each renamed into place."""
        folder = self.folder.path / name
        folder.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(self.certs.path / file, folder / "new")
            (folder / "new").replace(folder / file)

    def spoil(self, name: str) -> None:
        """Put something in the place of a node's certificate that is none."""
        (self.folder.path / name / f"{name}.crt").write_text("no certificate")

    async def page(self, name: str) -> dict[str, Any]:
        proof = self.folder.pass_for_pages()
        answer = await get(self.address(name), "/cluster", timeout_s=30, token=proof)
        page: dict[str, Any] = json.loads(answer.body)
        return page

    async def renewed(self, total: int, names: tuple[str, ...] | None = None) -> None:
        """Wait until nodes took so many renewals into use, on all their links."""
        with trio.fail_after(60):
            for name in names or self.names:
                while not _is_renewed(await self.page(name), total):
                    await trio.sleep(0.1)


def _is_renewed(page: dict[str, Any], total: int) -> bool:
    links = [one.get("remade_total", total) for one in page["nodes"]]
    return bool(page["peer_tls"]["renewals_total"] >= total and min(links) >= total)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.05)


@asynccontextmanager
async def talking(shop: Shop, answered: list[int]) -> AsyncIterator[list[Client]]:
    """Keep one WebSocket to each node, on which somebody says one thing after the other."""

    async def talk(client: Client) -> None:
        cv = (await client.request(CvOpen(key="o", text="hello")))["cv"]
        number = 0
        while True:
            number += 1
            await client.request(MsgSend(cv=cv, key=f"k{number}", body=f"{number}"))
            answered.append(number)
            await trio.sleep(0.01)

    async with AsyncExitStack() as stack:
        clients = []
        for number, name in enumerate(shop.names):
            token = shop.mint("visitor", f"v{number}")
            client = await stack.enter_async_context(
                open_client([shop.url(name)], token, timing=ONE_TRY)
            )
            clients.append(client)
        nursery = await stack.enter_async_context(trio.open_nursery())
        for client in clients:
            nursery.start_soon(talk, client)
        yield clients
        nursery.cancel_scope.cancel()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_all_certificates_are_rotated_without_a_dropped_websocket(tmp_path: Path) -> None:
    shop, at = Shop(tmp_path), ("--dir", tmp_path / "certs")
    await cert("init", *at)
    for name in shop.names:
        await cert("issue", name, "--host", "127.0.0.1", *at)
        shop.bring(name, "ca.crt", f"{name}.key", f"{name}.crt")
    answered: list[int] = []
    async with shop, talking(shop, answered) as clients:
        await trio.sleep(0.5)
        leader = await shop.page(await shop.wait_leader())

        await cert("rotate", *at)
        for name in shop.names:
            shop.bring(name, f"{name}.key", f"{name}.crt")
        await shop.renewed(1)
        await cert("rotate", "--ca", *at)
        for name in shop.names:
            shop.bring(name, "ca.crt")
        await shop.renewed(2)
        await cert("rotate", *at)
        for name in shop.names:  # one after the other: old and new ones meet
            shop.bring(name, f"{name}.key", f"{name}.crt")
            await shop.renewed(3, (name,))
        await cert("rotate", "--ca", "--finish", *at)
        for name in shop.names:
            shop.bring(name, "ca.crt")
        await shop.renewed(4)

        said = len(answered)
        await until(lambda: len(answered) > said + 30)
        figures = [client.statistics() for client in clients]
        assert [one.reconnects for one in figures] == [0, 0, 0]
        assert [one.resends for one in figures] == [0, 0, 0]
        assert [one.gaps + one.jumps for one in figures] == [0, 0, 0]
        now = await shop.page(leader["node"])
        assert (now["role"], now["term"]) == ("leader", leader["term"])
        connects = [one.get("connects_total", 1) for one in now["nodes"]]
        assert connects == [1, 1, 1], now

        # A broken file keeps the old one in use, and is told.
        victim = next(name for name in shop.names if name != leader["node"])
        shop.spoil(victim)
        with trio.fail_after(60):
            while not (failed := (await shop.page(victim))["peer_tls"]["failed"]):
                await trio.sleep(0.1)
        assert f"{victim}.crt" in failed
        said = len(answered)
        await until(lambda: len(answered) > said + 30)
        shop.bring(victim, f"{victim}.crt")


def test_a_command_that_cannot_says_why_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = run_app(["cert", *arguments])
        told = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, told.out, told.err)

    nothing = run("issue", "n1")
    assert (nothing.returncode, "unidesk cert init" in nothing.stderr) == (1, True)
    assert run("init").returncode == 0
    bad = run("issue", "N 1")
    assert (bad.returncode, "no id of a node" in bad.stderr) == (2, True)
    issued = run("issue", "n1", "--host", "10.0.0.1")
    assert 'cert = "n1.crt"' in issued.stdout
    shown = json.loads(run("show", "--json").stdout)
    assert [one["node"] for one in shown] == ["", "n1"]
    assert len(read_certificates(tmp_path / "n1.crt")) == 1
