"""`unidesk cluster recover`: a cluster goes on though its majority is lost for good.  Talks to the
survivors' data folders, to the lost nodes' ports, and to a person.

    plan     reads the folders: what each survivor has, which is best, what may be lost
    apply    does what the plan with that hash says, once a person consents; after a crash: again

The nodes must be stopped for `apply`, not for `plan`.
"""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.asking import Json

if TYPE_CHECKING:
    from cluster.recovery.begun import Begun
    from cluster.recovery.plan import Plan
    from cluster.recovery.survivor import Survivor
    from node.config import Config
    from wal.disk import FileDisk

PROBE_S = 1.0

app = typer.Typer(
    help="Go on though a majority is lost for good; a person decides.", no_args_is_help=True
)

Configs = Annotated[
    list[Path],
    typer.Option(
        "--config", metavar="FILE", help="The node.toml of a survivor. Repeatable: give them all."
    ),
]


@app.callback()
def _group() -> None:
    pass


@app.command()
def plan(
    config: Configs,
    as_json: Json = False,
) -> None:
    """Say what each survivor has, from which the cluster can go on, and what may be lost.

    Changes nothing, and works while the survivors run.  Exit code 1 when it cannot go on so.

    Example:  unidesk cluster recover plan --config /etc/unidesk/node.toml
    """
    from cluster.recovery.plan import RecoveryRefused, make_plan
    from node.cli.output import print_json
    from node.cli.problem import Problem

    configs = _load(config)
    survivors = [_survivor(one) for one in configs]
    made, refused = None, ""
    try:
        made = make_plan(survivors, _answering(configs, survivors))
    except RecoveryRefused as error:
        refused = str(error)
    if as_json:
        print_json(
            {
                "survivors": [one.to_builtins() for one in survivors],
                "plan": made.to_builtins() if made is not None else None,
                "refused": refused,
            }
        )
    else:
        _show_survivors(survivors)
        if made is not None:
            _show(made, config)
    if made is None:
        raise Problem("" if as_json else f"there is no plan: {refused}")


