"""One node's process.  Talks to the operating system.

    starting ──▶ running ⇄ paused
                    │        │
                 SIGTERM  SIGKILL ──▶ ended

`upgrade` replaces the process; the node runs all the time.

The process is its own group, so that Ctrl-C in a terminal reaches only whoever runs the
cluster; and the kernel kills it when its parent dies, so that no orphan keeps the ports.

Source: prctl(2), PR_SET_PDEATHSIG: it is bound to the *thread* that forked, so processes are
started from the main thread and never from a pool's.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import trio

import node
from node.local.adopted import Adopted, orphans_come_here
from node.local.failures import LocalFailure, NodeDied

POLL_S = 0.02
LOG_TAIL_LINES = 15
LOG_TAIL_BYTES = 16 * 1024
_PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None)
_prctl = getattr(_LIBC, "prctl", None)
"""None where this is no Linux: orphans are then possible."""


class NodeProcess:
    """`unidesk serve` of one node, started as often as it takes."""

    def __init__(self, name: str, config: Path, log: Path) -> None:
        self.name = name
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | Adopted | None = None
        self._expected_to_run = False
        self.starts = 0
        self.environ: dict[str, str] = {}
        """Added to the environment of its next start."""
        self.root = Path(node.__file__).parent.parent
        """Where the program of its next start, or of its next upgrade, is."""

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process lives (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether it ended though nobody here ended it."""
        return self._expected_to_run and not self.running

    def start(self) -> None:
        """Start the process; harmless when it runs.  Raises `LocalFailure`."""
        if self.running:
            return
        try:
            with self._log.open("ab") as log:
                # In a thread, the kernel would kill the node when the thread ends.
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    [*self._program, "serve", "--config", str(self._config)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environ | {"PYTHONUNBUFFERED": "1"} | self.environ,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
        except OSError as error:
            raise LocalFailure(f"{self.name}: cannot start: {error}") from None
        self.starts += 1
        self._expected_to_run = True

    async def upgrade(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run `unidesk upgrade` for it; return how that went.  Goes on with the new process."""
        command = [*self._program, "upgrade", "--config", str(self._config), "--json"]
        with orphans_come_here():
            done = await trio.run_process(
                [*command, *arguments],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=self._environ,
            )
            pid = _pid_of_successor(done.stdout)
            if done.returncode == 0 and pid:
                self._expected_to_run = False
                await self._wait_ended()
                self._process = Adopted(pid)
                self._expected_to_run = True
        return done

    async def kill(self) -> int | None:
        """End it with SIGKILL; return the pid it had, None when it was not running."""
        self._expected_to_run = False
        pid = self.pid
        self._signal(signal.SIGKILL)
        await self._wait_ended()
        return pid

    def pause(self) -> None:
        """Stop its time (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its time go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    async def stop(self, *, timeout_s: float) -> None:
        """End it with SIGTERM, and with SIGKILL if it is not over in time."""
        self._expected_to_run = False
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with trio.move_on_after(timeout_s):
            await self._wait_ended()
        if self.running:
            await self.kill()

    def kill_nowait(self) -> None:
        """End it with SIGKILL without waiting."""
        self._expected_to_run = False
        self._signal(signal.SIGKILL)

    def check(self) -> None:
        """Raise `NodeDied`, with the end of its log, if it ended by itself."""
        if self.died:
            assert self._process is not None
            assert self._process.returncode is not None
            how = _how_it_ended(self._process.returncode)
            raise NodeDied(f"{self.name} {how}; the end of {self._log}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the last lines it logged."""
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(0, size - LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError as error:
            return f"  (unreadable: {error})"
        return "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:]) or "  (empty)"

    @property
    def _program(self) -> list[str]:
        # -P: a folder `node` where this process was started is another program, perhaps.
        return [sys.executable, "-P", "-m", "node"]

    @property
    def _environ(self) -> dict[str, str]:
        path = filter(None, [str(self.root), os.environ.get("PYTHONPATH", "")])
        return os.environ | {"PYTHONPATH": os.pathsep.join(path)}

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def _wait_ended(self) -> None:
        while self.running:
            await trio.sleep(POLL_S)


def _pid_of_successor(told: bytes) -> int:
    """Return the pid in the last line of an upgrade, 0 when it names none."""
    lines = told.splitlines()
    return int(json.loads(lines[-1]).get("pid", 0)) if lines else 0


def _die_with_parent() -> None:
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
