"""`unidesk restore`: folders of the nodes of a new cluster, out of a backup.  Writes files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json

if TYPE_CHECKING:
    from cluster.backup.restore import Restored
    from node.cli.piped import Backup
    from node.config import Config

Configs = Annotated[
    list[Path],
    typer.Option("--config", metavar="TOML", help="node.toml of a node of this machine. Repeat."),
]


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `unidesk backup` wrote; - is a pipe.")
    ],
    configs: Configs,
    same_id: Annotated[
        bool,
        typer.Option(
            "--same-id",
            help="Let the new cluster have the id of the old one, which is gone for ever.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make empty data folders begin with a backup: nodes of a new cluster.

    On every machine, for every voter, with the same file; the cluster begins when all have met.
    Give the new cluster an id of its own in [cluster]: with the old one's, a node of the old
    cluster that still runs somewhere is taken for the same desk by clients and by tokens.

    Example:  unidesk restore desk.backup --config node.toml

    Example:  gpg -d desk.backup.gpg | unidesk restore - --config node.toml
    """
    from node.cli.connecting import load_config
    from node.cli.output import console, print_json
    from node.cli.piped import reading

    loaded = [load_config(path) for path in configs]
    _check_alike(configs, loaded)
    with reading(file) as backup:
        _check_new(backup, loaded[0], same_id=same_id)
        done = [_shown(config, _restore(backup, config)) for config in loaded]
    missing = sorted(loaded[0].nodes.keys() - {config.node.id for config in loaded})
    if as_json:
        print_json({"restored": done, "missing": missing})
        return
    out = console()
    for one in done:
        out.print(
            f"{one['data']}: node {one['node']} of cluster {one['cluster']}:"
            f" {one['conversations']:,} conversations, {one['accounts']:,} accounts,"
            f" index {one['index']}"
        )
    if missing:
        out.print(f"the same, with this very file, for {', '.join(missing)}; then start all nodes")
    else:
        out.print("now start all nodes: they begin when they have met")


def _shown(config: "Config", made: "Restored") -> dict[str, Any]:
    return {
        "node": config.node.id,
        "data": str(config.node.data),
        "cluster": config.cluster.id,
        "index": made.index,
        "origin": made.origin,
        "conversations": made.conversations,
        "accounts": made.accounts,
    }


def _check_alike(paths: list[Path], configs: "list[Config]") -> None:
    """Raise `Problem` unless the files are of the nodes of one cluster."""
    from node.cli.problem import USAGE, Problem

    first = configs[0]
    for path, config in zip(paths, configs, strict=True):
        if config.cluster.id != first.cluster.id:
            raise Problem(
                f"{path}: [cluster] id {config.cluster.id!r}, but {first.cluster.id!r} in"
                f" {paths[0]}: a cluster has one id",
                USAGE,
            )
        if {one.id: one.peer for one in config.nodes.values()} != {
            one.id: one.peer for one in first.nodes.values()
        }:
            raise Problem(
                f"{path}: other [nodes] than in {paths[0]}: all nodes begin with the same", USAGE
            )
    ids = [config.node.id for config in configs]
    for path, name in zip(paths, ids, strict=True):
        if ids.count(name) > 1:
            raise Problem(f"{path}: [node] id {name!r} is in two of the files", USAGE)


def _check_new(file: "Backup", config: "Config", *, same_id: bool) -> None:
    """Raise `Problem` when the cluster would be taken for the one that was backed up."""
    from cluster.backup.file import BackupRefused, Reader
    from node.cli.output import tell
    from node.cli.problem import Problem
    from wal.epoch import name_of

    try:
        header = Reader(file.name, file.read()).header
    except (OSError, BackupRefused) as error:
        raise Problem(_words(error, file)) from None
    is_same = name_of(header.cluster) == config.cluster.id
    if is_same and not same_id:
        raise Problem(
            f"{file.name} is of cluster {header.cluster!r}, and so is [cluster] id: give the new"
            " cluster another id, or, if no node of the old one will ever run again, say --same-id"
        )
    if is_same:
        tell(
            f"warning: two clusters of the id {header.cluster!r} must never run at once: clients"
            " and tokens cannot tell them apart; see that every old node is gone"
        )
    if header.stale:
        tell(
            f"warning: {file.name} was taken without a quorum: what was acknowledged may not be"
            " in it"
        )


def _restore(file: "Backup", config: "Config") -> "Restored":
    """Return what the folder of one node holds now.  Raises `Problem`."""
    from cluster.backup.file import BackupRefused, Reader
    from cluster.backup.restore import NotEmpty, restore
    from cluster.raft.members import Members
    from node.cli.problem import Problem
    from wal.disk import FileDisk
    from wal.errors import StorageError

    nodes = {one.id: "{}:{}".format(*one.peer) for one in config.nodes.values()}
    try:
        disk = FileDisk(config.node.data)
        try:
            return restore(
                disk,
                config.cluster.id,
                config.node.id,
                Members.of(nodes),
                lambda: Reader(file.name, file.read()),
            )
        finally:
            disk.close()
    except (NotEmpty, StorageError, BackupRefused, OSError) as error:
        raise Problem(_words(error, file)) from None


def _words(error: Exception, file: "Backup") -> str:
    if isinstance(error, OSError):
        return f"{error.filename or file.name}: {error.strerror}"
    return str(error)
