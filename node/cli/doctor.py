"""`unidesk doctor`: asks everything, says what is wrong and the mend.  Asks this machine, nodes.

doctor_gather ──Machine, Nodes──▶ doctor_here, doctor_there ──Findings──▶ the terminal
(the shell)                       (pure: a list of small checks)
"""

from typing import TYPE_CHECKING

import typer

from node.cli.asking import Json
from node.cli.codes import FAILED, OK, WARNED
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from node.cli.doctor_facts import Finding, Machine, Nodes


@connected
def doctor(
    where: Where,
    as_json: Json = False,
) -> None:
    """Look at everything - files, ports, disk, clocks, every node - and say what to mend.

    With --config it examines this machine too: key file, certificates, data folder, how long a
    sync takes, limits.  Changes nothing.  Exit code 0 when all is well, 1 when something is
    wrong, 4 when there are warnings alone, 2 for a node.toml that is none.

    Example:  unidesk doctor --config /etc/unidesk/node.toml
    """
    from node.cli.connecting import find_cluster, load_config
    from node.cli.doctor_gather import gather_machine, gather_nodes
    from node.cli.nodes import answered
    from node.cli.running import run

    config = where.config
    loaded = load_config(config) if config is not None else None
    cluster = find_cluster(where)
    code = OK

    async def body() -> None:
        import trio

        nonlocal code
        await cluster.waited()
        nodes = await gather_nodes(cluster.urls, cluster.pass_for_pages(where.token))
        machine: Machine | None = None
        if loaded is not None and config is not None:
            runs = any(one.node == loaded.node.id for one in answered(nodes.found))
            machine = await trio.to_thread.run_sync(
                lambda: gather_machine(config, loaded, running=runs)
            )
        findings = examine(machine, nodes)
        _print(findings, machine, nodes, as_json=as_json)
        code = exit_code(findings)

    run(body)
    if code:
        raise typer.Exit(code)


def examine(machine: "Machine | None", nodes: "Nodes | None") -> "list[Finding]":
    """Return all that is wrong, the worst first."""
    from node.cli import doctor_here, doctor_there

    there = [one for check in doctor_there.CHECKS for one in check(nodes)] if nodes else []
    here = [one for check in doctor_here.CHECKS for one in check(machine)] if machine else []
    return sorted([*there, *here], key=lambda one: one.weight != "wrong")


def exit_code(findings: "list[Finding]") -> int:
    """Return what the command ends with."""
    if any(one.weight == "wrong" for one in findings):
        return FAILED
    return WARNED if findings else OK


def _print(
    findings: "list[Finding]", machine: "Machine | None", nodes: "Nodes", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from node.cli import doctor_here, doctor_there
    from node.cli.nodes import answered
    from node.cli.output import console, count, plain, print_json

    checks = len(doctor_there.CHECKS) + (len(doctor_here.CHECKS) if machine is not None else 0)
    if as_json:
        print_json(
            {
                "findings": [asdict(one) for one in findings],
                "checks": checks,
                "nodes": sorted(one.node for one in answered(nodes.found)),
                "machine": asdict(machine) if machine is not None else None,
                "clocks_ms": {name: round(ms) for name, ms in nodes.wall_ms.items()},
            }
        )
        return
    from rich.text import Text

    out = console()
    for one in findings:
        colour = "bold red" if one.weight == "wrong" else "yellow"
        out.print(Text.assemble((f"{one.weight:8}", colour), f"{one.check}: {plain(one.what)}"))
        out.print(Text(f"        mend: {plain(one.mend)}", style="dim"))
    asked = count(len(answered(nodes.found)), "node")
    here = "" if machine is not None else "; --config NODE.TOML examines this machine too"
    if findings:
        wrong = sum(one.weight == "wrong" for one in findings)
        out.print(
            f"{wrong} wrong, {count(len(findings) - wrong, 'warning')}, of {checks} checks{here}"
        )
    else:
        out.print(f"all is well: {asked} asked, {checks} checks{here}")
