"""Which cluster a command talks to, and as whom.  Reads files.

    given                        nodes                        token
    --url … --token …            those                        that one
    --config node.toml           [nodes] of the file          signed with its key
    --data DIR, ./unidesk-demo   the local cluster of DIR     signed with its key

Every option has an environment variable; a token in one does not show in the list of processes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.problem import USAGE, Problem
from node.cli.sharing import gives, option

if TYPE_CHECKING:
    from node.client.status import Proof
    from node.config import Config
    from node.protocol.catalogue import Role

DEMO_FOLDER = Path("unidesk-demo")
TTL_S = 8 * 3600

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="UNIDESK_URL",
        help="A node: ws://host:port/v1/ws. Repeatable.",
    ),
]
Token = Annotated[str, typer.Option("--token", envvar="UNIDESK_TOKEN", help="Who you are, signed.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="UNIDESK_CONFIG", help="A node.toml, for its key and nodes."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="UNIDESK_DATA", help="Folder of a demo; ./unidesk-demo if it exists."
    ),
]

WaitForNode = Annotated[
    float,
    typer.Option(
        "--wait-for-node",
        metavar="SECONDS",
        envvar="UNIDESK_WAIT_FOR_NODE",
        min=0,
        help="While every node refuses, wait so long for one; 0: say so at once.",
    ),
]


@dataclass(frozen=True, slots=True)
class Where:
    """The options above, as they were given."""

    urls: list[str] | None = None
    token: str = ""
    config: Path | None = None
    data: Path | None = None
    wait_s: float = 0.0


_OPTIONS = (
    option("url", Urls, None),
    option("token", Token, ""),
    option("config", ConfigFile, None),
    option("data", Data, None),
    option("wait_for_node", WaitForNode, 0.0),
)
"""As the fields of `Where`."""

connected = gives("where", _OPTIONS, Where, before=("yes", "as_json"))
"""Makes a command's parameter `where` of the options above.

On the help page they stand before `--yes` and `--json`, as on every other.
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that commands can talk to."""

    urls: tuple[str, ...]
    id: str = ""
    key: bytes | None = None
    """Signs tokens; None when only addresses are known."""
    wait_s: float = 0.0
    """How long a node is waited for while all refuse."""

    async def reached(self) -> tuple[str, ...]:
        """Return the URLs, one that listens first.  Raises `Problem` when all nodes refuse."""
        from node.cli.reaching import reach

        return await reach(self.urls, self.wait_s)

    def mint(self, role: "Role", subject: str, **claims: Any) -> str:
        """Return a token.  Raises `Problem` when there is no key."""
        from node.auth import BadClaims, mint

        if self.key is None:
            raise Problem("no key to sign a token with: give --token, --config or --data", USAGE)
        claims.setdefault("ttl_s", TTL_S)
        try:
            return mint(self.key, self.id, role=role, subject=subject, **claims)
        except BadClaims as error:
            raise Problem(f"no node would believe this token: {error}", USAGE) from None

    def pass_for_pages(self, token: str = "") -> "Proof":
        """Return what lets one read `/cluster` now: `token`, or what is made for it, or nothing."""
        from node.auth import pass_for_pages

        if token or self.key is None:
            return token
        fresh = pass_for_pages(self.key, self.id, afresh=True)
        return pass_for_pages(self.key, self.id), fresh

    async def waited(self) -> None:
        """Wait for a node if that was asked for, as for one whose silence is a result too.

        Raises `Problem` when none came.
        """
        if self.wait_s:
            await self.reached()


def find_cluster(where: Where) -> Cluster:
    """Return the cluster that `where` means.  Raises `Problem`."""
    from node.client import Address

    for url in where.urls or ():
        Address.parse(url)
    found = _from_files(where)
    if where.urls:
        key = found.key if found is not None else None
        cluster_id = found.id if found is not None else ""
        return Cluster(tuple(where.urls), cluster_id, key, where.wait_s)
    if found is None:
        raise Problem(
            "no cluster to talk to: start one with `unidesk demo`, or give --url and --token, "
            "or --config node.toml",
            USAGE,
        )
    return found


def connect_as(where: Where, role: "Role", subject: str, **claims: Any) -> tuple[Cluster, str]:
    """Return the cluster and a token: the one given, or one for `subject`.  Raises `Problem`."""
    cluster = find_cluster(where)
    return cluster, where.token or cluster.mint(role, subject, **claims)


def _from_files(where: Where) -> Cluster | None:
    from node.local import Folder, LocalFailure

    if where.config is not None:
        config = load_config(where.config)
        urls = tuple(member.url for member in config.nodes.values())
        return Cluster(urls, config.cluster.id, config.cluster.key, where.wait_s)
    folder = where.data or (DEMO_FOLDER if (DEMO_FOLDER / "cluster.json").exists() else None)
    if folder is None:
        return None
    try:
        local = Folder.find(folder)
    except LocalFailure as failure:
        raise Problem(str(failure), USAGE) from None
    return Cluster(local.urls, local.layout.id, local.key, where.wait_s)


def load_config(path: Path) -> "Config":
    """Return the checked `node.toml`.  Raises `Problem` naming file, line and mend."""
    from cluster.toml_source import SourceErrors
    from node.config_file import load

    try:
        return load(path)
    except SourceErrors as errors:
        raise Problem(str(errors), USAGE) from None
