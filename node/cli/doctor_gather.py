"""Facts for `unidesk doctor`.  Reads files, writes and removes a small one to time the disk, binds
ports for a moment; asks nodes.

Every question has a deadline, and one that cannot be answered leaves its fact unknown.
"""

import contextlib
import os
import resource
import socket
import stat
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.doctor_facts import CertificateFacts, Machine, Nodes
from node.client.address import is_loopback

if TYPE_CHECKING:
    from node.cli.nodes import Statuses
    from node.client.status import Proof
    from node.config import Config

SYNCS = 20
SYNC_BYTES = 4_096
PATIENCE_S = 2.0
DIGEST_TRIES = 5
DIGEST_PAUSE_S = 0.2
TCP_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")


# -- this machine


def gather_machine(path: Path, config: "Config", *, running: bool) -> Machine:
    """Return what is to be known of the machine of `config`, which `path` holds.

    `running`: the node answers, so that its ports may be taken, by itself.
    """
    folder = config.node.data
    why = _why_unusable(folder)
    here = folder if folder.exists() else folder.parent  # the first start makes it
    room = None if why else os.statvfs(here)
    key = _key_file(path)
    return Machine(
        config=str(path),
        node=config.node.id,
        key_file=str(key) if key is not None else str(path),
        key_mode=stat.S_IMODE((key or path).stat().st_mode),
        certificates=tuple(_certificate(one) for one in _certificates(config)),
        beyond_loopback_without_tls=_open_ways(config),
        clients_from_beyond=not is_loopback(config.client.listen[0]),
        observe="{}:{}".format(*config.observe.listen) if config.observe is not None else "",
        folder=str(folder),
        folder_why=why,
        filesystem=_filesystem(folder),
        free_bytes=room.f_bavail * room.f_frsize if room is not None else None,
        total_bytes=room.f_blocks * room.f_frsize if room is not None else None,
        sync_ms=None if why else _sync_ms(here),
        ports={} if running else dict(_taken_ports(config)),
        files_max=_files_max(),
        memory_free_bytes=_memory_free(),
        python=sys.version_info[:3],
        libraries=dict(_wrong_libraries()),
        workers=config.node.workers,
        migrate_requests=_migrate_requests(),
    )


def _key_file(path: Path) -> Path | None:
    import tomllib

    cluster: Any = tomllib.loads(path.read_text()).get("cluster", {})
    named = cluster.get("key_file")
    return path.parent / named if isinstance(named, str) else None


def _why_unusable(folder: Path) -> str:
    if not folder.exists():
        return "" if os.access(folder.parent, os.W_OK) else "this user may not make it"
    if not folder.is_dir():
        return "it is no folder"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "this user may not read and write there"
    return ""


def _certificates(config: "Config") -> Iterator[Path]:
    if config.client.tls is not None:
        yield config.client.tls.cert
    if config.peer.tls is not None:
        yield config.peer.tls.cert
        yield config.peer.tls.ca


def _certificate(path: Path) -> CertificateFacts:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        return CertificateFacts(str(path), None, f"cannot be read: {error}")
    ends = min(one.not_valid_after_utc for one in found)
    return CertificateFacts(str(path), (ends - datetime.now(UTC)).total_seconds() / 86_400)


def _open_ways(config: "Config") -> tuple[str, ...]:
    ways = (("client", config.client.listen, config.client.tls),)
    return tuple(name for name, (host, _), tls in ways if tls is None and not is_loopback(host))


def _filesystem(folder: Path) -> str:
    """Return the kind of file system, as /proc/mounts names it; empty when unknown."""
    best, kind = "", ""
    where = str(folder.resolve())
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, found, *_ = line.split(" ")
            inside = where == mount or where.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def _sync_ms(folder: Path) -> float | None:
    """Return what an `fdatasync` of 4 KiB takes, the median of some."""
    path = folder / f".doctor-{os.getpid()}"
    took: list[float] = []
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            for _ in range(SYNCS):
                os.write(handle, os.urandom(SYNC_BYTES))
                began = time.perf_counter()
                os.fdatasync(handle)
                took.append(1000 * (time.perf_counter() - began))
                if sum(took) > 1000 * PATIENCE_S:
                    break
        finally:
            os.close(handle)
            path.unlink()
    except OSError:
        return None
    return statistics.median(took)


