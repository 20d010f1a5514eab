"""One log, one state: in any process, from any snapshot, in the same words."""

import json
import os
import subprocess
import sys
from pathlib import Path

from msgspec import to_builtins

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.invariants import check
from cluster.state.machine import Machine
from cluster.state.route import Queue
from cluster.state.snapshot import digest, dump, load
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk

ROOT = Path(__file__).parents[3]


def restored(machine: Machine) -> Machine:
    return Machine(load(dump(machine.state.frozen_copy())))


def eventful_desk() -> Desk:
    """A day in which everything happens that leaves traces in an order of its own."""
    desk = Desk()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.done(
        c.ApplyRules(OPS, {"b": "1", "a": "2"}, {"vip": Queue(20_000), "general": Queue(20_000)})
    )
    for sid in ("s1", "s2", "s3"):
        desk.online(BOB, capacity=4, sid=sid)
    desk.online(LI, capacity=2, node="n1")
    for cv in ("cv1", "cv2", "cv3", "cv4"):
        desk.waiting(cv, priority=len(cv))
    desk.done(desk.say(ANN, "cv1", body="help"))
    for cv in ("cv3", "cv2", "cv1"):
        desk.done(c.TransferConversation(cv, SUE, desk.key(), to_agent="li", note="please"))
    desk.offered("cv4", BOB)
    desk.done(c.LoseSession("s1", "n1", "b1"))
    desk.done(c.OpenSession("s1", BOB, "n1", "b1", {}, 4))
    desk.done(c.DeclineOffer("o-cv4-bob", BOB))
    desk.offered("cv3", LI)
    desk.done(c.SetStatus(LI, "li", "offline"))
    desk.done(c.AcceptOffer(desk.offered("cv4", BOB), BOB, desk.key()))
    desk.done(c.LoseNode("n1", "b1"))
    desk.wait(limits.SESSION_GRACE_MS)
    for sid in ("s3", "s1", "s2"):
        desk.done(c.ExpireSession(sid))
    desk.done(c.CloseConversation("cv2", ANN, desk.key()))
    desk.wait(limits.CONVERSATION_RETENTION_MS)
    desk.done(c.PurgeConversations(("cv2",)))
    return desk


def test_a_machine_restored_at_any_point_says_and_holds_the_same() -> None:
    """In the same order, too: notices are part of what applying says."""
    entries = eventful_desk().entries
    for at in range(len(entries)):
        one = Machine()
        for index, payload in enumerate(entries[:at], 2):
            one.apply(index, payload)
        other = restored(one)
        for index, payload in enumerate(entries[at:], at + 2):
            assert other.apply(index, payload) == one.apply(index, payload)
            assert digest(other.state) == digest(one.state)
        check(other.state)


def told() -> str:
    """All that a replay says, as text."""
    machine = Machine()
    lines = [
        json.dumps(to_builtins([applied.outcomes, applied.notices, applied.now_ms]))
        for index, payload in enumerate(eventful_desk().entries, 2)
        for applied in [machine.apply(index, payload)]
    ]
    return "\n".join([*lines, digest(machine.state)])


def test_processes_of_any_hash_seed_say_and_hold_the_same() -> None:
    program = "from tests.cluster.state.test_replay import told; print(told())"
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
            timeout=60,
            encoding="utf-8",
        )
        assert done.stdout.strip() == told()
