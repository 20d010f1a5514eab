"""Nodes killed with SIGKILL while clients write, again and again.  Talks to processes, nodes.

    python -m scripts.kill_loop --rounds 100                  one node, at random, each round
    python -m scripts.kill_loop --all-at-once --rounds 20     all nodes at once, each round

Writers never stop: each sends the next message when the last was acknowledged, at whichever node
it finds, and goes to a new conversation after `MESSAGES_PER_CONVERSATION`, so that each node still
keeps all of it at the end.  Then every node's history is compared with what was acknowledged.
Exit code 1 when anything is lost, doubled, changed or out of order.
"""

import argparse
import random
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import trio

from node.cli.durations import seconds
from node.client import Client, RequestFailed, Timing, new_key, open_client
from node.local import UNLIMITED, LocalCluster, LocalFailure
from node.protocol.catalogue import CvClose, CvOpen, MsgSend
from node.replay.checker import KINDS, Acknowledged, Record, Said, check, count
from node.replay.figures import percentile
from node.replay.histories import read_histories

MESSAGES_PER_CONVERSATION = 200
TIMING = Timing(request_s=60.0, retry_s_min=0.1, retry_s_max=0.5, resend_s_max=0.25)
NODES = 3


@dataclass
class Ledger:
    """What was acknowledged, and what went wrong beside."""

    records: list[Record] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    stopping: bool = False

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged so far."""
        return sum(len(record.said) for record in self.records)


async def write(cluster: LocalCluster, place: int, ledger: Ledger) -> None:
    """Send messages, one after the other, until told to stop."""
    visitor = f"writer-{place}-{new_key()}"
    urls = [*cluster.urls[place % NODES :], *cluster.urls[: place % NODES]]
    token = cluster.mint("visitor", visitor)
    async with open_client(urls, token, name="kill-loop", timing=TIMING, on_push=_ignore) as client:
        try:
            while not ledger.stopping:
                await _write_conversation(client, visitor, ledger)
        except RequestFailed as error:
            ledger.trouble.append(f"{visitor}: {error}")


async def _write_conversation(client: Client, visitor: str, ledger: Ledger) -> None:
    opened = await client.request(CvOpen(key=new_key()))
    record = Record(str(opened["cv"]), acknowledged=[Acknowledged(1, "opened")])
    ledger.records.append(record)
    for number in range(MESSAGES_PER_CONVERSATION):
        if ledger.stopping:
            break
        text = f"{number} of {visitor} 第{number}句"
        reply = await client.request(MsgSend(cv=record.cv, key=new_key(), body=text))
        said = Said(int(reply["seq"]), str(reply["mid"]), "visitor", visitor, text)
        record.said.append(said)
    closed = await client.request(CvClose(cv=record.cv, key=new_key()))
    record.acknowledged.append(Acknowledged(int(closed["seq"]), "closed"))


def _ignore(_: object) -> None:
    return


async def kill_some(
    cluster: LocalCluster, options: argparse.Namespace, chance: random.Random, ledger: Ledger
) -> list[float]:
    """Kill and restart, round by round; return how long each recovery took, in seconds."""
    recoveries = []
    for number in range(1, options.rounds + 1):
        await trio.sleep(chance.uniform(0.5, 1.5) * options.pause)
        before = ledger.acknowledged
        victims = list(cluster.names) if options.all_at_once else [chance.choice(cluster.names)]
        began = trio.current_time()
        if options.all_at_once:
            await cluster.kill_all()
        else:
            await cluster.kill(victims[0])
        for name in victims:
            cluster.restart(name)
        await cluster.wait_ready()
        with trio.fail_after(60):
            while ledger.acknowledged == before and not ledger.trouble:
                await trio.sleep(0.01)
        recoveries.append(trio.current_time() - began)
        print(
            f"round {number}: killed {' '.join(victims)}, ready and writing after"
            f" {recoveries[-1]:.2f} s, {ledger.acknowledged} acknowledged",
            file=sys.stderr,
            flush=True,
        )
    return recoveries


async def run(options: argparse.Namespace, folder: Path) -> int:
    """Run all rounds in `folder`; print the table; return the exit code."""
    chance = random.Random(options.seed)
    ledger = Ledger()
    recoveries: list[float] = []
    async with LocalCluster(
        folder, nodes=NODES, cluster_id="kill-loop", sections=UNLIMITED
    ) as cluster:
        await cluster.wait_leader()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for place in range(options.writers):
                nursery.start_soon(write, cluster, place, ledger)
            recoveries = await kill_some(cluster, options, chance, ledger)
            ledger.stopping = True
        took_s = trio.current_time() - began
        await cluster.wait_caught_up()
        ledger.trouble += await read_histories(cluster, ledger.records)
    violations = check(ledger.records, {})
    rows = [
        ("rounds", str(options.rounds)),
        ("nodes killed at once", str(NODES if options.all_at_once else 1)),
        ("messages acknowledged", str(ledger.acknowledged)),
        ("conversations", str(len(ledger.records))),
        *((kind.replace("_", " "), str(number)) for kind, number in count(violations).items()),
        ("recovery p50 / max", _recovery(recoveries)),
        ("seconds", f"{took_s:.0f}"),
    ]
    for what, value in rows:
        print(f"{what:<24}{value:>16}")
    for problem in [*map(str, violations), *ledger.trouble][:20]:
        print(f"  {problem}")
    good = not violations and not ledger.trouble
    print("nothing acknowledged was lost" if good else f"NOT good: one of {', '.join(KINDS)}")
    return 0 if good else 1


def _recovery(recoveries: list[float]) -> str:
    return f"{percentile(recoveries, 50):.2f} / {max(recoveries, default=0):.2f} s"


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--all-at-once", action="store_true", help="kill every node each round")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument(
        "--pause", type=seconds, default=0.3, help="mean time between rounds: 300ms"
    )
    parser.add_argument("--seed", type=int, default=None, help="which nodes are killed, and when")
    parser.add_argument("--data", type=Path, default=None, help="folder; a temporary one without")
    options = parser.parse_args()
    kept = options.data is not None
    place = nullcontext(options.data) if kept else tempfile.TemporaryDirectory(prefix="unidesk-")
    with place as folder:
        try:
            return trio.run(run, options, Path(folder))
        except* LocalFailure as group:
            print(f"kill_loop: {group.exceptions[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
