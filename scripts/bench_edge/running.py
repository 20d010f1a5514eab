"""A server on one core and the load on another; what the server used meanwhile.

Reads /proc: processor time from schedstat, in nanoseconds, of all threads; memory as PSS.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from scripts.bench_edge.peers import LOAD, ROOT, Server
from scripts.crowd.processes import cpu_s, pss_bytes, with_children

SERVER_CORE, LOAD_CORE = "0", "1"
START_S_MAX = 20.0
SETTLE_S = 0.5
STOP_S_MAX = 5.0
LOAD_S_MAX = 120.0
ALL_CORES = "0-1023"

Figures = Mapping[str, Any]


class Running:
    """A server while it runs; use as a context manager."""

    def __init__(self, server: Server) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Running":
        command = [part.replace("{port}", str(self.port)) for part in self._server.command]
        self._process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *command],
            cwd=ROOT,
            env={**os.environ, **self._server.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_listening()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def cpu_s(self) -> float:
        """Return the processor time that the server has used."""
        return cpu_s(self._pids())

    def pss_bytes(self) -> int:
        """Return what the server holds in memory."""
        return pss_bytes(self._pids())

    def _pids(self) -> list[int]:
        assert self._process is not None
        return with_children(self._process.pid)

    def _wait_listening(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START_S_MAX
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                time.sleep(0.05)
                continue
            time.sleep(SETTLE_S)
            return
        raise RuntimeError(f"{self._server.name} did not start: {self._server.command}")

    def _stop(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Load:
    """The load generator; a context manager that yields its lines."""

    def __init__(self, mode: str, port: int, *, core: str = LOAD_CORE, **options: Any) -> None:
        """`options` are those of load.c, by letter."""
        self._command = ["taskset", "-c", core, str(LOAD), mode, "-o", str(port)]
        for letter, value in options.items():
            self._command += [f"-{letter}"] if value is True else [f"-{letter}", str(value)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Iterator[Figures]:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        return map(json.loads, self._process.stdout)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()  # tells it to end
        if kind is not None:
            process.kill()
        process.wait(LOAD_S_MAX)
        process.stdout.close()
