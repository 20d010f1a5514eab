"""The folder that a local cluster lives in.  Talks to files.

cluster.json    the cluster's id, and each node's ports: kept, so a later start is the same
cluster.key     the key that signs tokens (mode 0600)
n1.toml …       each node's configuration, written anew at every start
n1.log …        what each node said; the one before as n1.log.1
data/n1 …       what each node keeps
lock            held while the cluster runs: two starts in one folder would share data
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from node.auth import CAPACITY_DEFAULT, KEY_BYTES_MIN, mint, pass_for_pages
from node.client.address import Address
from node.local.failures import LocalFailure
from node.local.ports import NoPort, free_ports, is_free
from node.protocol.catalogue import Role

NODES_MAX = 9
LOG_BYTES_MAX = 8 * 1024 * 1024
TOKEN_TTL_S = 8 * 3600

Setting = str | int | bool | Sequence[str]
Sections = Mapping[str, Mapping[str, Setting]]
"""Tables of a node.toml, by name."""
NO_ZONES: Mapping[str, str] = {}


class Ports(msgspec.Struct, frozen=True):
    """Where one node listens on loopback."""

    client: int
    peer: int
    grpc: int = 0
    """0 where gRPC is not served."""
    observe: int = 0
    """0 where machines look at the port of the clients."""


class Layout(msgspec.Struct, frozen=True):
    """What `cluster.json` says."""

    id: str
    nodes: dict[str, Ports]


class Folder:
    """Files of one local cluster, opened for running it or only for finding it."""

    def __init__(self, path: Path, layout: Layout, key: bytes) -> None:
        self.path = path
        self.layout = layout
        self.key = key
        self.via: dict[tuple[str, str], str] = {}
        """Where the first node is told to find the second; where it listens when not given."""
        self._lock: int | None = None

    @classmethod
    def find(cls, path: Path) -> "Folder":
        """Return the cluster that is in `path`.  Raises `LocalFailure` when none is."""
        path = path.resolve()
        try:
            data = (path / "cluster.json").read_bytes()
            key = (path / "cluster.key").read_bytes().strip()
            layout = msgspec.json.decode(data, type=Layout)
        except FileNotFoundError as error:
            raise LocalFailure(f"{path}: no cluster here ({error.filename} is missing)") from None
        except OSError as error:
            raise LocalFailure(f"{error.filename}: {error.strerror}; give another folder") from None
        except msgspec.MsgspecError as error:
            raise LocalFailure(
                f"{path / 'cluster.json'}: {error}; put it right (the ports are in the *.toml "
                "beside it), or give another folder"
            ) from None
        if len(key) < KEY_BYTES_MIN:
            raise LocalFailure(
                f"{path / 'cluster.key'}: a key has at least {KEY_BYTES_MIN} bytes; put it back, "
                "or give another folder"
            )
        return cls(path, layout, key)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        nodes: int,
        cluster_id: str,
        first_port: int = 0,
        grpc: bool = False,
        observe: bool = False,
    ) -> "Folder":
        """Return the cluster in `path`, made if there is none.  Raises `LocalFailure`.

        `first_port` is tried first for the clients of n1, n2 …, when it is given; a new cluster
        serves `grpc` if asked to, and has an address for machines if `observe`.
        """
        assert 1 <= nodes <= NODES_MAX
        path = path.resolve()
        if not (path / "cluster.json").exists():
            try:
                path.mkdir(parents=True, exist_ok=True)
                _write_key(path / "cluster.key")
                wanted = {"client": True, "peer": True, "grpc": grpc, "observe": observe}
                layout = Layout(cluster_id, _pick_ports(nodes, first_port, wanted))
                _write(path / "cluster.json", json.dumps(msgspec.to_builtins(layout), indent=2))
            except (FileExistsError, NotADirectoryError):
                raise LocalFailure(f"{path}: this is a file; give a folder") from None
            except OSError as error:
                raise LocalFailure(
                    f"{path}: {error.strerror or error}; give another folder"
                ) from None
        folder = cls.find(path)
        if len(folder.layout.nodes) != nodes:
            raise LocalFailure(
                f"{path}: holds a cluster of {len(folder.layout.nodes)} nodes, not of {nodes}; "
                "give another folder, or delete this one"
            )
        return folder

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' ids."""
        return tuple(self.layout.nodes)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect, in the order of `names`."""
        return tuple(self.address(name).url for name in self.names)

    def address(self, name: str) -> Address:
        """Return where clients of node `name` connect."""
        return Address.parse(f"ws://127.0.0.1:{self.layout.nodes[name].client}/v1/ws")

    def observe_address(self, name: str) -> Address:
        """Return where machines look at node `name`: where its clients connect, if nowhere else."""
        port = self.layout.nodes[name].observe
        return Address.parse(f"http://127.0.0.1:{port}") if port else self.address(name)

    def grpc_target(self, name: str) -> str:
        """Return where clients of node `name` connect by gRPC."""
        port = self.layout.nodes[name].grpc
        assert port, "a cluster that was made without gRPC"
        return f"127.0.0.1:{port}"

    def config(self, name: str) -> Path:
        """Return the configuration of node `name`."""
        return self.path / f"{name}.toml"

    def log(self, name: str) -> Path:
        """Return where node `name` logs."""
        return self.path / f"{name}.log"

    def data(self, name: str) -> Path:
        """Return where node `name` keeps its data."""
        return self.path / "data" / name

    def mint(
        self,
        role: Role,
        subject: str,
        *,
        name: str = "",
        ttl_s: int = TOKEN_TTL_S,
        skills: dict[str, int] | None = None,
        capacity: int = CAPACITY_DEFAULT,
        langs: Sequence[str] = (),
    ) -> str:
        """Return a token for this cluster."""
        return mint(
            self.key,
            self.layout.id,
            role=role,
            subject=subject,
            name=name,
            ttl_s=ttl_s,
            skills=skills,
            capacity=capacity if role == "agent" else None,
            langs=langs,
        )

    def pass_for_pages(self) -> str:
        """Return what lets one read `/cluster` of these nodes now."""
        return pass_for_pages(self.key, self.layout.id)

    def hold(self) -> None:
        """Take the folder for this process until `release`.  Raises `LocalFailure` when taken."""
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise LocalFailure(
                f"{self.path}: a cluster runs here already; stop it, or give another folder"
            ) from None

    def release(self) -> None:
        """Let others take the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Folder":
        self.hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def check_ports(self) -> None:
        """Raise `LocalFailure` when somebody else listens where a node should."""
        for name, ports in self.layout.nodes.items():
            for port in (ports.client, ports.peer, ports.grpc, ports.observe):
                if port and not is_free(port):
                    raise LocalFailure(
                        f"port {port} of {name} is taken by another process; stop it, "
                        f"or change the port in {self.path / 'cluster.json'}"
                    )

    def write_configs(self, sections: Sections, zones: Mapping[str, str] = NO_ZONES) -> None:
        """Write every node's configuration; `sections` adds tables, or lines to those there are."""
        for name in self.names:
            _write(self.config(name), self._config_text(name, sections, zones.get(name, "")))
            _turn_log(self.log(name))

    def _config_text(self, name: str, sections: Sections, zone: str) -> str:
        ports = self.layout.nodes[name]
        tables: dict[str, Mapping[str, Setting]] = {
            "cluster": {"id": self.layout.id, "key_file": "cluster.key"},
            "node": {"id": name, "data": f"data/{name}"},
            "client": {"listen": f"127.0.0.1:{ports.client}", "url": self.address(name).url},
            "peer": {"listen": f"127.0.0.1:{ports.peer}"},
        }
        if ports.grpc:
            tables["grpc"] = {"listen": f"127.0.0.1:{ports.grpc}"}
        if ports.observe:
            tables["observe"] = {"listen": f"127.0.0.1:{ports.observe}"}
        for other, its in self.layout.nodes.items():
            at = self.via.get((name, other), f"127.0.0.1:{its.peer}")
            tables[f"nodes.{other}"] = {"peer": at, "url": self.address(other).url}
        for title, values in sections.items():
            tables[title] = {**tables.get(title, {}), **values}
        if zone:
            tables["node"] = {**tables["node"], "zone": zone}
        rendered = [_block(title, values) for title, values in tables.items()]
        return "\n".join(["# Written by unidesk at every start of this cluster.\n", *rendered])


def _block(title: str, values: Mapping[str, Setting]) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    return f"[{title}]\n{''.join(lines)}"


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: a start that is killed leaves the old one."""
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _write_key(path: Path) -> None:
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(secrets.token_hex(32))


def _turn_log(path: Path) -> None:
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))


def _pick_ports(nodes: int, first_port: int, wanted: Mapping[str, bool]) -> dict[str, Ports]:
    """Return free ports for nodes n1, n2 …

    From `first_port` on, a hundred apart for each kind, where they are free.
    """
    kinds = [kind for kind, is_wanted in wanted.items() if is_wanted]
    starts = [first_port + 100 * place for place, kind in enumerate(wanted) if wanted[kind]]
    first = [start + node for start in starts for node in range(nodes)] if first_port else []
    try:
        found = free_ports(len(kinds) * nodes, first)
    except NoPort as none:
        raise LocalFailure(str(none)) from None
    return {
        f"n{node + 1}": Ports(**dict(zip(kinds, found[node::nodes], strict=True)))
        for node in range(nodes)
    }
