"""Three etcd servers on loopback, with the durability they ship with.  Starts processes; blocks.

`extra_ms` slows every fsync and fdatasync with `strace`, since a Go program has no C library
whose calls could be wrapped.  Only these two calls are traced (`--seccomp-bpf`).
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.local.ports import free_ports
from scripts.bench_consensus.nodes import ROOT, NoAnswer

HOW_TO_INSTALL = "etcd: not measured; `apt install etcd-server etcd-client` brings it"
HOW_TO_SLOW = "etcd: not measured with slower syncs; `apt install strace` brings what that takes"
START_S = 30.0


def installed() -> bool:
    """Return whether the server and its command-line client are here."""
    return bool(shutil.which("etcd") and shutil.which("etcdctl"))


def can_measure(extra_ms: float = 0.0) -> bool:
    """Return whether all is here that a run needs; say what is missing."""
    if not installed():
        print(HOW_TO_INSTALL)
    elif extra_ms and not shutil.which("strace"):
        print(HOW_TO_SLOW)
    else:
        return True
    return False


def version() -> str:
    """Return what the server says of itself, in one line."""
    said = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0].replace("etcd Version:", "etcd").replace("  ", " ")


@dataclass
class Etcd:
    """Servers by name; those that run are in `processes`."""

    folder: Path
    extra_ms: float = 0.0
    client_ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("e1", "e2", "e3")
        self.client_ports = dict(zip(names, free_ports(3), strict=True))
        self._peer_ports = dict(zip(names, free_ports(3), strict=True))

    def start(self, name: str) -> None:
        """Start one server."""
        client = f"http://127.0.0.1:{self.client_ports[name]}"
        peer = f"http://127.0.0.1:{self._peer_ports[name]}"
        cluster = ",".join(f"{n}=http://127.0.0.1:{p}" for n, p in self._peer_ports.items())
        command = ["etcd", "--name", name, "--data-dir", str(self.folder / name)]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", cluster, "--log-level", "error"]
        if self.extra_ms:
            late = f"inject=fdatasync,fsync:delay_exit={int(self.extra_ms * 1000)}"
            tracing = ["strace", "-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null"]
            command = [*tracing, "-e", "trace=fdatasync,fsync", "-e", late, *command]
        self.processes[name] = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, name: str) -> float:
        """SIGKILL; return when, by the clock that all processes share."""
        process = self.processes.pop(name)
        at = time.monotonic()
        process.kill()
        process.wait()
        return at

    def wait_leader(self) -> str:
        """Return the leader that all running servers know.  Raises `NoAnswer`."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            seen = self._statuses()
            leaders = {each["Status"]["leader"] for each in seen}
            if len(seen) == len(self.processes) and len(leaders) == 1 and 0 not in leaders:
                for each in seen:
                    if each["Status"]["header"]["member_id"] in leaders:
                        port = int(each["Endpoint"].rpartition(":")[2])
                        return next(n for n, p in self.client_ports.items() if p == port)
            time.sleep(0.2)
        raise NoAnswer(f"no leader after {START_S:.0f} s")

    def _statuses(self) -> list[dict[str, Any]]:
        ports = [self.client_ports[name] for name in self.processes]
        endpoints = ",".join(f"http://127.0.0.1:{port}" for port in ports)
        said = subprocess.run(
            ["etcdctl", "--endpoints", endpoints, "endpoint", "status", "-w", "json"],
            capture_output=True,
            env={"ETCDCTL_API": "3", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        return json.loads(said.stdout) if said.stdout.strip() else []

    def client(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        """Start the load on one server; it prints one JSON object."""
        port = str(self.client_ports[name])
        module = "scripts.bench_consensus.etcd_client"
        return subprocess.Popen(
            [sys.executable, "-m", module, "--port", port, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )

    def load(self, name: str, proposers: int, seconds: float) -> dict[str, float]:
        """Return the figures of closed loops against one server."""
        client = self.client(name, "--proposers", str(proposers), "--seconds", str(seconds))
        said, _ = client.communicate(timeout=seconds + 30)
        result: dict[str, float] = json.loads(said)
        return result


@contextmanager
def three_etcds(folder: str, *, extra_ms: float = 0.0) -> Iterator[Etcd]:
    """Three servers in a folder under `folder` that goes with them."""
    with tempfile.TemporaryDirectory(prefix="bench-etcd-", dir=folder) as inside:
        etcd = Etcd(Path(inside), extra_ms=extra_ms)
        try:
            for name in etcd.client_ports:
                etcd.start(name)
            etcd.wait_leader()
            yield etcd
        finally:
            for name in list(etcd.processes):
                etcd.kill(name)
