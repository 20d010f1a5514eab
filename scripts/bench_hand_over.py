"""How long leadership takes to move, asked for at real nodes: `unidesk cluster transfer-leader`.

    python -m scripts.bench_hand_over [--moves 20]

Starts three nodes on loopback, moves leadership from node to node, and prints what the nodes
say it took: from the request to the moment at which the old leader heard the new one.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import trio

from node.client import RequestFailed, open_client
from node.local import LocalCluster
from node.protocol.catalogue import LeaderTransfer


async def _measure(cluster: LocalCluster, moves: int) -> list[int]:
    await cluster.wait_ready()
    token = cluster.mint("operator", "bench")
    took: list[int] = []
    leader = await cluster.wait_leader()
    while len(took) < moves:
        to = next(name for name in cluster.names if name != leader)
        async with open_client([cluster.url(leader)], token, pinned=True) as client:
            try:
                reply = await client.request(LeaderTransfer(node=to), timeout_s=10)
            except RequestFailed:  # an election meanwhile
                leader = await cluster.wait_leader()
                continue
        took.append(int(reply["took_ms"]))
        leader = str(reply["leader"])
    return sorted(took)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moves", type=int, default=20)
    moves = parser.parse_args().moves
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder))
        cluster.start()
        try:
            took = trio.run(_measure, cluster, moves)
        finally:
            trio.run(cluster.stop)
    print(f"{moves} moves: median {statistics.median(took):.0f} ms, longest {took[-1]} ms: {took}")


if __name__ == "__main__":
    main()