@app.command()
def apply(
    config: Configs,
    plan: Annotated[
        str, typer.Option("--plan", metavar="HASH", help="What `plan` printed; consents to that.")
    ],
    lose: Annotated[
        bool,
        typer.Option("--yes-lose-what-is-listed", help="Consent without being asked, for scripts."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Let the cluster go on from the best survivor, with the survivors as its members.

    The survivors must be stopped.  Whoever is lost must never run again on its old folder: it is
    refused by the others, and stops itself when it meets them.  Run it again after a crash.

    Example:  unidesk cluster recover apply --config /etc/unidesk/node.toml --plan 5f0c2a9b11d07e63
    """
    import msgspec

    from cluster.recovery.carrying_out import carry_out
    from node.cli.output import print_json
    from node.cli.problem import Problem
    from wal.errors import StorageError

    configs = _load(config)
    try:
        with _held(configs) as disks:
            agreed = _agree(configs, disks, plan, lose=lose)
            carry_out(agreed, disks, now_ms=time.time_ns() // 1_000_000)
    except StorageError as error:
        raise Problem(str(error)) from None
    if as_json:
        print_json(msgspec.to_builtins(agreed))
    else:
        _show_done(agreed)


# -- inside


def _load(paths: list[Path]) -> "list[Config]":
    from node.cli.connecting import load_config
    from node.cli.problem import USAGE, Problem

    configs = [load_config(path) for path in paths]
    for path, one in zip(paths, configs, strict=True):
        if not one.node.data.is_dir():
            raise Problem(f"{path}: there is no folder {one.node.data}: this is no survivor", USAGE)
    ids = sorted({one.cluster.id for one in configs})
    if len(ids) > 1:
        raise Problem(f"these are of different clusters: {', '.join(ids)}", USAGE)
    return configs


def _survivor(config: "Config") -> "Survivor":
    from cluster.recovery.survivor import read_survivor
    from node.cli.problem import Problem
    from wal.errors import StorageError

    try:
        return read_survivor(config.node.id, config.node.data, config.members)
    except StorageError as error:
        raise Problem(str(error)) from None


def _answering(configs: "list[Config]", survivors: "list[Survivor]") -> list[str]:
    """Return the members without a folder here whose ports for other nodes answer."""
    from cluster.peer.address import parse_address
    from cluster.peer.frames import PeerRefused

    places = {name: peer for one in configs for name, peer in one.peers.items()}
    for one in survivors:
        for node, _, address in one.members:
            try:
                places.setdefault(node, parse_address(address))
            except PeerRefused:
                continue  # only configuration knows where it is
    here = {one.node.id for one in configs}
    members = {node for one in survivors for node, _, _ in one.members}
    return sorted(node for node in places.keys() & members - here if _answers(places[node]))


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=PROBE_S).close()
    except OSError:
        return False
    return True


@contextmanager
def _held(configs: "list[Config]") -> "Iterator[dict[str, FileDisk]]":
    """Hold all folders, so that no node starts meanwhile.  Raises `Problem`, `StorageError`."""
    from node.cli.problem import Problem
    from wal.disk import FileDisk
    from wal.errors import LogLocked

    disks: dict[str, FileDisk] = {}
    try:
        for one in configs:
            try:
                disks[one.node.id] = FileDisk(one.node.data)
            except LogLocked:
                raise Problem(f"{one.node.id} runs on {one.node.data}: stop it first") from None
        yield disks
    finally:
        for disk in disks.values():
            disk.close()


def _agree(
    configs: "list[Config]", disks: "dict[str, FileDisk]", plan: str, *, lose: bool
) -> "Begun":
    """Return what was consented to: just now, or before a crash.  Raises `Problem`."""
    from cluster.recovery import begun
    from cluster.recovery.carrying_out import consent
    from cluster.recovery.plan import RecoveryRefused, make_plan
    from cluster.recovery.survivor import survivor_of
    from node.cli.problem import Problem

    for disk in disks.values():
        found = begun.read(disk)
        if found is not None and found.plan == plan:
            return found
    survivors = [survivor_of(one.node.id, disks[one.node.id], one.members) for one in configs]
    try:
        made = make_plan(survivors, _answering(configs, survivors))
    except RecoveryRefused as error:
        raise Problem(f"there is no plan: {error}") from None
    if made.hash != plan:
        raise Problem(
            f"plan {plan} is not of these survivors as they are now; look at the new one:"
            " unidesk cluster recover plan"
        )
    if not lose:
        _ask(made)
    return consent(made)


def _ask(made: "Plan") -> None:
    from node.cli.output import tell
    from node.cli.problem import USAGE, Problem

    if not sys.stdin.isatty():
        mend = "type it on a terminal, or say --yes-lose-what-is-listed"
        raise Problem(f"a person must consent: {mend}", USAGE)
    tell(f"May be lost: {made.may_be_lost}.")
    for node, address in made.lost:
        tell(f"Off for good: {node} ({address or 'address unknown'})")
    if input(f"Type the cluster's id ({made.cluster}) to go on: ").strip() != made.cluster:
        raise Problem("nothing was changed")


def _show_survivors(survivors: "list[Survivor]") -> None:
    from cluster.recovery.survivor import moment
    from node.cli.output import console, fitting

    columns = ("survivor", "incarnation", "term", "last entry", "committed", "snapshot", "reaches")
    rows = [
        (
            one.node,
            str(one.incarnation),
            str(one.term),
            f"{one.last_index} (term {one.last_term})",
            str(one.commit_index),
            str(one.snapshot_index or "none"),
            moment(one.reaches_ms) if one.reaches_ms else "",
        )
        for one in survivors
    ]
    out = console()
    out.print(fitting(columns, rows, ("incarnation", "snapshot", "term")))
    for one in survivors:
        runs = "; a process runs on it" if one.runs else ""
        out.print(f"{one.node}: {one.condition}{f', {one.why}' if one.why else ''}{runs}")
        if one.members:
            members = ", ".join(f"{node} ({role})" for node, role, _ in one.members)
            out.print(f"  members in its log: {members}")
        if one.newest:
            out.print(f"  {one.conversations} conversations; the newest events:")
        for newest in one.newest:
            what = f"{newest.cv} event {newest.seq} ({newest.type})"
            out.print(f"    {moment(newest.at_ms)}  {what}")


def _show(made: "Plan", paths: list[Path]) -> None:
    from node.cli.output import console

    out = console()
    out.print(f"\nThe cluster goes on from {made.best}, as {made.new_id} (it was {made.old_id}).")
    for node in made.others:
        out.print(f"  {node} is emptied (its data is kept aside), and filled from {made.best}")
    out.print(f"May be lost: {made.may_be_lost}.")
    if made.lost:
        out.print("Must be off for good, and never run again on their old folders:")
    for node, address in made.lost:
        out.print(f"  {node}  {address or 'address unknown'}")
    given = " ".join(f"--config {path}" for path in paths)
    out.print(f"\nTo do it, with {made.best} and the others above stopped:")
    print(f"  unidesk cluster recover apply {given} --plan {made.hash}")


def _show_done(agreed: "Begun") -> None:
    typer.echo(f"Done: the cluster goes on from {agreed.best}, as {agreed.cluster_id}.")
    typer.echo(f"Now start {agreed.best}, then the other survivors.")
    for node in agreed.lost:
        typer.echo(
            f"{node}: confirm that it is off; it may come back on an EMPTY folder alone, and then:"
            f" unidesk cluster members add {node}"
        )
