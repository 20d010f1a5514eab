"""What the state machine itself costs: committed messages applied in memory, no log, no network.

    python -m scripts.bench_apply [--messages 90000] [--conversations 64] [--rounds 4]

Processor time of one command, invariants checked as in production; the best of the rounds, which
others on the machine disturbed least.
"""

import argparse
import gc
import time

import msgspec

from cluster.state import commands, entry
from cluster.state.commands import BootNode, By, Command, OpenConversation, SendMessage
from cluster.state.machine import Machine

COMMANDS_PER_ENTRY = 50
BODY = (
    "Where is my parcel?  It should have been here three weeks ago, and nobody answers the phone."
)


def entries(messages: int, conversations: int) -> list[bytes]:
    """Return log entries: a node's boot, `conversations` opened, and messages to them in turn."""
    visitors = [By("visitor", f"v{number}", "Vera") for number in range(conversations)]
    said: list[Command] = [BootNode("n1", "boot", "")]
    said += [
        OpenConversation(f"cv{number}", visitor, "k") for number, visitor in enumerate(visitors)
    ]
    said += [
        SendMessage(
            f"cv{n % conversations}", f"m{n}", visitors[n % conversations], f"k{n}", "text", BODY
        )
        for n in range(messages)
    ]
    proposals = [
        entry.Proposal(number, msgspec.Raw(commands.encode(command)))
        for number, command in enumerate(said, start=1)
    ]
    made = []
    for first in range(0, len(proposals), COMMANDS_PER_ENTRY):
        some = tuple(proposals[first : first + COMMANDS_PER_ENTRY])
        batch = entry.Batch("n1", "boot", some[0].number, some)
        made.append(entry.encode(entry.Entry(entry.VERSION, first, (batch,))))
    return made


def apply_all(payloads: list[bytes]) -> float:
    """Return the seconds of processor time that applying them took."""
    machine = Machine(checked=True)
    gc.collect()
    began = time.process_time()
    for index, payload in enumerate(payloads, start=1):
        machine.apply(index, payload)
    return time.process_time() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=90_000)
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    payloads = entries(options.messages, options.conversations)
    best_s = min(apply_all(payloads) for _ in range(options.rounds))
    print(f"{'messages':<24}{options.messages:>10,}")
    print(f"{'conversations':<24}{options.conversations:>10,}")
    print(f"{'seconds, best':<24}{best_s:>10.2f}")
    print(f"{'µs a message':<24}{1e6 * best_s / options.messages:>10.1f}")


if __name__ == "__main__":
    main()
