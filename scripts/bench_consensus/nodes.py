"""Three processes to start, ask and kill.  Starts processes; blocks.

A member is `member.py` on a folder and a loopback port of its own; `Nodes` ends what it
started, whatever happens.
"""

import json
import os
import random
import select
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

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 60.0
ANSWER_S = 300.0
SETTLE_S = 0.5

Answer = dict[str, Any]


class NoAnswer(Exception):
    """A member ended, or said nothing in time."""


@dataclass
class Nodes:
    """Members by name; those that run are in `processes`."""

    folder: Path
    slow_ms: float = 0.0
    snapshot_every: int = 0
    """Entries between snapshots; 0 for never."""
    addresses: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.addresses = dict(zip(("n1", "n2", "n3"), free_ports(3), strict=True))

    def start(self, name: str) -> None:
        """Start one member; `wait_serving` says when it serves."""
        options = ["--node", name, "--addresses", json.dumps(self.addresses)]
        options += ["--folder", str(self.folder / name), "--slow-ms", str(self.slow_ms)]
        options += ["--snapshot-every", str(self.snapshot_every)]
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "scripts.bench_consensus.member", *options],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def kill(self, name: str) -> float:
        """SIGKILL; return when, by the clock that all processes share."""
        process = self.processes.pop(name)
        at = time.monotonic()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        return at

    def tell(self, name: str, do: str, **arguments: Any) -> None:
        """Ask without waiting; `hear` brings the answer."""
        pipe = self.processes[name].stdin
        assert pipe is not None
        pipe.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        pipe.flush()

    def hear(self, name: str, *, within_s: float = ANSWER_S) -> Answer:
        """Return the answer to what was told last.  Raises `NoAnswer`."""
        pipe = self.processes[name].stdout
        assert pipe is not None
        ready, _, _ = select.select([pipe], [], [], within_s)
        line = pipe.readline() if ready else b""
        if not line:
            raise NoAnswer(f"{name} did not answer in {within_s:.0f} s, or ended")
        answer: Answer = json.loads(line)
        return answer

    def ask(self, name: str, do: str, **arguments: Any) -> Answer:
        """Return the answer of a running member.  Raises `NoAnswer`."""
        self.tell(name, do, **arguments)
        return self.hear(name)

    def wait_serving(self) -> str:
        """Return the leader that all running members know and serve under."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            seen = [self.ask(name, "status") for name in self.processes]
            leaders = {each["leader"] for each in seen}
            if all(each["standing"] == "serving" for each in seen) and len(leaders) == 1:
                return str(leaders.pop())
            time.sleep(0.05)
        raise NoAnswer(f"not all serve after {START_S:.0f} s")

    def follower(self, leader: str) -> str:
        """Return a running member that does not lead."""
        return random.choice(sorted(self.processes.keys() - {leader}))


@contextmanager
def three_nodes(
    folder: str, *, slow_ms: float = 0.0, snapshot_every: int = 0, start: bool = True
) -> Iterator[Nodes]:
    """Three members in a folder under `folder` that goes with them."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as inside:
        nodes = Nodes(Path(inside), slow_ms=slow_ms, snapshot_every=snapshot_every)
        try:
            if start:
                for name in nodes.addresses:
                    nodes.start(name)
                nodes.wait_serving()
                time.sleep(SETTLE_S)
            yield nodes
        finally:
            for name in list(nodes.processes):
                nodes.kill(name)