def _taken_ports(config: "Config") -> Iterator[tuple[str, str]]:
    """Yield the ports of a node that does not run which it could not have."""
    from node.edge.listener import ListenRefused, open_listener

    ways = [("client", config.client.listen), ("peer", config.peer.listen)]
    more = (("grpc", config.grpc), ("observe", config.observe))
    ways += [(name, one.listen) for name, one in more if one is not None]
    for name, address in ways:
        try:
            open_listener(*address).close()
        except ListenRefused as refused:
            yield name, str(refused)


def _files_max() -> int | None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(soft, hard) if hard != resource.RLIM_INFINITY else hard
    return None if resource.RLIM_INFINITY in (soft, most) else soft


def _memory_free() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _migrate_requests() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(TCP_MIGRATE.read_text())
    return None


def _wrong_libraries() -> Iterator[tuple[str, str]]:
    import importlib.metadata as metadata
    import re

    from cluster.raft.library import VERSION_PINNED

    try:
        wanted = metadata.requires("unidesk") or []
    except metadata.PackageNotFoundError:
        wanted = []
    for line in wanted:
        name = re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0]
        if "extra ==" in line:
            continue
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "is not installed"
            continue
        if name == "pysyncobj" and version != VERSION_PINNED:
            yield name, f"is {version}, and this release is written for {VERSION_PINNED}"


# -- the nodes


async def gather_nodes(urls: tuple[str, ...], proof: "Proof") -> Nodes:
    """Return what all nodes say to whoever has `proof`, and what is to be seen from here."""
    import trio

    from node.cli.nodes import answered, ask_all, names_of

    asked_ms = time.time_ns() / 1e6
    found = await ask_all(urls, proof, timeout_s=PATIENCE_S)
    answered_ms = time.time_ns() / 1e6
    wall_ms = {
        one.node: ahead_ms(one.wall_ms, asked_ms, answered_ms)
        for one in answered(found)
        if one.wall_ms
    }
    peer_ports: dict[str, str] = {}
    peers = {
        str(row["id"]): str(row.get("peer", "")) for one in answered(found) for row in one.nodes
    }
    down = {name for url, name in names_of(found).items() if found[url] is None}
    async with trio.open_nursery() as nursery:
        for name, address in peers.items():
            if address and name not in down:
                nursery.start_soon(_try_port, name, address, peer_ports)
    return Nodes(found, peer_ports, wall_ms, await _digests(found, proof))


def ahead_ms(wall_ms: float, asked_ms: float, answered_ms: float) -> float:
    """Return how far a clock is ahead at least, if it was read between the two moments of ours.

    An answer may have waited for as long as the slowest took: that is no wrong clock.
    """
    return max(0.0, wall_ms - answered_ms) + min(0.0, wall_ms - asked_ms)


async def _try_port(name: str, address: str, refused: dict[str, str]) -> None:
    import trio

    host, _, port = address.rpartition(":")
    try:
        with trio.fail_after(PATIENCE_S):
            stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
            await stream.aclose()
    except (OSError, ValueError, socket.gaierror, trio.TooSlowError) as error:
        refused[name] = str(error) or f"no answer within {PATIENCE_S:g} s"


async def _digests(found: "Statuses", proof: "Proof") -> dict[str, tuple[int, str]]:
    """Return checksums of the states; asked again until some are of one index, or it is enough.

    Nodes that apply entries all the time have one index rarely: then there is nothing to compare.
    """
    import trio

    from node.cli.nodes import answered, ask_all

    urls = tuple(url for url, one in found.items() if one is not None)
    digests: dict[str, tuple[int, str]] = {}
    for _ in range(DIGEST_TRIES if len(urls) > 1 else 0):
        there = answered(await ask_all(urls, proof, timeout_s=2 * PATIENCE_S, digest=True))
        digests = {
            one.node: (int(one.state_digest["index"]), str(one.state_digest["digest"]))
            for one in there
            if one.state_digest is not None
        }
        if len({index for index, _ in digests.values()}) == 1:
            return digests
        await trio.sleep(DIGEST_PAUSE_S)
    return digests
