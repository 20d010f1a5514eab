"""What is broken on purpose is decided in the log: who agreed, who asked, until when."""

from typing import Any

import pytest

from cluster.state import commands as c
from cluster.state import limits, snapshot
from tests.cluster.state.desk import ANN, BOB, OPS, SUE, Desk, entry


def start(by: c.By = OPS, key: str = "k", **fields: Any) -> c.StartChaos:
    given: dict[str, Any] = {
        "fault": f"f-{key}",
        "kind": "partition",
        "groups": (("n1",), ("n2", "n3")),
        "for_ms": 30_000,
    }
    return c.StartChaos(by, key, **given | fields)


def desk_of_three(*, agreed: tuple[str, ...] = ("n1", "n2", "n3")) -> Desk:
    desk = Desk()
    desk.done(c.RaiseLevel(2))
    for number, node in enumerate(("n2", "n3"), start=1):
        boot = c.BootNode(node, f"b-{node}", f"ws://{node}")
        desk.apply(entry(desk.now_ms, (1, boot), node=node, boot=f"b-{node}"))
        assert number
    for node in agreed:
        allow(desk, node, "b1" if node == "n1" else f"b-{node}")
    return desk


def allow(desk: Desk, node: str, boot: str) -> None:
    if node == "n1":
        desk.done(c.AllowChaos(boot, "dc1"))
        return
    allowing = (2, c.AllowChaos(boot, "dc2"))
    desk.apply(entry(desk.now_ms, allowing, node=node, boot=boot))


def audit(desk: Desk, what: str) -> list[dict[str, Any]]:
    return [line.detail for line in desk.state.audit if line.what == what]


def test_a_fault_begins_with_the_boots_of_those_who_agreed_and_is_noted() -> None:
    desk = desk_of_three()
    reply = desk.done(start(clients=True, zone="dc1"))
    (fault,) = desk.state.faults.values()
    assert fault.boots == {"n1": "b1", "n2": "b-n2", "n3": "b-n3"}
    assert reply["until"] == fault.started_ms + 30_000
    (line,) = audit(desk, "chaos.start")
    assert (line["nodes"], line["zone"], line["for_ms"]) == ("n1 / n2,n3", "dc1", 30_000)


def test_a_retry_begins_nothing_new() -> None:
    desk = desk_of_three()
    first = desk.done(start())
    assert desk.done(start(fault="another id")) == first
    assert len(desk.state.faults) == 1


@pytest.mark.parametrize("by", [ANN, BOB, SUE, c.By("service", "crm"), c.SYSTEM])
def test_nobody_but_an_operator_breaks_anything(by: c.By) -> None:
    desk = desk_of_three()
    assert desk.refused(start(by)).code == "forbidden"
    if by.kind != "system":
        assert desk.refused(c.EndChaos(by)).code == "forbidden"
    assert not desk.state.faults


def test_a_node_that_did_not_agree_is_left_alone() -> None:
    desk = desk_of_three(agreed=("n1", "n2"))
    refused = desk.refused(start())
    assert (refused.code, refused.data["rule"]) == ("forbidden", "chaos")
    assert "chaos is off at n3" in refused.message
    assert desk.done(start(key="k2", groups=(("n1",), ("n2",))))


def test_a_consent_ends_with_the_process() -> None:
    desk = desk_of_three()
    again = c.BootNode("n2", "b-again", "ws://n2")
    desk.apply(entry(desk.now_ms, (1, again), node="n2", boot="b-again"))
    assert "chaos is off at n2" in desk.refused(start()).message


def test_a_node_agrees_for_itself_and_for_its_present_boot_alone() -> None:
    desk = desk_of_three(agreed=())
    assert desk.refused(c.AllowChaos("another")).code == "conflict"
    assert not desk.state.consents


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"groups": ()}, "bad_request"),
        ({"groups": (("n1",),)}, "bad_request"),
        ({"groups": (("n1",), ())}, "bad_request"),
        ({"groups": (("n1",), ("n1", "n2"))}, "bad_request"),
        ({"groups": (("n1",), ("n9",))}, "not_found"),
        ({"for_ms": 0}, "bad_request"),
        ({"for_ms": limits.FAULT_MS_MAX + 1}, "bad_request"),
        ({"amount": 1}, "bad_request"),
        ({"jitter_ms": 1}, "bad_request"),
        ({"kind": "loss", "amount": 101}, "bad_request"),
        ({"kind": "delay", "amount": 0}, "bad_request"),
        ({"kind": "one_way", "groups": (("n1",), ("n2",), ("n3",))}, "bad_request"),
        ({"kind": "pause", "groups": (("n1",), ("n2",))}, "bad_request"),
        ({"kind": "pause", "groups": (("n1",),), "clients": True}, "bad_request"),
        ({"kind": "clock_skew", "groups": (("n1",),)}, "bad_request"),
        ({"fault": ""}, "bad_request"),
    ],
)
def test_what_makes_no_fault_is_refused(fields: dict[str, Any], code: str) -> None:
    desk = desk_of_three()
    assert desk.refused(start(**fields)).code == code
    assert not desk.state.faults


def test_there_is_an_end_to_how_much_is_broken_at_a_time() -> None:
    desk = desk_of_three()
    for number in range(limits.FAULTS_MAX):
        desk.done(start(key=f"k{number}"))
    assert desk.refused(start(key="one more")).code == "at_capacity"


def test_an_operator_ends_all_at_once_and_a_node_what_it_names() -> None:
    desk = desk_of_three()
    for key in ("a", "b", "c"):
        desk.done(start(key=key))
    assert desk.refused(c.EndChaos(c.SYSTEM, (), "over")).code == "bad_request"
    assert desk.done(c.EndChaos(c.SYSTEM, ("f-a",), "over")) == {"ended": ["f-a"]}
    assert desk.done(c.EndChaos(c.SYSTEM, ("f-a",), "over")) == {"ended": []}, "it is over already"
    assert desk.done(c.EndChaos(OPS)) == {"ended": ["f-b", "f-c"]}
    assert [line["why"] for line in audit(desk, "chaos.end")] == ["over", "stopped", "stopped"]


def test_consents_and_faults_are_in_a_snapshot() -> None:
    desk = desk_of_three()
    desk.done(start())
    loaded = snapshot.load(snapshot.dump(desk.state))
    assert (loaded.faults, loaded.consents) == (desk.state.faults, desk.state.consents)
    assert snapshot.digest(loaded) == snapshot.digest(desk.state)
