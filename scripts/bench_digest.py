"""What a checksum of the state costs: the copy in the loop, and the reading in a thread.

python -m scripts.bench_digest [conversations]
"""

import statistics
import sys
import time

import msgspec

from cluster.heal.digests import digest_of
from cluster.state import snapshot
from cluster.state.commands import BootNode, By, OpenConversation, SendMessage, encode
from cluster.state.entry import Batch, Entry, Proposal
from cluster.state.entry import encode as encode_entry
from cluster.state.machine import Machine
from cluster.state.state import State

MESSAGES = 4
ROUNDS = 5
TEXT = "Where is my parcel? It was to come on Monday, and nobody rang."


def main() -> None:
    conversations = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    state = _state(conversations)
    size = sum(map(len, snapshot.dump(state)))
    copies = [_seconds(state.frozen_copy) for _ in range(ROUNDS)]
    copy = state.frozen_copy()
    reads = [_seconds(lambda: digest_of(copy)) for _ in range(ROUNDS)]
    print(f"{conversations} conversations, {size / 2**20:.1f} MiB of state")
    print(f"copy, in the loop: {statistics.median(copies) * 1000:.1f} ms")
    print(f"checksum, in a thread: {statistics.median(reads) * 1000:.0f} ms")


def _state(conversations: int) -> State:
    machine = Machine(checked=False)
    visitor = By("visitor", "ann")
    commands: list[object] = [BootNode("a", "boot", "")]
    for number in range(conversations):
        cv = f"cv{number}"
        commands.append(OpenConversation(cv, visitor, key=f"o{number}"))
        commands += [
            SendMessage(cv, f"{cv}m{one}", visitor, f"{cv}k{one}", "text", TEXT)
            for one in range(MESSAGES)
        ]
    for number, command in enumerate(commands, start=1):
        proposal = Proposal(number, msgspec.Raw(encode(command)))  # type: ignore[arg-type]
        machine.apply(number, encode_entry(Entry(1, number, (Batch("a", "boot", 1, (proposal,)),))))
    return machine.state


def _seconds(run: object) -> float:
    begun = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
