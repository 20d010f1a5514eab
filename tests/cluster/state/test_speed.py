"""How fast entries apply: a figure to read (`pytest -s -m slow`), not one to pass."""

import time

import msgspec
import pytest

from cluster.state import commands as c
from cluster.state import entry as entries
from cluster.state import snapshot
from cluster.state.commands import By
from cluster.state.entry import VERSION, Batch, Entry, Proposal
from cluster.state.machine import Machine
from cluster.state.outcome import Done

CONVERSATIONS = 20_000
ENTRIES = 300
BATCH = 100


def batches(commands: list[c.Command], first: int) -> list[bytes]:
    payloads = []
    for at in range(0, len(commands), BATCH):
        proposals = tuple(
            Proposal(first + at + place, msgspec.Raw(c.encode(command)))
            for place, command in enumerate(commands[at : at + BATCH])
        )
        batch = Batch("n1", "b1", first + at, proposals)
        payloads.append(entries.encode(Entry(VERSION, 1_000_000 + at, (batch,))))
    return payloads


@pytest.mark.slow
@pytest.mark.parametrize("checked", [True, False])
def test_messages_apply_in_batches_of_a_hundred(checked: bool) -> None:
    machine = Machine(checked=checked)
    opening: list[c.Command] = [c.BootNode("n1", "b1", "")]
    for number in range(CONVERSATIONS):
        by = By("visitor", f"v{number}")
        opening.append(c.OpenConversation(f"cv{number}", by, "k", text="hello", mid="m"))
    sending: list[c.Command] = []
    for number in range(ENTRIES * BATCH):
        visitor = number * 7919 % CONVERSATIONS
        by = By("visitor", f"v{visitor}")
        text = f"message {number}, 我的订单还没有到"
        sending.append(c.SendMessage(f"cv{visitor}", f"m{number}", by, f"k{number}", "text", text))
    index = 0
    for payload in batches(opening, 1):
        index += 1
        machine.apply(index, payload)
    payloads = batches(sending, len(opening) + 1)
    slowest = 0.0
    begun = time.perf_counter()
    for payload in payloads:
        index += 1
        at = time.perf_counter()
        applied = machine.apply(index, payload)
        slowest = max(slowest, time.perf_counter() - at)
        assert all(isinstance(outcome, Done) for *_, outcome in applied.outcomes)
    spent = time.perf_counter() - begun
    print(f"\nchecked={checked}: {len(sending) / spent:,.0f} msg.send/s in batches of {BATCH};")
    print(f"  slowest batch {slowest * 1000:.1f} ms")
    begun = time.perf_counter()
    copy = machine.state.frozen_copy()
    copied = time.perf_counter() - begun
    begun = time.perf_counter()
    size = sum(map(len, snapshot.dump(copy)))
    print(f"  frozen copy {copied * 1000:.1f} ms of {CONVERSATIONS} conversations,")
    print(f"  written in {time.perf_counter() - begun:.2f} s, {size / 1e6:.1f} MB")
