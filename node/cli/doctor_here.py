"""What is wrong with this machine, from facts that were gathered.  No I/O.

Each check is a function from facts to findings; `CHECKS` lists them all.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence

from node.cli.doctor_facts import Finding, Machine, Weight
from node.client.address import is_everywhere

FREE_SHARE_WRONG = 0.05
FREE_SHARE_WARNED = 0.15
SYNC_MS_WRONG = 100.0
SYNC_MS_WARNED = 20.0
SYNC_MS_DOUBTED = 0.02
"""A disk that is asked to keep 4 KiB needs longer: this one answers from memory."""
MEMORY_SYSTEMS = frozenset({"tmpfs", "ramfs", "overlay"})
NETWORK_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "glusterfs"})
EXPIRY_DAYS_WRONG = 3
EXPIRY_DAYS_WARNED = 21
FILES_MIN = 4_096
"""Open files: less is not enough for so many clients."""
MEMORY_FREE_BYTES_MIN = 256 * 1024 * 1024
PYTHON_MIN = (3, 11)


def _key(machine: Machine) -> Iterator[Finding]:
    if machine.key_mode is not None and machine.key_mode & 0o077:
        yield Finding(
            "wrong",
            "key file",
            f"{machine.key_file} may be read by others (mode {machine.key_mode:03o}):"
            " whoever has it is every node and every operator",
            f"chmod 600 {machine.key_file}",
        )


def _certificates(machine: Machine) -> Iterator[Finding]:
    for one in machine.certificates:
        mend = "issue another and put it in its place: a node finds it by itself"
        if one.days_left is None:
            yield Finding("wrong", "certificate", f"{one.file}: {one.why}", mend)
        elif one.days_left < 0:
            what = f"{one.file} ended {-one.days_left:.0f} days ago"
            yield Finding("wrong", "certificate", what, mend)
        elif one.days_left < EXPIRY_DAYS_WARNED:
            weight: Weight = "wrong" if one.days_left < EXPIRY_DAYS_WRONG else "warning"
            yield Finding(
                weight, "certificate", f"{one.file} ends in {one.days_left:.0f} days", mend
            )
    for port in machine.beyond_loopback_without_tls:
        what = f"{port} listens beyond this machine without TLS"
        yield Finding("warning", "TLS", what, f"set [{port}] tls, or put a TLS proxy before it")


def _pages(machine: Machine) -> Iterator[Finding]:
    host = machine.observe.rpartition(":")[0]
    if not host:
        if machine.clients_from_beyond:
            yield Finding(
                "warning",
                "figures",
                "probes and scrapers have the port of the clients alone: it shows no checks, and"
                " figures to operators' tokens only",
                'write [observe] listen = "127.0.0.1:7401", and look there',
            )
    elif is_everywhere(host) or _is_public(host):
        yield Finding(
            "warning",
            "figures",
            f"[observe] listens on {machine.observe}: whoever reaches it reads figures, names and"
            " addresses, and is not asked for a token",
            "listen on 127.0.0.1 or on a network of your own, or have a firewall say who may",
        )


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _folder(machine: Machine) -> Iterator[Finding]:
    if machine.folder_why:
        yield Finding(
            "wrong",
            "data folder",
            f"{machine.folder}: {machine.folder_why}",
            "let the node's user own it, mode 700, or change [node] data",
        )
    if machine.filesystem in MEMORY_SYSTEMS:
        what = (
            f"{machine.folder} is on {machine.filesystem}: it may not outlive this machine's start"
        )
        yield Finding("warning", "file system", what, "put [node] data on a disk of its own")
    if machine.filesystem in NETWORK_SYSTEMS:
        what = f"{machine.folder} is on {machine.filesystem}: its syncs promise less than a disk's"
        yield Finding("wrong", "file system", what, "put [node] data on a local disk")


def _room(machine: Machine) -> Iterator[Finding]:
    if machine.free_bytes is None or not machine.total_bytes:
        return
    share = machine.free_bytes / machine.total_bytes
    if share < FREE_SHARE_WARNED:
        yield Finding(
            "wrong" if share < FREE_SHARE_WRONG else "warning",
            "disk room",
            f"{share:.0%} of the disk of {machine.folder} is free",
            "make room, or a larger disk: a full one makes the node hand over and fall out",
        )


def _syncs(machine: Machine) -> Iterator[Finding]:
    if machine.sync_ms is None:
        return
    if machine.sync_ms < SYNC_MS_DOUBTED:
        yield Finding(
            "warning",
            "syncs",
            f"fdatasync returns within {machine.sync_ms:.3f} ms: nothing can be on a disk so soon",
            "find what caches writes below (a hypervisor, a controller without a battery)",
        )
    elif machine.sync_ms > SYNC_MS_WARNED:
        yield Finding(
            "wrong" if machine.sync_ms > SYNC_MS_WRONG else "warning",
            "syncs",
            f"fdatasync takes {machine.sync_ms:.0f} ms: every answer waits for one",
            "put [node] data on a disk that does not share its writes, an SSD at best",
        )


def _ports(machine: Machine) -> Iterator[Finding]:
    for name, why in machine.ports.items():
        mend = f"free it, or change [{name}] listen"
        yield Finding("wrong", "port", f"{name}: {why}", mend)


def _limits(machine: Machine) -> Iterator[Finding]:
    if machine.files_max is not None and machine.files_max < FILES_MIN:
        yield Finding(
            "warning",
            "open files",
            f"{machine.files_max} files may be open, and every client needs one",
            "raise it: ulimit -n 65536, or LimitNOFILE= of the systemd unit",
        )
    free = machine.memory_free_bytes
    if free is not None and free < MEMORY_FREE_BYTES_MIN:
        what = f"{free // 2**20} MiB of memory are left on this machine"
        yield Finding("warning", "memory", what, "add memory, or move what else runs here")
    if machine.workers > 1 and machine.migrate_requests == 0:
        yield Finding(
            "warning",
            "workers",
            "a worker that ends takes connections along that it has not accepted yet",
            "sysctl -w net.ipv4.tcp_migrate_req=1",
        )


def _software(machine: Machine) -> Iterator[Finding]:
    if machine.python[:2] < PYTHON_MIN:
        what = f"Python {'.'.join(map(str, machine.python))}"
        mend = f"run it with Python {'.'.join(map(str, PYTHON_MIN))} or later"
        yield Finding("wrong", "Python", what, mend)
    for name, why in machine.libraries.items():
        yield Finding(
            "wrong", "libraries", f"{name} {why}", "install the requirements.txt of this release"
        )


CHECKS: Sequence[Callable[[Machine], Iterator[Finding]]] = (
    _key, _certificates, _pages, _folder, _room, _syncs, _ports, _limits, _software,
)  # fmt: skip
