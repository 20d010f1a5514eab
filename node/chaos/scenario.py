"""A scenario: what breaks when, and what the people do meanwhile.  Reads a file.

    title = "a data centre loses its network"

    [cluster]                 # of `--demo` alone
    zones = { dc1 = 2, dc2 = 2, dc3 = 1 }           how many nodes: n1 and n2 are in dc1 ...
    workers = 0               # processes for the clients of each node

    [load]
    visitors = 20             # conversations at a time
    agents = 10               # 5 conversations each
    pace = "300ms"            # before each turn
    dialogues = "talks.jsonl" # beside this file; some short ones are built in

    [run]
    repeats = 1               # all steps so often
    warm_up = "5s"            # before the first, and after the last of each round
    heal_within = "30s"       # all nodes serve, with one state, so soon after the last fault

    [step.lose-dc2]           # the name is the report's
    at = "5s"                 # after the round began
    fault = "isolate-zone"    # as `unidesk chaos` has them
    zone = "dc2"              # or "leader": where the leader is
    for = "20s"

    fault          takes
    isolate-zone   zone, keep_clients
    partition      sides = ["n1,n2", "n3"]
    one-way        nodes, to
    delay          nodes, to, by, jitter
    loss           nodes, to, percent
    reset          nodes, to, every
    slow-disk      nodes, by
    clock-skew     nodes, by, behind
    pause, kill, full-disk, fsync-error   nodes

`nodes` is `n1,n2`, or `leader`: whoever leads when the step's time has come.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.state.commands import FaultKind
from cluster.state.limits import FAULT_MS_MAX
from cluster.toml_source import Document, Place, SourceError, SourceErrors, did_you_mean
from node.chaos.words import phrase
from node.tables import NAME, Reading, Table

STEPS_MAX = 200
REPEATS_MAX = 1_000
VISITORS_MAX = 2_000
AGENTS_MAX = 1_000
NODES_MIN = 3
NODES_MAX = 9
WORKERS_MAX = 8
AT_S_MAX = 24 * 3600
PLAN_BYTES_MAX = 1024 * 1024
LEADER = "leader"

KINDS: dict[str, FaultKind] = {
    "isolate-zone": "partition",
    "partition": "partition",
    "one-way": "one_way",
    "delay": "delay",
    "loss": "loss",
    "reset": "reset",
    "pause": "pause",
    "kill": "kill",
    "slow-disk": "slow_disk",
    "full-disk": "full_disk",
    "fsync-error": "fsync_error",
    "clock-skew": "clock_skew",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One fault, and when it begins."""

    name: str
    at_s: float
    kind: FaultKind
    for_s: float
    groups: tuple[str, ...] = ()
    zone: str = ""
    amount: int = 0
    jitter_ms: int = 0
    clients: bool = False

    def phrase(self) -> str:
        """Return what breaks, in words."""
        return phrase(
            self.kind,
            self.groups,
            amount=self.amount,
            jitter_ms=self.jitter_ms,
            clients=self.clients,
            zone=self.zone,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Who talks meanwhile."""

    visitors: int = 20
    agents: int = 10
    pace_s: float = 0.3
    dialogues: Path | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of a plan's file."""

    title: str
    steps: tuple[Step, ...]
    load: Load = field(default_factory=Load)
    zones: tuple[str, ...] = ("dc1", "dc1", "dc2", "dc2", "dc3")
    workers: int = 0
    repeats: int = 1
    warm_up_s: float = 5.0
    heal_within_s: float = 30.0

    @property
    def round_s(self) -> float:
        """How long all steps take, from the first moment to the end of the last fault."""
        return max(step.at_s + step.for_s for step in self.steps)


def load(path: Path) -> Scenario:
    """Return the scenario in the file at `path`.  Raises `SourceErrors`, all at once."""
    try:
        with path.open("rb") as file:
            data = file.read(PLAN_BYTES_MAX + 1)
        text = data.decode()
    except FileNotFoundError:
        problem, mend = "no such file", "name a plan that exists; see docs/examples/chaos"
        raise SourceErrors([SourceError(Place(str(path), 1), problem, mend)]) from None
    except (OSError, UnicodeDecodeError) as error:
        mend = "make it a UTF-8 text file that this user may read"
        problem = f"cannot be read: {error}"
        raise SourceErrors([SourceError(Place(str(path), 1), problem, mend)]) from None
    if len(data) > PLAN_BYTES_MAX:
        problem, mend = f"over {PLAN_BYTES_MAX} bytes", "say less: this is no plan"
        raise SourceErrors([SourceError(Place(str(path), 1), problem, mend)])
    return parse(text, path)


def parse(text: str, path: Path) -> Scenario:
    """Return the scenario that `text` says, the content of `path`.  Raises `SourceErrors`."""
    try:
        reading = Reading(Document(str(path), text))
    except SourceError as error:
        raise SourceErrors([error]) from None
    scenario = _scenario(reading.root, path)
    if reading.problems:
        raise SourceErrors(reading.problems)
    assert scenario is not None
    return scenario


def _scenario(root: Table, path: Path) -> Scenario | None:
    title = root.text("title", path.stem, example="a data centre loses its network")
    default = Scenario("", ())
    load = _load(root.table("load"), path.parent)
    zones, workers = _cluster(root.table("cluster"), default)
    run = root.table("run")
    repeats, warm_up_s, heal_s = default.repeats, default.warm_up_s, default.heal_within_s
    if run is not None:
        repeats = run.integer("repeats", repeats, 1, REPEATS_MAX)
        warm_up_s = run.seconds("warm_up", "5s", 0, 600)
        heal_s = run.seconds("heal_within", "30s", 1, 3600)
        run.finish()
    steps = root.needed_table("step").tables()
    found = [_step(name, table) for name, table in steps.items()]
    if "step" in root and not found:
        root.note("step", "there is no step", "write [step.first] with at, fault and for")
    if len(found) > STEPS_MAX:
        root.note("step", f"{len(found)} steps", f"at most {STEPS_MAX}")
    root.finish()
    if not found:
        return None
    ordered = tuple(sorted(found, key=lambda step: step.at_s))
    return Scenario(title, ordered, load, zones, workers, repeats, warm_up_s, heal_s)


def _load(table: Table | None, folder: Path) -> Load:
    default = Load()
    if table is None:
        return default
    found = Load(
        table.integer("visitors", default.visitors, 1, VISITORS_MAX),
        table.integer("agents", default.agents, 1, AGENTS_MAX),
        table.seconds("pace", "300ms", 0, 60),
        table.file("dialogues", folder, "talks.jsonl") if "dialogues" in table else None,
    )
    table.finish()
    return found


def _cluster(table: Table | None, default: Scenario) -> tuple[tuple[str, ...], int]:
    """Return the zones of the nodes, and how many workers each has."""
    if table is None:
        return default.zones, default.workers
    zones = _zones(table, table.needed_table("zones")) or default.zones
    workers = table.integer("workers", default.workers, 0, WORKERS_MAX)
    table.finish()
    return zones, workers


def _zones(cluster: Table, zones: Table | None) -> tuple[str, ...]:
    """Return the zone of n1, n2 ...: those of the first zone first."""
    if zones is None:
        return ()
    found: list[str] = []
    for zone in zones.keys():  # noqa: SIM118 - no mapping
        zones.check_name(zone, zone)
        found += [zone] * zones.integer(zone, 1, 1, NODES_MAX)
    if not NODES_MIN <= len(found) <= NODES_MAX:
        mend = f"let there be {NODES_MIN} to {NODES_MAX} in all"
        cluster.note("zones", f"{len(found)} nodes", mend)
    return tuple(found)


def _step(name: str, table: Table) -> Step:
    at_s = table.seconds("at", "5s", 0, AT_S_MAX)
    fault = table.text("fault", example="pause")
    if fault not in KINDS:
        if "fault" in table:
            table.note("fault", f'"{fault[:40]}" is none', did_you_mean(fault, KINDS))
        table.rest()  # what it takes is not known
        return Step(name, at_s, "pause", 1.0)
    kind = KINDS[fault]
    for_s = 1.0 if kind == "kill" else table.seconds("for", "10s", 0.1, FAULT_MS_MAX / 1000)
    step = Step(name, at_s, kind, for_s, **_details(fault, table))
    table.finish()
    return step


def _details(fault: str, table: Table) -> dict[str, Any]:
    """Return what the kind of fault asks for."""
    match fault:
        case "isolate-zone":
            keep = table.flag("keep_clients", False)
            return {"zone": table.named("zone", "dc2"), "clients": not keep}
        case "partition":
            sides = table.texts("sides", ())
            if len(sides) < 2:
                table.note("sides", "fewer than two", 'write sides = ["n1,n2", "n3,n4,n5"]')
            return {"groups": tuple(_checked(table, "sides", side) for side in sides)}
        case "one-way":
            return {"groups": (_nodes(table, "nodes"), _nodes(table, "to"))}
        case "delay":
            by, jitter = (table.seconds(key, text, 0, 10) for key, text in _DELAY)
            figures = {"amount": round(by * 1000), "jitter_ms": round(jitter * 1000)}
            return {"groups": _towards(table), **figures}
        case "loss":
            return {"groups": _towards(table), "amount": table.integer("percent", 10, 1, 100)}
        case "reset":
            every_s = table.seconds("every", "1s", 0.05, 60)
            return {"groups": _towards(table), "amount": round(every_s * 1000)}
        case "slow-disk":
            by_s = table.seconds("by", "300ms", 0.001, 10)
            return {"groups": (_nodes(table, "nodes"),), "amount": round(by_s * 1000)}
        case "clock-skew":
            ms = round(table.seconds("by", "5s", 0.001, 3600) * 1000)
            behind = table.flag("behind", False)
            return {"groups": (_nodes(table, "nodes"),), "amount": -ms if behind else ms}
        case _:
            return {"groups": (_nodes(table, "nodes"),)}


_DELAY = (("by", "100ms"), ("jitter", "0ms"))


def _towards(table: Table) -> tuple[str, ...]:
    nodes = _nodes(table, "nodes")
    return (nodes, _nodes(table, "to")) if "to" in table else (nodes,)


def _nodes(table: Table, key: str) -> str:
    return _checked(table, key, table.text(key, example="n1"))


def _checked(table: Table, key: str, text: str) -> str:
    """Return `text` without blanks; note what is no node's id."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not NAME.fullmatch(name):
            table.note(key, f"{name[:40]!r} is no id of a node", 'write it as "n1,n2"')
    return ",".join(names)


def with_leader(step: Step, leader: str, zone: str) -> Step:
    """Return the step with whoever leads now, and their zone, in the place of `leader`."""
    groups = tuple(
        ",".join(leader if name == LEADER else name for name in group.split(","))
        for group in step.groups
    )
    return replace(step, groups=groups, zone=zone if step.zone == LEADER else step.zone)
