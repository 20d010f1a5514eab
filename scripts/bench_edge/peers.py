"""Which servers there are, and the environment that the foreign ones live in.

    .bench/peers/           a virtual environment with peers.txt
    .bench/node_modules/    the package `ws`, where npm is installed
    .bench/load             load.c, compiled

`prepare` makes it; nothing of it ever gets near the product's own dependencies.  A peer that is
not there is left out.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BENCH = ROOT / ".bench"
PYTHON = BENCH / "peers" / "bin" / "python"
LOAD = BENCH / "load"
SERVERS = HERE / "servers"
_WS_VERSION = "8"


@dataclass(frozen=True, slots=True)
class Server:
    """A server program; `{port}` in its command is where it is to listen."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Path | None = None
    websocket: bool = True
    http: bool = True
    collects: bool = True
    """Whether it can be asked for a full garbage collection."""

    @property
    def there(self) -> bool:
        """Whether it can be started."""
        return self.needs is None or self.needs.exists()


def _ours(name: str, **environment: str) -> Server:
    command = (sys.executable, "-m", "scripts.bench_edge.servers.unidesk_edge", "{port}")
    return Server(name, command, environment)


def _python(
    name: str, file: str, *, websocket: bool = True, http: bool = False, collects: bool = True
) -> Server:
    command = (str(PYTHON), str(SERVERS / file), "{port}")
    return Server(name, command, {}, PYTHON, websocket, http, collects)


def _asgi(name: str, module: str, *options: str, **what: bool) -> Server:
    command = (str(PYTHON), "-m", module, *options)
    return Server(name, command, {"PYTHONPATH": str(SERVERS)}, PYTHON, **what)


_UVICORN = ("asgi:app", "--port", "{port}", "--log-level", "critical", "--no-access-log")
_PLAIN = ("--ws-per-message-deflate", "false", "--backlog", "2048")

OURS = _ours("unidesk")
WSPROTO = _ours("unidesk, all by wsproto", WSPROTO="1")
WEBSOCKETS = _python("websockets", "websockets_asyncio.py")
UVICORN = _asgi("uvicorn, httptools", "uvicorn", *_UVICORN, *_PLAIN, "--ws", "websockets-sansio")
UVICORN_WSPROTO = _asgi(
    "uvicorn, wsproto", "uvicorn", *_UVICORN, *_PLAIN, "--ws", "wsproto", "--http", "h11"
)
HYPERCORN = _asgi(
    "hypercorn, trio",
    "hypercorn",
    *("-k", "trio", "-b", "127.0.0.1:{port}", "--log-level", "critical"),
    *("--backlog", "2048", "asgi:app"),
)
AIOHTTP = _python("aiohttp, uvloop", "aiohttp_uvloop.py", http=True)
TRIO_PLAIN = _python("trio and wsproto, plain", "trio_plain.py")
TRIO_WEBSOCKET = _python("trio-websocket", "trio_websocket_server.py")
NODE = Server(
    "node, ws",
    ("node", str(SERVERS / "node_ws.js"), "{port}"),
    {"NODE_PATH": str(BENCH / "node_modules")},
    BENCH / "node_modules" / "ws",
    collects=False,
)
ALL = (
    *(OURS, WSPROTO, WEBSOCKETS, UVICORN, UVICORN_WSPROTO, HYPERCORN),
    *(AIOHTTP, TRIO_PLAIN, TRIO_WEBSOCKET, NODE),
)


def prepare() -> None:
    """Make the environment: takes a minute and the network once."""
    BENCH.mkdir(exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(BENCH / "peers")], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(HERE / "peers.txt")], check=True)
    if shutil.which("npm"):
        npm = ["npm", "install", "--no-fund", "--no-audit", "--prefix", str(BENCH)]
        subprocess.run([*npm, f"ws@{_WS_VERSION}"], check=True)


def compile_load() -> None:
    """Compile the load generator if its source is newer."""
    source = HERE / "load.c"
    if LOAD.exists() and LOAD.stat().st_mtime >= source.stat().st_mtime:
        return
    BENCH.mkdir(exist_ok=True)
    compiler = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(LOAD), str(source)]
    subprocess.run(compiler, check=True)
