"""`unidesk upgrade check | status`: before an upgrade, and while it goes on.  Talks to nodes.

What is found is judged in `node.upgrading`.  Who the members are is asked of the cluster with a
token of this command's own, where there is a key; else they are those that nodes name.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from cluster.raft.members import Role
    from node.cli.connecting import Cluster
    from node.config import Config
    from node.upgrading import Finding, Machine, Report, Seen

ASK_S = 5.0
SPARE_BYTES = 256 * 1024 * 1024
"""For a log that grows while a node is away, and is cut again after."""
MARKS = {"ok": "ok  ", "warn": "note", "fail": "FAIL"}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@connected
def check(
    where: Where,
    as_json: Json = False,
) -> None:
    """Say whether the cluster may be upgraded to this release now, and in which order.

    With --config, the file is read as this release would read it, and its node's machine is looked
    at.  Exit code 0: begin; 1: not now, and why; 2: the file is wrong, with all mistakes.

    Example:  unidesk upgrade check --config /etc/unidesk/node.toml
    """
    import msgspec

    from node.cli.connecting import load_config
    from node.cli.output import print_json
    from node.upgrading import look

    loaded = load_config(where.config) if where.config is not None else None
    nodes = _ask(where)
    report = look(nodes, _machine(loaded, nodes) if loaded is not None else None)
    if as_json:
        rows = {"nodes": [_row(one) for one in nodes], "good": report.good}
        print_json(msgspec.to_builtins(report) | rows)
    else:
        _show_nodes(nodes)
        _show(report)
    if not report.good:
        raise typer.Exit(1)


@connected
def status(
    where: Where,
    as_json: Json = False,
) -> None:
    """Show each node's release, and which commands the cluster uses.

    Exit code 0: every node is of the newest release that is there, and its commands are in use;
    1: not yet.

    Example:  unidesk upgrade status --config /etc/unidesk/node.toml
    """
    from node.cli.output import console, print_json

    nodes = _ask(where)
    known = [one.status for one in nodes if one.status is not None]
    used = max((one.level_used for one in known), default=0)
    newest = max((one.level for one in known), default=0)
    late = [one.id for one in nodes if one.status is None or one.status.level < newest]
    if as_json:
        rows = [_row(one) for one in nodes]
        print_json({"level_used": used, "newest": newest, "waits_for": late, "nodes": rows})
    else:
        _show_nodes(nodes)
        if late:
            told = f"level {used}; it goes to {newest} when these are upgraded: {', '.join(late)}"
        else:
            told = f"level {used}" + (f", about to go to {newest}" if used < newest else "")
        console().print(f"The cluster uses commands of {told}")
    if late or used < newest or not known:
        raise typer.Exit(1)


def _ask(where: Where) -> "list[Seen]":
    """Return every member with what it says.  Raises `Problem` when no node does."""
    from node.cli.connecting import find_cluster
    from node.cli.nodes import ask_all
    from node.cli.problem import Problem
    from node.cli.running import run
    from node.upgrading import Seen

    cluster, nodes = find_cluster(where), list[Seen]()

    async def body() -> None:
        proof = cluster.pass_for_pages(where.token)
        urls = await cluster.reached()
        statuses = await ask_all(urls, proof, timeout_s=ASK_S)
        known = [one for one in statuses.values() if one is not None]
        if not known:
            raise Problem("no node answers; is the cluster started?")
        named = {str(row["id"]): str(row["url"]) for one in known for row in one.nodes}
        roles = await _roles(cluster, where.token) or dict.fromkeys(named, "voter")
        by_id = {one.node: one for one in known}
        for name in sorted(roles):
            role = cast("Role", roles[name])
            nodes.append(Seen(name, named.get(name, ""), role, by_id.get(name)))

    run(body)
    return nodes


async def _roles(cluster: "Cluster", token: str) -> dict[str, str]:
    """Return each member's role; nothing when nobody tells it to us."""
    import trio

    from node.client import RequestFailed, Stopped, open_client
    from node.protocol.catalogue import MembersGet

    if not token and cluster.key is None:
        return {}
    proof = token or cluster.mint("operator", "upgrade-check")
    with trio.move_on_after(ASK_S):
        try:
            async with open_client(cluster.urls, proof, name="unidesk-operator") as client:
                reply = await client.request(MembersGet(), timeout_s=ASK_S)
                return {str(row["id"]): str(row["role"]) for row in reply["members"]}
        except* (RequestFailed, Stopped):
            pass  # not for this token, or no quorum: those that nodes name will do
    return {}


def _machine(config: "Config", nodes: "list[Seen]") -> "Machine | None":
    """Return what there is on this machine, if the node of `config` runs here."""
    from node.upgrading import Machine

    me = next((one for one in nodes if one.id == config.node.id), None)
    folder = config.node.data
    if me is None or not folder.is_dir():
        return None
    snapshots = [path.stat().st_size for path in folder.glob("*.snap")]
    return Machine(
        node=config.node.id,
        disk_free=shutil.disk_usage(folder).free,
        disk_needed=max(snapshots, default=0) + SPARE_BYTES,
        memory_free=_kib(Path("/proc/meminfo"), "MemAvailable:") * 1024,
        memory_needed=_kib(Path(f"/proc/{me.status.pid}/status"), "VmRSS:") * 1024
        if me.status is not None
        else 0,
        workers=config.node.workers,
    )


def _kib(path: Path, field: str) -> int:
    """Return a figure of proc(5); 0 where it is not told."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def _row(one: "Seen") -> dict[str, object]:
    said = one.status
    row: dict[str, object] = {"id": one.id, "url": one.url, "role": one.role}
    if said is None:
        return row | {"answers": False}
    return row | {
        "answers": True,
        "version": said.version,
        "level": said.level,
        "standing": said.standing,
        "leads": said.leads,
        "applied_index": said.applied_index,
    }


def _show_nodes(nodes: "list[Seen]") -> None:
    from node.cli.output import console, table

    rows = []
    for one in nodes:
        said = one.status
        if said is None:
            rows.append((one.id, one.role, "no answer", "", "", one.url))
            continue
        standing = f"{said.standing}, leads" if said.leads else said.standing
        rows.append((one.id, one.role, standing, said.version, str(said.level), one.url))
    console().print(table(("node", "role", "standing", "version", "level", "url"), rows))


def _show(report: "Report") -> None:
    from node.cli.output import console

    out = console()
    for one in report.findings:
        out.print(_line(one))
    out.print()
    if report.switches_on:
        names = ", ".join(report.switches_on)
        out.print(f"When all are of this release, the cluster may use: {names}")
        out.print(f"Not there yet: {', '.join(report.waits_for) or 'nobody'}")
    if report.good:
        out.print(f"Upgrade them in this order: {', '.join(report.order)}")
    else:
        out.print("Not now: see FAIL above.")


def _line(one: "Finding") -> str:
    return f"{MARKS[one.verdict]} {one.check}: {one.text}"
